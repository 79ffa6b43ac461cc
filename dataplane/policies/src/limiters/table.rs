use std::borrow::{Borrow, Cow};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};

use ring::digest::{SHA256, digest};

/// Values by what clients choose: their number has a bound, and the oldest goes first.
#[derive(Debug)]
pub(crate) struct Table<K: Clone + Eq + Hash, V> {
    most: usize,
    /// What it has to keep within together with others.
    total: Option<&'static Total>,
    /// So many make it look for what is of no use any more.
    full_at: usize,
    all: HashMap<K, Entry<V>>,
    /// In the order of coming; one that was used since gets a second turn.
    order: VecDeque<K>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    was_used: bool,
}

/// How many entries the tables of one kind hold together, in the whole process.
#[derive(Debug)]
pub(crate) struct Total {
    most: usize,
    /// Each of them may hold so many, however many there are in all: none takes the place of all others.
    share: usize,
    held: AtomicUsize,
}

/// Longer keys are kept as their hash.
const LONGEST_KEY: usize = 128;
/// Fewer are not worth a look.
const FEW: usize = 64;

// === impl Total ===

impl Total {
    pub(crate) const fn new(most: usize, share: usize) -> Self {
        Self {
            most,
            share,
            held: AtomicUsize::new(0),
        }
    }
}

// === impl Table ===

impl<K: Clone + Eq + Hash, V> Table<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            total: None,
            full_at: FEW,
            all: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn within(most: usize, total: &'static Total) -> Self {
        let mut table = Self::new(most);
        table.total = Some(total);
        table
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let entry = self.all.get_mut(key)?;
        entry.was_used = true;
        Some(&mut entry.value)
    }

    /// Makes room first, where much has come since it was last looked at: what is not of use any more goes.
    pub(crate) fn insert_among(&mut self, key: K, value: V, is_of_use: impl Fn(&V) -> bool) {
        if self.all.len() >= self.full_at {
            let before = self.all.len();
            self.all.retain(|_, entry| is_of_use(&entry.value));
            let Self { all, order, .. } = self;
            order.retain(|key| all.contains_key(key));
            self.full_at = (all.len() * 2).max(FEW);
            all.shrink_to(self.full_at);
            order.shrink_to(self.full_at);
            self.gone(before - self.all.len());
        }
        self.insert(key, value);
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        let entry = Entry {
            value,
            was_used: false,
        };
        if self.all.insert(key.clone(), entry).is_none() {
            self.order.push_back(key);
            if let Some(total) = self.total {
                total.held.fetch_add(1, Ordering::Relaxed);
            }
        }
        while self.is_too_full() {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            match self.all.get_mut(&oldest) {
                Some(entry) if entry.was_used => {
                    entry.was_used = false;
                    self.order.push_back(oldest);
                }
                Some(_) | None => {
                    if self.all.remove(&oldest).is_some() {
                        self.gone(1);
                    }
                }
            }
        }
    }

    fn is_too_full(&self) -> bool {
        let has_more_than_all = |total: &&Total| total.held.load(Ordering::Relaxed) > total.most;
        let is_crowded = self.total.as_ref().is_some_and(has_more_than_all);
        let share = self.total.map_or(0, |total| total.share);
        self.all.len() > self.most || (is_crowded && self.all.len() > share)
    }

    fn gone(&self, count: usize) {
        if let Some(total) = self.total {
            total.held.fetch_sub(count, Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

impl<K: Clone + Eq + Hash, V> Drop for Table<K, V> {
    fn drop(&mut self) {
        self.gone(self.all.len());
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

    #[test]
    fn tables_keep_within_what_all_of_them_may_hold() {
        static TOTAL: Total = Total::new(100, 10);
        let held = || TOTAL.held.load(Ordering::Relaxed);
        let mut large = Table::within(1000, &TOTAL);
        for index in 0..500 {
            large.insert(index, ());
        }
        assert_eq!((large.len(), held()), (100, 100));
        let mut other = Table::within(1000, &TOTAL);
        for index in 0..50 {
            other.insert(index, ());
        }
        // Each has its share.
        assert_eq!((other.len(), held()), (10, 110));
        large.insert(1000, ());
        assert!(large.len() < 100 && held() <= 110);
        drop(large);
        assert_eq!(held(), 10);
        drop(other);
        assert_eq!(held(), 0);
    }

    #[test]
    fn what_is_of_no_use_goes_first() {
        let mut table = Table::new(10_000);
        for now in 0..10_000_u64 {
            table.insert_among(now, now + 5, |until| *until > now);
        }
        assert!(table.len() <= FEW, "{}", table.len());
        assert_eq!(table.order.len(), table.len());
    }
}
