//! The set of compiled resources, and what proxies are told of it.
//!
//! Every resource carries the sequence at which its bytes last changed: a proxy that acknowledged that sequence, or a
//! later one, serves it as it is now. So `Programmed` costs one comparison a proxy, however many resources there are.

mod feed;
mod history;
mod secrets;

use std::sync::Arc;

use bytes::Bytes;
use genkan_proto::codec::SealedSecret;
use genkan_proto::{Buckets, Hash, Hashed, codec, resource_hash};
use genkan_routing::model::{Published, Resource, ResourceKey, Secret, SecretKey};
use tokio::time::Instant;

pub use feed::{Feed, FeedError, Push, Scope, Version};
use history::History;
pub use secrets::HashKey;
use secrets::Secrets;

/// One resource as it is now.
#[derive(Debug)]
struct Entry {
    /// What is sent of it.
    encoded: Bytes,
    hash: [u8; 32],
    since: Since,
}

/// When the bytes of a resource last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    pub sequence: u64,
    pub at: Instant,
}

/// Everything that proxies are to serve.
#[derive(Debug, Default)]
pub struct Resources {
    entries: Buckets<Entry>,
    history: History,
    secrets: Secrets,
    /// Counts changes; local to this process.
    sequence: u64,
}

/// What leads from one state to the present one.
#[derive(Debug)]
pub struct Difference {
    /// `None`: from nothing.
    pub base: Option<Hash>,
    pub upserts: Vec<Bytes>,
    pub removals: Vec<String>,
    /// The keys of `upserts`, in their order; empty where there is no base.
    pub keys: Vec<String>,
    /// The values that secrets among the upserts name.
    pub secrets: Vec<Arc<SealedSecret>>,
}

impl Hashed for Entry {
    fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

// === impl Resources ===

impl Resources {
    /// Takes in what a compile said. Returns true if any byte differs from before.
    pub fn apply(&mut self, upserts: Vec<Resource>, removals: &[ResourceKey], now: Instant) -> bool {
        let base = self.hash();
        let since = Since {
            sequence: self.sequence + 1,
            at: now,
        };
        let mut changed = Vec::new();
        for key in removals {
            let key = key.to_string();
            if self.entries.remove(&key).is_some() {
                changed.push(key);
            }
        }
        for resource in upserts {
            let encoded = codec::encode(&resource);
            let hash = resource_hash(&encoded);
            let key = resource.key.to_string();
            if self.entries.get(&key).is_none_or(|old| old.hash != hash) {
                let entry = Entry { encoded, hash, since };
                self.entries.insert(&key, entry);
                changed.push(key);
            }
        }
        if changed.is_empty() {
            return false;
        }
        self.sequence = since.sequence;
        self.history.note(base, changed);
        true
    }

    /// Takes in values of secrets, or that there is none any more: what is to be applied with everything else.
    pub fn seal(
        &mut self,
        changes: Vec<(SecretKey, Option<Secret>)>,
        upserts: &mut Vec<Resource>,
        removals: &mut Vec<ResourceKey>,
    ) {
        for (key, secret) in changes {
            match secret {
                Some(secret) => upserts.push(self.secrets.insert(key, &secret)),
                None => {
                    self.secrets.remove(&key);
                    removals.push(key.into());
                }
            }
        }
    }

    /// From now on there is a secret of data planes alone, for those who log in to web UIs.
    pub fn admit_logins(&mut self, now: Instant) {
        let secret = self.secrets.admit_logins();
        self.apply(vec![secret], &[], now);
    }

    /// Hashes secrets under this key from now on. Returns true if any byte differs from before.
    pub fn rekey(&mut self, key: HashKey, now: Instant) -> bool {
        let upserts = self.secrets.rekey(key);
        self.apply(upserts, &[], now)
    }

    /// The values of all secrets.
    pub fn secrets(&self) -> Vec<Arc<SealedSecret>> {
        self.secrets.iter().cloned().collect()
    }

    /// When the resource last changed; `None` if it is sent to no proxy.
    pub fn since(&self, key: &ResourceKey) -> Option<Since> {
        self.entries.get(&key.to_string()).map(|e| e.since)
    }

    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn hash(&mut self) -> Hash {
        self.entries.hash()
    }

    /// The bytes that proxies are sent, by key.
    pub fn encoded(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.entries.iter().map(|(key, e)| (key, &e.encoded))
    }

    /// Whether a proxy that begins may be told this first and the changes since then: of an extension it takes the revision
    /// that it meets first.
    fn can_begin_with(&mut self, hash: &Hash) -> bool {
        let is_revision = |key: &String| {
            key.split_once('/')
                .is_some_and(|(kind, _)| kind == Published::GatewayExtension.name())
        };
        let since = self.history.since(hash);
        self.hash() == *hash || since.is_some_and(|keys| !keys.iter().any(is_revision))
    }

    /// What somebody who holds `base` lacks: as much as changed since, or everything where that is not known any more.
    pub fn difference(&mut self, base: Option<Hash>) -> Difference {
        let present = self.hash();
        let known = base.and_then(|base| {
            let keys = if base == present {
                Vec::new()
            } else {
                self.history.since(&base)?
            };
            Some((base, keys))
        });
        let Some((base, keys)) = known else {
            return Difference {
                base: None,
                upserts: self.entries.iter().map(|(_, e)| e.encoded.clone()).collect(),
                removals: Vec::new(),
                keys: Vec::new(),
                secrets: self.secrets(),
            };
        };
        let mut difference = Difference {
            base: Some(base),
            upserts: Vec::new(),
            removals: Vec::new(),
            keys: Vec::new(),
            secrets: Vec::new(),
        };
        for key in keys {
            match self.entries.get(&key) {
                Some(entry) => {
                    difference.upserts.push(entry.encoded.clone());
                    difference.secrets.extend(self.secrets.get(&key).cloned());
                    difference.keys.push(key);
                }
                None => difference.removals.push(key),
            }
        }
        difference
    }
}

#[cfg(test)]
mod tests;
