use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ring::digest::{SHA256, digest};

/// Values by texts that clients choose: their number and their length have a bound, and the oldest goes first.
#[derive(Debug)]
pub(crate) struct Table<V> {
    most: usize,
    all: HashMap<Arc<str>, Entry<V>>,
    /// In the order of coming; one that was used since gets a second turn.
    order: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    was_used: bool,
}

/// Longer keys are kept as their hash.
const LONGEST_KEY: usize = 128;

// === impl Table ===

impl<V> Table<V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            all: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<&mut V> {
        let entry = self.all.get_mut(&*short(key))?;
        entry.was_used = true;
        Some(&mut entry.value)
    }

    pub(crate) fn insert(&mut self, key: &str, value: V) {
        let key: Arc<str> = Arc::from(short(key));
        let entry = Entry {
            value,
            was_used: false,
        };
        if self.all.insert(Arc::clone(&key), entry).is_none() {
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

    pub(crate) fn remove(&mut self, key: &str) {
        let key = short(key);
        if self.all.remove(&*key).is_some() {
            self.order.retain(|other| **other != *key);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

pub(crate) fn short(key: &str) -> Cow<'_, str> {
    if key.len() <= LONGEST_KEY {
        return Cow::Borrowed(key);
    }
    let hash = digest(&SHA256, key.as_bytes());
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Cow::Owned(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_nobody_used_goes_first() {
        let mut table = Table::new(3);
        for key in ["a", "b", "c"] {
            table.insert(key, key.len());
        }
        assert!(table.get("a").is_some());
        table.insert("d", 1);
        assert!(table.get("b").is_none() && table.get("a").is_some());
        for index in 0..1000 {
            table.insert(&format!("{index}{}", "x".repeat(200)), 0);
        }
        assert_eq!(table.len(), 3);
        assert_eq!(table.order.len(), 3);
    }
}
