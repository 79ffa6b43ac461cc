use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The kinds of objects that are sent to proxies, and have a status. Kinds that are only looked at are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Published {
    ReverseProxy,
    ApiService,
    ConnectorClass,
    Connector,
    PolicyDefinition,
    GatewayExtension,
}

/// Which object: kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectKey {
    pub kind: Published,
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    pub name: String,
}

/// Which version of which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ObjectRef {
    #[serde(flatten)]
    pub key: ObjectKey,
    pub uid: String,
    pub generation: i64,
}

// === impl Published ===

impl Published {
    pub const ALL: [Self; 6] = [
        Self::ReverseProxy,
        Self::ApiService,
        Self::ConnectorClass,
        Self::Connector,
        Self::PolicyDefinition,
        Self::GatewayExtension,
    ];

    /// The `kind` of its manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReverseProxy => "ReverseProxy",
            Self::ApiService => "APIService",
            Self::ConnectorClass => "ConnectorClass",
            Self::Connector => "Connector",
            Self::PolicyDefinition => "PolicyDefinition",
            Self::GatewayExtension => "GatewayExtension",
        }
    }
}

/// Fails on a kind that this version does not publish.
impl FromStr for Published {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

impl Serialize for Published {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

// === impl ObjectKey ===

impl ObjectKey {
    /// Of a cluster-scoped kind.
    pub fn cluster(kind: Published, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: String::new(),
            name: name.into(),
        }
    }

    pub fn reverse_proxy(name: impl Into<String>) -> Self {
        Self::cluster(Published::ReverseProxy, name)
    }

    pub fn api_service(name: impl Into<String>) -> Self {
        Self::cluster(Published::ApiService, name)
    }

    pub fn connector_class(name: impl Into<String>) -> Self {
        Self::cluster(Published::ConnectorClass, name)
    }

    pub fn connector(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: Published::Connector,
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// As people write it: `ReverseProxy shop`, `Connector tools/gitlab`.
    pub fn title(&self) -> String {
        let (kind, namespace, name) = (self.kind.name(), &self.namespace, &self.name);
        if namespace.is_empty() {
            format!("{kind} {name}")
        } else {
            format!("{kind} {namespace}/{name}")
        }
    }
}

/// `ReverseProxy/shop`, `Connector/tools/gitlab`: the key of its resource in the snapshot. No name holds a slash.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if !self.namespace.is_empty() {
            write!(f, "/{}", self.namespace)?;
        }
        write!(f, "/{}", self.name)
    }
}

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for ObjectKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('/');
        let (kind, first, second) = (parts.next(), parts.next(), parts.next());
        let kind = kind.ok_or(())?.parse()?;
        let (namespace, name) = match (first, second, parts.next()) {
            (Some(name), None, None) => ("", name),
            (Some(namespace), Some(name), None) => (namespace, name),
            (None | Some(_), _, _) => return Err(()),
        };
        Ok(Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        })
    }
}

// === impl ObjectRef ===

impl ObjectRef {
    pub fn new(key: ObjectKey, uid: impl Into<String>, generation: i64) -> Self {
        Self {
            key,
            uid: uid.into(),
            generation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let namespaced = ObjectKey {
            namespace: "tools".into(),
            ..ObjectKey::api_service("v1.test")
        };
        for key in [
            ObjectKey::reverse_proxy("shop"),
            ObjectKey::api_service("v1.test"),
            namespaced,
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for bad in ["", "ReverseProxy", "Service/x", "ReverseProxy/a/b/c"] {
            assert_eq!(bad.parse::<ObjectKey>(), Err(()), "{bad}");
        }
    }
}
