use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// Which Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretKey {
    pub namespace: String,
    pub name: String,
}

/// What is in a Secret. It cannot be serialised by accident, its text says nothing, and its memory is overwritten when it
/// goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Such as `kubernetes.io/basic-auth`.
    pub kind: String,
    /// Decoded.
    pub data: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// Stands for the content of a Secret where that must not be: a hash under a key that only the operator has, so that nobody
/// else can try values against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeyedHash(pub [u8; 32]);

const SECRET: &str = "Secret/";
/// No namespace of Kubernetes has such a name.
const OWN_NAMESPACE: &str = ".genkan";
/// The key of the data in the Secret of [`SecretKey::of_login`]: 32 bytes, under which data planes seal what they tell one
/// another of those who log in.
pub const LOGIN_DATA: &str = "key";

// === impl SecretKey ===

impl SecretKey {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Names what the operator makes itself for those who log in to web UIs.
    pub fn of_login() -> Self {
        Self::new(OWN_NAMESPACE, "login")
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.strip_prefix(SECRET)?.split_once('/')?;
        let is_name = |text: &str| !text.is_empty() && !text.contains('/');
        (is_name(namespace) && is_name(name)).then(|| Self::new(namespace, name))
    }

    /// As people write it: `Secret tools/gitlab`.
    pub fn title(&self) -> String {
        format!("Secret {}/{}", self.namespace, self.name)
    }
}

/// `Secret/{namespace}/{name}`.
impl fmt::Display for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SECRET}{}/{}", self.namespace, self.name)
    }
}

impl Serialize for SecretKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl Secret ===

/// Not even the names of its keys: they are part of what an author chose to hide.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = SecretKey::new("tools", "gitlab");
        assert_eq!(key.to_string(), "Secret/tools/gitlab");
        assert_eq!(SecretKey::parse("Secret/tools/gitlab"), Some(key));
        for bad in ["Secret/x", "Secret//x", "Secret/x/", "Secret/a/b/c", "Blob/a/b"] {
            assert_eq!(SecretKey::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let secret = Secret {
            kind: "Opaque".into(),
            data: [("password".to_owned(), Zeroizing::new(b"hunter2".to_vec()))].into(),
        };
        let printed = format!("{secret:?} {secret:#?} {:?}", Some(&secret));
        assert!(
            !printed.contains("hunter2") && !printed.contains("password"),
            "{printed}"
        );
        assert!(!printed.contains("104, 117"), "{printed}");
    }
}
