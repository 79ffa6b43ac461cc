use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use super::{Key, Owner};

/// Who made us keep what, the oldest first; looked at only when something new is kept.
#[derive(Debug)]
pub struct Owners {
    shards: Box<[Mutex<Kept>]>,
    most_of_one: usize,
}

type Kept = HashMap<Owner, VecDeque<Key>>;

const SHARDS: u64 = 16;

// === impl Owners ===

impl Owners {
    pub fn new(most_of_one: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            most_of_one,
        }
    }

    /// Notes a key; gives those that are too many for this owner.
    pub fn add(&self, owner: Owner, key: Key) -> Vec<Key> {
        let shard = &self.shards[(owner % SHARDS) as usize];
        let mut owners = shard.lock();
        let keys = owners.entry(owner).or_default();
        keys.push_back(key);
        let surplus = keys.len().saturating_sub(self.most_of_one);
        keys.drain(..surplus).collect()
    }

    pub fn retain(&self, is_kept: impl Fn(Owner, &Key) -> bool) {
        for shard in &self.shards {
            shard.lock().retain(|owner, keys| {
                keys.retain(|key| is_kept(*owner, key));
                !keys.is_empty()
            });
        }
    }
}
