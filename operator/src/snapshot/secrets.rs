use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_proto::codec::{SealedSecret, encode_secret};
use genkan_routing::model::{KeyedHash, LOGIN_DATA, Resource, Secret, SecretKey};
use rand::Rng;
use zeroize::Zeroizing;

/// Under which values are hashed. Nobody else has it, so that nobody can try values against a hash.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(Zeroizing<[u8; HashKey::LENGTH]>);

/// The values of the secrets that are served.
#[derive(Debug)]
pub(super) struct Secrets {
    key: HashKey,
    held: BTreeMap<SecretKey, Arc<SealedSecret>>,
}

// === impl HashKey ===

impl HashKey {
    pub const LENGTH: usize = 32;

    pub fn random() -> Self {
        Self(Zeroizing::new(rand::rng().random()))
    }

    /// `None` if these are not as many bytes as a key has.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// Another key, from which this one cannot be found.
    fn for_logins(&self) -> Zeroizing<Vec<u8>> {
        let context = "genkan 2026-12-01 codes of those who log in to web UIs";
        Zeroizing::new(blake3::derive_key(context, &*self.0).to_vec())
    }

    /// Equal values of two Secrets have two hashes: who sees them does not learn that they are equal.
    fn hash(&self, key: &SecretKey, encoded: &[u8]) -> KeyedHash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        let name = key.to_string();
        hasher.update(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(encoded);
        KeyedHash(*hasher.finalize().as_bytes())
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(..)")
    }
}

// === impl Secrets ===

impl Default for Secrets {
    fn default() -> Self {
        Self {
            key: HashKey::random(),
            held: BTreeMap::new(),
        }
    }
}

impl Secrets {
    /// Holds a value, and gives what names it.
    pub(super) fn insert(&mut self, key: SecretKey, secret: &Secret) -> Resource {
        self.seal(key, encode_secret(secret))
    }

    pub(super) fn remove(&mut self, key: &SecretKey) {
        self.held.remove(key);
    }

    pub(super) fn get(&self, key: &str) -> Option<&Arc<SealedSecret>> {
        self.held.get(&SecretKey::parse(key)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<SealedSecret>> {
        self.held.values()
    }

    /// Holds one that nobody wrote: it follows from the key, so that it outlives this process as that does.
    pub(super) fn admit_logins(&mut self) -> Resource {
        let data = [(LOGIN_DATA.to_owned(), self.key.for_logins())].into();
        let kind = "Opaque".to_owned();
        self.insert(SecretKey::of_login(), &Secret { kind, data })
    }

    /// Everything is named anew, unless it is the same key.
    pub(super) fn rekey(&mut self, key: HashKey) -> Vec<Resource> {
        if self.key == key {
            return Vec::new();
        }
        self.key = key;
        let mut held = std::mem::take(&mut self.held);
        let logins = held.remove(&SecretKey::of_login());
        let mut named: Vec<_> = held
            .into_iter()
            .map(|(key, sealed)| self.seal(key, sealed.encoded.clone()))
            .collect();
        named.extend(logins.map(|_| self.admit_logins()));
        named
    }

    fn seal(&mut self, key: SecretKey, encoded: Zeroizing<Vec<u8>>) -> Resource {
        let hash = self.key.hash(&key, &encoded);
        let sealed = SealedSecret {
            key: key.clone(),
            hash,
            encoded,
        };
        self.held.insert(key.clone(), Arc::new(sealed));
        Resource::secret(key, hash)
    }
}
