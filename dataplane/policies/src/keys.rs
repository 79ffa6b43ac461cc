//! Keys of signatures, and signatures.
//!
//! They are verified with `ring` alone, which is the one library of the tree that knows secrets: it is audited, and no second
//! one comes in. JSON Web Keys and certificates are read here.

mod algorithm;
mod jwk;
mod pem;
mod source;

use std::fmt;

use ring::hmac;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};

pub(crate) use algorithm::Algorithm;
pub(crate) use source::{KeySource, KeySourceWith};

/// Keys of one issuer.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// One of them.
pub(crate) struct Key {
    kid: Option<String>,
    /// The one that it is for, if it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

enum Material {
    /// Modulus and exponent.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Of the curve P-256, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    /// A secret that both sides have.
    Octets(zeroize::Zeroizing<Vec<u8>>),
}

/// Bytes of a set at most.
const LARGEST: usize = 1 << 20;
const MOST_KEYS: usize = 100;

/// Whether these are keys as [`Outside::fetch_keys`](crate::Outside::fetch_keys) may hand them over.
///
/// # Errors
/// Why they are none, in one sentence without anything of them.
pub fn check_keys(text: &[u8]) -> Result<(), String> {
    KeySet::read(text).map(drop)
}

// === impl KeySet ===

impl KeySet {
    /// A JSON Web Key Set, one JSON Web Key, or PEM. Keys that are of no use here are left out.
    ///
    /// # Errors
    /// Why it is none of them, in one sentence without anything of it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LARGEST {
            return Err(format!(
                "the keys have {} bytes, and {LARGEST} are the most",
                bytes.len()
            ));
        }
        let keys = if bytes.trim_ascii_start().starts_with(b"{") {
            jwk::read(bytes)?
        } else {
            pem::read(bytes)?
        };
        if keys.len() > MOST_KEYS {
            return Err(format!(
                "there are {} keys, and {MOST_KEYS} are the most",
                keys.len()
            ));
        }
        Ok(Self { keys })
    }

    /// A secret that is no text of keys.
    pub(crate) fn of_secret(bytes: &[u8]) -> Self {
        let key = Key {
            kid: None,
            algorithm: None,
            material: Material::Octets(bytes.to_vec().into()),
        };
        Self { keys: vec![key] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Those that a signature of this algorithm could be of. A token that names its key means that one.
    pub(crate) fn fitting(&self, algorithm: Algorithm, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let is_meant = move |key: &&Key| match (kid, &key.kid) {
            (Some(kid), Some(known)) => kid == known,
            (Some(_), None) | (None, _) => true,
        };
        self.keys
            .iter()
            .filter(move |key| key.fits(algorithm))
            .filter(is_meant)
    }
}

// === impl Key ===

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        let is_kind = match &self.material {
            Material::Rsa { .. } => algorithm.is_rsa(),
            Material::P256(_) => algorithm == Algorithm::Es256,
            Material::P384(_) => algorithm == Algorithm::Es384,
            Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
            Material::Octets(secret) => {
                algorithm.hmac().is_some() && secret.len() >= algorithm.shortest_secret()
            }
        };
        is_kind && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// The signature is of this message.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> bool {
        let unparsed = |with: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(with, key).verify(message, signed).is_ok()
        };
        match &self.material {
            Material::Rsa { n, e } => algorithm.rsa().is_some_and(|with| {
                RsaPublicKeyComponents { n, e }
                    .verify(with, message, signed)
                    .is_ok()
            }),
            Material::P256(point) if algorithm == Algorithm::Es256 => {
                unparsed(&signature::ECDSA_P256_SHA256_FIXED, point)
            }
            Material::P384(point) if algorithm == Algorithm::Es384 => {
                unparsed(&signature::ECDSA_P384_SHA384_FIXED, point)
            }
            Material::Ed25519(point) if algorithm == Algorithm::EdDsa => unparsed(&signature::ED25519, point),
            Material::Octets(secret) => algorithm
                .hmac()
                .is_some_and(|with| hmac::verify(&hmac::Key::new(with, secret), message, signed).is_ok()),
            Material::P256(_) | Material::P384(_) | Material::Ed25519(_) => false,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests;
