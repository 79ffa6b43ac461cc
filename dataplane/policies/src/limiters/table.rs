use std::borrow::{Borrow, Cow};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use ring::digest::{SHA256, digest};

/// Values by what clients choose: their number has a bound, and the oldest goes first.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    most: usize,
    all: HashMap<K, Entry<V>>,
    /// In the order of coming; one that was used since gets a second turn.
    order: VecDeque<K>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    was_used: bool,
}

/// Longer keys are kept as their hash.
const LONGEST_KEY: usize = 128;

// === impl Table ===

impl<K: Clone + Eq + Hash, V> Table<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            all: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let entry = self.all.get_mut(key)?;
        entry.was_used = true;
        Some(&mut entry.value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        let entry = Entry {
            value,
            was_used: false,
        };
        if self.all.insert(key.clone(), entry).is_none() {
            self.order.push_back(key);
        }
        while self.all.len() > self.most {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            match self.all.get_mut(&oldest) {
                Some(entry) if entry.was_used => {
                    entry.was_used = false;
                    self.order.push_back(oldest);
                }
                Some(_) | None => {
                    self.all.remove(&oldest);
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

/// A text that clients choose, as a key of bounded length.
pub(crate) fn short(key: &str) -> Cow<'_, str> {
    if key.len() <= LONGEST_KEY {
        return Cow::Borrowed(key);
    }
    let hash = digest(&SHA256, key.as_bytes());
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digits = hash.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Cow::Owned(digits.map(|digit| char::from(HEX[usize::from(digit)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_nobody_used_goes_first() {
        let mut table = Table::new(3);
        for key in ["a", "b", "c"] {
            table.insert(key.to_owned(), key.len());
        }
        assert!(table.get("a").is_some());
        table.insert("d".to_owned(), 1);
        assert!(table.get("b").is_none() && table.get("a").is_some());
        for index in 0..1000 {
            table.insert(format!("{index}"), 0);
        }
        assert_eq!(table.len(), 3);
        assert_eq!(table.order.len(), 3);
        assert_eq!(short(&"x".repeat(LONGEST_KEY + 1)).len(), 64);
    }
}
