use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Cacheable, Entry, Key, Owner, State};
use crate::kubernetes::Unavailable;

type Told<V> = Option<Result<V, Unavailable>>;

/// A part of all decisions, behind a lock of its own.
#[derive(Debug)]
pub struct Shard<V> {
    inside: RwLock<Inside<V>>,
    most: usize,
}

#[derive(Debug)]
struct Inside<V> {
    entries: HashMap<Key, Arc<Entry<V>>>,
    /// Questions that are being asked.
    flights: HashMap<Key, watch::Receiver<Told<V>>>,
}

pub enum Joined<V> {
    /// Somebody got the answer in the meantime.
    Known(V),
    Waiting(watch::Receiver<Told<V>>),
    First(watch::Receiver<Told<V>>, watch::Sender<Told<V>>),
}

// === impl Shard ===

impl<V: Cacheable> Shard<V> {
    pub fn new(most: usize) -> Self {
        let inside = Inside {
            entries: HashMap::new(),
            flights: HashMap::new(),
        };
        Self {
            inside: RwLock::new(inside),
            most,
        }
    }

    pub fn get(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        self.inside.read().entries.get(key).cloned()
    }

    pub fn join(&self, key: &Key, now: Instant) -> Joined<V> {
        let mut inside = self.inside.write();
        if let Some(entry) = inside.entries.get(key)
            && entry.state(now) == State::Current
        {
            return Joined::Known(entry.verdict.clone());
        }
        if let Some(flight) = inside.flights.get(key) {
            return Joined::Waiting(flight.clone());
        }
        let (tell, told) = watch::channel(None);
        inside.flights.insert(*key, told.clone());
        Joined::First(told, tell)
    }

    /// Begins a flight, unless there is one.
    pub fn begin(&self, key: &Key) -> Option<watch::Sender<Told<V>>> {
        let mut inside = self.inside.write();
        if inside.flights.contains_key(key) {
            return None;
        }
        let (tell, told) = watch::channel(None);
        inside.flights.insert(*key, told);
        Some(tell)
    }

    pub fn is_asked(&self, key: &Key) -> bool {
        self.inside.read().flights.contains_key(key)
    }

    pub fn end(&self, key: &Key) {
        self.inside.write().flights.remove(key);
    }

    /// Whether it is new. What is renewed still belongs to whoever made us keep it first.
    pub fn insert(&self, key: Key, mut entry: Entry<V>) -> bool {
        let mut inside = self.inside.write();
        let known = inside.entries.get(&key);
        let is_new = known.is_none();
        entry.owner = known.map_or(entry.owner, |known| known.owner);
        inside.entries.insert(key, Arc::new(entry));
        if inside.entries.len() > self.most {
            let others = || inside.entries.iter().filter(|(other, _)| **other != key);
            // What somebody uses goes last.
            let worthless = others().find(|(_, entry)| !entry.verdict.is_allow());
            let any = worthless.or_else(|| others().next()).map(|(other, _)| *other);
            any.map(|any| inside.entries.remove(&any));
        }
        is_new
    }

    pub fn remove_of(&self, key: &Key, owner: Owner) {
        let mut inside = self.inside.write();
        if inside.entries.get(key).is_some_and(|entry| entry.owner == owner) {
            inside.entries.remove(key);
        }
    }

    pub fn sweep(&self, now: Instant) {
        let is_good = |entry: &Arc<Entry<V>>| entry.state(now) != State::Over;
        self.inside.write().entries.retain(|_, entry| is_good(entry));
    }

    pub fn len(&self) -> usize {
        self.inside.read().entries.len()
    }
}
