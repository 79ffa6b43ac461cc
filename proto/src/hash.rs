use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The content hash of a set of resources.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hash(pub [u8; 32]);

/// A resource as far as the hash of its set is concerned.
pub trait Hashed {
    /// The BLAKE3 hash of its bytes as they are sent.
    fn hash(&self) -> &[u8; 32];
}

/// Resources by key, in 256 buckets: a change makes one bucket be hashed again, and not the whole.
#[derive(Debug)]
pub struct Buckets<T> {
    buckets: Vec<Bucket<T>>,
    len: usize,
    total: Option<Hash>,
}

#[derive(Debug)]
struct Bucket<T> {
    entries: BTreeMap<Box<str>, T>,
    /// `None` since something changed.
    hash: Option<[u8; 32]>,
}

const BUCKETS: usize = 256;

/// The hash of one resource's bytes, as they stand in a snapshot.
pub fn resource_hash(encoded: &[u8]) -> [u8; 32] {
    *blake3::hash(encoded).as_bytes()
}

// === impl Hash ===

impl Hash {
    /// The hash of a world without objects.
    pub fn empty() -> Self {
        Buckets::<[u8; 32]>::default().hash()
    }

    /// As it stands in a message; `None` if it has not the length of one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl Hashed for [u8; 32] {
    fn hash(&self) -> &[u8; 32] {
        self
    }
}

// === impl Buckets ===

impl<T> Default for Buckets<T> {
    fn default() -> Self {
        let bucket = || Bucket {
            entries: BTreeMap::new(),
            hash: None,
        };
        Self {
            buckets: std::iter::repeat_with(bucket).take(BUCKETS).collect(),
            len: 0,
            total: None,
        }
    }
}

impl<T> Buckets<T> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, key: &str) -> Option<&T> {
        self.buckets[place(key)].entries.get(key)
    }

    /// To change what the hash knows nothing of.
    pub fn amend(&mut self, key: &str) -> Option<&mut T> {
        self.buckets[place(key)].entries.get_mut(key)
    }

    /// What was there before comes back.
    pub fn insert(&mut self, key: &str, value: T) -> Option<T> {
        let before = match self.touch(key).entries.entry(key.into()) {
            Entry::Occupied(mut entry) => Some(entry.insert(value)),
            Entry::Vacant(entry) => {
                entry.insert(value);
                None
            }
        };
        self.len += usize::from(before.is_none());
        before
    }

    pub fn remove(&mut self, key: &str) -> Option<T> {
        if !self.buckets[place(key)].entries.contains_key(key) {
            return None;
        }
        let before = self.touch(key).entries.remove(key);
        self.len -= usize::from(before.is_some());
        before
    }

    /// In the order in which they are sent: of buckets, and of keys within one.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let entries = self.buckets.iter().flat_map(|bucket| &bucket.entries);
        entries.map(|(key, value)| (key.as_ref(), value))
    }

    fn touch(&mut self, key: &str) -> &mut Bucket<T> {
        self.total = None;
        let bucket = &mut self.buckets[place(key)];
        bucket.hash = None;
        bucket
    }
}

impl<T: Hashed> Buckets<T> {
    /// Hashes only the buckets that changed since the last time.
    pub fn hash(&mut self) -> Hash {
        if let Some(total) = self.total {
            return total;
        }
        let mut hasher = blake3::Hasher::new();
        for bucket in &mut self.buckets {
            hasher.update(bucket.hash.get_or_insert_with(|| hash_of(&bucket.entries)));
        }
        *self.total.insert(Hash(*hasher.finalize().as_bytes()))
    }
}

fn place(key: &str) -> usize {
    usize::from(blake3::hash(key.as_bytes()).as_bytes()[0])
}

fn hash_of<T: Hashed>(entries: &BTreeMap<Box<str>, T>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for (key, value) in entries {
        hasher.update(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
        hasher.update(key.as_bytes());
        hasher.update(value.hash());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_buckets(pairs: &[(&str, u8)]) -> Buckets<[u8; 32]> {
        let mut buckets = Buckets::default();
        for (key, value) in pairs {
            buckets.insert(key, [*value; 32]);
        }
        buckets
    }

    #[test]
    fn hash_tells_keys_and_content_apart() {
        let of = |pairs: &[(&str, u8)]| mk_buckets(pairs).hash();
        assert_eq!(of(&[]), Hash::empty());
        assert_ne!(of(&[("a", 1)]), of(&[("a", 2)]));
        assert_ne!(of(&[("a", 1)]), of(&[("b", 1)]));
        assert_eq!(of(&[("a", 1), ("b", 2)]), of(&[("b", 2), ("a", 1)]));
        assert_eq!(Hash::empty().to_string().len(), 64);
    }

    /// Whatever the way, the hash is that of what is there.
    #[test]
    fn hash_follows_every_edit() {
        let keys: Vec<String> = (0..600).map(|n| format!("ReverseProxy/{n}")).collect();
        let mut buckets = Buckets::default();
        for (n, key) in keys.iter().enumerate() {
            buckets.insert(key, [u8::try_from(n % 251).unwrap(); 32]);
            if n % 3 == 0 {
                buckets.hash();
            }
            if n % 5 == 0 {
                buckets.remove(&keys[n / 2]);
            }
        }
        let mut fresh = Buckets::default();
        for (key, value) in buckets.iter() {
            fresh.insert(key, *value);
        }
        assert_eq!((buckets.hash(), buckets.len()), (fresh.hash(), fresh.len()));
        let left: Vec<String> = buckets.iter().map(|(key, _)| key.to_owned()).collect();
        for key in &left {
            assert!(buckets.remove(key).is_some() && buckets.remove(key).is_none());
        }
        assert_eq!((buckets.hash(), buckets.is_empty()), (Hash::empty(), true));
    }
}
