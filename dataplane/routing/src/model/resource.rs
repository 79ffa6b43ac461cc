use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::{Serialize, Serializer};

use super::connector::FEATURE_FLAGS;
use super::policy::EXTENSIONS;
use super::{
    Action, Blob, BlobKey, ChunkKey, DefinedPolicy, EntryKey, ExtensionEntry, ExtensionRevision,
    FeatureFlags, KeyedHash, ObjectKey, Role, Route, SecretKey, Unavailable,
};

/// One unit of the configuration: it is sent, replaced and removed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    pub key: ResourceKey,
    /// What a data plane must be able to do for it; one that does not know a word of it serves a stub.
    pub requires: Vec<String>,
    #[serde(rename = "resource")]
    pub body: ResourceBody,
}

/// What identifies a resource, made from the identity of an object, never from a position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKey {
    Object(ObjectKey),
    Endpoints(SetKey),
    Blob(BlobKey),
    Chunk(ChunkKey),
    Secret(SecretKey),
    Entry(EntryKey),
    /// There is one.
    FeatureFlags,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum ResourceBody {
    Route(Box<Route>),
    Endpoints(EndpointSet),
    Blob(Blob),
    /// A piece of a file.
    Chunk(Blob),
    /// Which value it has now; that itself is sent beside the resources, to those who may have it.
    Secret(KeyedHash),
    FeatureFlags(FeatureFlags),
    Policy(Box<DefinedPolicy>),
    Entry(Box<ExtensionEntry>),
    Revision(Box<ExtensionRevision>),
}

/// One port of one Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetKey {
    pub namespace: String,
    pub service: String,
    pub port: u16,
}

/// The addresses behind a port of a Service, in order and each once; empty when none is usable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EndpointSet {
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Endpoint {
    pub address: IpAddr,
    pub port: u16,
}

// === impl Resource ===

impl Resource {
    /// Of a published object.
    pub fn route(route: Route) -> Self {
        Self {
            key: ResourceKey::Object(route.object.key.clone()),
            requires: route.requires(),
            body: ResourceBody::Route(Box::new(route)),
        }
    }

    pub fn endpoints(key: SetKey, set: EndpointSet) -> Self {
        Self {
            key: ResourceKey::Endpoints(key),
            requires: Vec::new(),
            body: ResourceBody::Endpoints(set),
        }
    }

    pub fn blob(key: BlobKey, blob: Blob) -> Self {
        Self {
            key: ResourceKey::Blob(key),
            requires: Vec::new(),
            body: ResourceBody::Blob(blob),
        }
    }

    /// Of a piece of a file that an entry of an extension names.
    pub fn chunk(key: ChunkKey, blob: Blob) -> Self {
        Self {
            key: ResourceKey::Chunk(key),
            requires: vec![EXTENSIONS.to_owned()],
            body: ResourceBody::Chunk(blob),
        }
    }

    pub fn secret(key: SecretKey, hash: KeyedHash) -> Self {
        Self {
            key: ResourceKey::Secret(key),
            requires: Vec::new(),
            body: ResourceBody::Secret(hash),
        }
    }

    /// Of a PolicyDefinition.
    pub fn policy(policy: DefinedPolicy) -> Self {
        Self {
            key: ResourceKey::Object(policy.object.key.clone()),
            requires: vec![EXTENSIONS.to_owned()],
            body: ResourceBody::Policy(Box::new(policy)),
        }
    }

    pub fn entry(key: EntryKey, entry: ExtensionEntry) -> Self {
        Self {
            key: ResourceKey::Entry(key),
            requires: vec![EXTENSIONS.to_owned()],
            body: ResourceBody::Entry(Box::new(entry)),
        }
    }

    /// Of a GatewayExtension.
    pub fn revision(revision: ExtensionRevision) -> Self {
        Self {
            key: ResourceKey::Object(revision.object.key.clone()),
            requires: vec![EXTENSIONS.to_owned()],
            body: ResourceBody::Revision(Box::new(revision)),
        }
    }

    pub fn feature_flags(flags: FeatureFlags) -> Self {
        Self {
            key: ResourceKey::FeatureFlags,
            requires: vec!["connectors".to_owned()],
            body: ResourceBody::FeatureFlags(flags),
        }
    }

    /// Fails closed: what took requests answers 503 with this, and what others depend on is empty. A stub that it was
    /// already says more.
    pub fn make_unavailable(&mut self, reason: &str, message: &str) {
        match &mut self.body {
            ResourceBody::Route(route) => {
                if let Action::Forward(_) = route.action {
                    route.action = Action::Unavailable(Unavailable::new(reason, message));
                }
                route.role = Role::None;
                route.policies = None;
            }
            ResourceBody::Endpoints(set) => set.endpoints.clear(),
            // Nobody trusts what it does not hold.
            ResourceBody::Blob(blob) | ResourceBody::Chunk(blob) => blob.content = Default::default(),
            // Nothing has this hash.
            ResourceBody::Secret(hash) => *hash = KeyedHash([0; 32]),
            ResourceBody::FeatureFlags(flags) => flags.0.clear(),
            ResourceBody::Policy(policy) => {
                if policy.definition.is_ok() {
                    policy.definition = Err(Unavailable::new(reason, message));
                }
            }
            // Who names one of its entries finds none, and answers 503.
            ResourceBody::Entry(entry) => **entry = ExtensionEntry::default(),
            ResourceBody::Revision(_) => {}
        }
    }
}

// === impl ResourceKey ===

impl From<ObjectKey> for ResourceKey {
    fn from(key: ObjectKey) -> Self {
        Self::Object(key)
    }
}

impl From<SetKey> for ResourceKey {
    fn from(key: SetKey) -> Self {
        Self::Endpoints(key)
    }
}

impl From<BlobKey> for ResourceKey {
    fn from(key: BlobKey) -> Self {
        Self::Blob(key)
    }
}

impl From<SecretKey> for ResourceKey {
    fn from(key: SecretKey) -> Self {
        Self::Secret(key)
    }
}

impl From<EntryKey> for ResourceKey {
    fn from(key: EntryKey) -> Self {
        Self::Entry(key)
    }
}

/// As the stream spells it.
impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(key) => key.fmt(f),
            Self::Endpoints(key) => key.fmt(f),
            Self::Blob(key) => key.fmt(f),
            Self::Chunk(key) => key.fmt(f),
            Self::Secret(key) => key.fmt(f),
            Self::Entry(key) => key.fmt(f),
            Self::FeatureFlags => f.write_str(FEATURE_FLAGS),
        }
    }
}

impl Serialize for ResourceKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl SetKey ===

const ENDPOINTS: &str = "Endpoints/";

impl SetKey {
    /// Every port of a Service.
    pub fn range(namespace: &str, service: &str) -> RangeInclusive<Self> {
        let of = |port| Self {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            port,
        };
        of(0)..=of(u16::MAX)
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, rest) = text.strip_prefix(ENDPOINTS)?.split_once('/')?;
        let (service, port) = rest.rsplit_once(':')?;
        Some(Self {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            port: port.parse().ok()?,
        })
    }
}

/// `Endpoints/{namespace}/{service}:{port}`.
impl fmt::Display for SetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            service,
            port,
        } = self;
        write!(f, "{ENDPOINTS}{namespace}/{service}:{port}")
    }
}

impl Serialize for SetKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_keys_are_read_as_they_are_written() {
        let key = SetKey {
            namespace: "shop".into(),
            service: "cart".into(),
            port: 8080,
        };
        assert_eq!(key.to_string(), "Endpoints/shop/cart:8080");
        assert_eq!(SetKey::parse("Endpoints/shop/cart:8080"), Some(key.clone()));
        assert!(SetKey::range("shop", "cart").contains(&key));
        for bad in [
            "ReverseProxy/x",
            "Endpoints/shop",
            "Endpoints/shop/cart",
            "Endpoints/a/b:x",
        ] {
            assert_eq!(SetKey::parse(bad), None, "{bad}");
        }
    }
}
