//! The set of compiled resources, and what is pushed to proxies.
//!
//! Every resource carries the sequence at which its bytes last changed: a proxy that acknowledged that sequence, or a
//! later one, serves it as it is now. So `Programmed` costs one comparison a proxy, however many resources there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use genkan_proto::v1alpha1::{Resource, Snapshot};
use genkan_proto::{Hash, HashBuilder, MAX_CHUNK, compress, resource_hash};
use prost::Message;
use tokio::time::Instant;

/// One resource of the current world.
#[derive(Debug)]
struct Entry {
    /// What is sent of it, and all that is kept: the whole is held once.
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
pub struct World {
    entries: BTreeMap<String, Entry>,
    /// Counts changes; local to this process.
    sequence: u64,
}

/// A snapshot, encoded and compressed once for all streams.
#[derive(Debug)]
pub struct Push {
    pub sequence: u64,
    pub hash: Hash,
    pub chunks: Vec<Bytes>,
}

// === impl World ===

impl World {
    /// Takes in what a compile said. Returns true if any byte differs from before.
    pub fn apply(&mut self, upserts: Vec<Resource>, removals: &[String], now: Instant) -> bool {
        let since = Since {
            sequence: self.sequence + 1,
            at: now,
        };
        let mut changed = false;
        for key in removals {
            changed |= self.entries.remove(key).is_some();
        }
        for resource in upserts {
            let encoded = Bytes::from(resource.encode_to_vec());
            let hash = resource_hash(&encoded);
            match self.entries.get(&resource.key) {
                Some(old) if old.hash == hash => {}
                _ => {
                    changed = true;
                    self.entries.insert(resource.key, Entry { encoded, hash, since });
                }
            }
        }
        if changed {
            self.sequence = since.sequence;
        }
        changed
    }

    /// When the resource last changed; `None` if it is sent to no proxy.
    pub fn since(&self, key: &str) -> Option<Since> {
        self.entries.get(key).map(|e| e.since)
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

    pub fn hash(&self) -> Hash {
        let mut builder = HashBuilder::default();
        self.entries
            .iter()
            .for_each(|(key, entry)| builder.add(key, &entry.hash));
        builder.finish()
    }

    /// In the order of their keys.
    pub fn resources(&self) -> impl Iterator<Item = Resource> {
        self.entries
            .values()
            .filter_map(|e| Resource::decode(e.encoded.clone()).ok())
    }

    /// The whole world, ready to be sent.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub fn push(&self) -> Result<Arc<Push>, genkan_proto::SnapshotError> {
        let snapshot = Snapshot {
            upserts: self.entries.values().map(|e| e.encoded.clone()).collect(),
            removals: Vec::new(),
        };
        let frame = compress(&snapshot)?;
        let chunks = (0..frame.len().max(1))
            .step_by(MAX_CHUNK)
            .map(|from| frame.slice(from..frame.len().min(from + MAX_CHUNK)))
            .collect();
        Ok(Arc::new(Push {
            sequence: self.sequence,
            hash: self.hash(),
            chunks,
        }))
    }
}

#[cfg(test)]
mod tests {
    use genkan_proto::v1alpha1::{Endpoint, EndpointSet, resource};

    use super::*;

    fn mk_set(key: &str, port: u32) -> Resource {
        let set = EndpointSet {
            endpoints: vec![Endpoint {
                address: "10.0.0.1".into(),
                port,
            }],
        };
        Resource {
            key: key.into(),
            resource: Some(resource::Resource::EndpointSet(set)),
        }
    }

    #[tokio::test]
    async fn equal_bytes_are_no_change() {
        let mut world = World::default();
        assert_eq!(world.hash(), Hash::empty());
        assert!(world.apply(vec![mk_set("a", 1), mk_set("b", 1)], &[], Instant::now()));
        let hash = world.hash();
        assert!(!world.apply(vec![mk_set("a", 1)], &["nobody".into()], Instant::now()));
        assert_eq!((world.hash(), world.sequence()), (hash, 1));
    }

    #[tokio::test]
    async fn only_what_changed_gets_a_new_sequence() {
        let mut world = World::default();
        world.apply(vec![mk_set("a", 1), mk_set("b", 1)], &[], Instant::now());
        world.apply(vec![mk_set("b", 2)], &[], Instant::now());
        assert_eq!(world.since("a").unwrap().sequence, 1);
        assert_eq!(world.since("b").unwrap().sequence, 2);
        world.apply(vec![], &["a".into(), "b".into()], Instant::now());
        assert_eq!((world.hash(), world.since("a")), (Hash::empty(), None));
    }

    #[tokio::test]
    async fn insertion_order_does_not_show() {
        let (mut one, mut two) = (World::default(), World::default());
        one.apply(vec![mk_set("a", 1), mk_set("b", 1)], &[], Instant::now());
        two.apply(vec![mk_set("b", 1)], &[], Instant::now());
        two.apply(vec![mk_set("a", 1)], &[], Instant::now());
        assert_eq!(one.hash(), two.hash());
        assert_eq!(one.push().unwrap().chunks, two.push().unwrap().chunks);
    }
}
