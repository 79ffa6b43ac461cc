use genkan_routing::model::{KeyedHash, Secret, SecretKey};
use prost::Message;
use zeroize::Zeroizing;

use super::DecodeError;
use crate::MAX_CHUNK;
use crate::v1alpha1 as wire;

/// A value as it is sent: named by the hash that a resource has.
#[derive(Clone)]
pub struct SealedSecret {
    pub key: SecretKey,
    pub hash: KeyedHash,
    /// What [`encode_secret`] makes.
    pub encoded: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedSecret")
            .field("key", &self.key)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// The bytes that are sent of a value, and hashed under a key: the same for the same content.
pub fn encode_secret(secret: &Secret) -> Zeroizing<Vec<u8>> {
    let entry = |(name, value): (&String, &Zeroizing<Vec<u8>>)| wire::SecretEntry {
        name: name.clone(),
        value: value.to_vec(),
    };
    let message = wire::SecretData {
        r#type: secret.kind.clone(),
        entries: secret.data.iter().map(entry).collect(),
    };
    // Of its length from the beginning: a vector that grows leaves copies behind.
    let mut encoded = Zeroizing::new(Vec::with_capacity(message.encoded_len()));
    let written = message.encode(&mut *encoded);
    debug_assert!(written.is_ok(), "there is room");
    encoded
}

/// Reads what [`encode_secret`] wrote.
///
/// # Errors
/// When it is nothing of the kind.
pub fn decode_secret(encoded: &[u8]) -> Result<Secret, DecodeError> {
    let mut message = wire::SecretData::decode(encoded)?;
    let entry = |entry: &mut wire::SecretEntry| {
        let value = Zeroizing::new(std::mem::take(&mut entry.value));
        (std::mem::take(&mut entry.name), value)
    };
    Ok(Secret {
        data: message.entries.iter_mut().map(entry).collect(),
        kind: message.r#type,
    })
}

pub fn value_to_wire(sealed: &SealedSecret) -> wire::SecretValue {
    wire::SecretValue {
        key: sealed.key.to_string(),
        keyed_hash: sealed.hash.0.to_vec(),
        value: sealed.encoded.to_vec(),
    }
}

/// Says of one value after another whether it has room in the message of the one before.
pub fn fit_together<S: AsRef<SealedSecret>>() -> impl FnMut(&S, &S) -> bool {
    // Tags and lengths, and the key and the hash.
    let size = |sealed: &S| sealed.as_ref().encoded.len() + sealed.as_ref().key.to_string().len() + 64;
    let mut used = None;
    move |before, next| {
        let sum = used.unwrap_or_else(|| size(before)) + size(next);
        let fits = sum <= MAX_CHUNK;
        used = fits.then_some(sum);
        fits
    }
}

/// # Errors
/// When it names no Secret, or holds none.
pub fn value_from_wire(value: &wire::SecretValue) -> Result<(SecretKey, KeyedHash, Secret), DecodeError> {
    let malformed = |what| DecodeError::Key {
        key: value.key.clone(),
        what,
    };
    let key = SecretKey::parse(&value.key).ok_or_else(|| malformed("is none of a secret"))?;
    let hash = hash(&value.keyed_hash).ok_or_else(|| malformed("comes with no hash"))?;
    Ok((key, hash, decode_secret(&value.value)?))
}

pub fn to_wire(hash: &KeyedHash) -> wire::resource::Resource {
    wire::resource::Resource::Secret(wire::Secret {
        keyed_hash: hash.0.to_vec(),
    })
}

/// `None` if it is no hash.
pub fn from_wire(secret: &wire::Secret) -> Option<KeyedHash> {
    hash(&secret.keyed_hash)
}

fn hash(bytes: &[u8]) -> Option<KeyedHash> {
    bytes.try_into().ok().map(KeyedHash)
}
