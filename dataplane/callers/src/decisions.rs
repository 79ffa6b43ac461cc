//! Answers of the API server that are kept: who somebody is, what they may do.
//!
//! A decision that is known costs its request no waiting. It is renewed in the background from half its life on, as long
//! as it is used; only a question that nobody has asked before, or not for long, waits for its answer.

mod entry;
mod owners;
mod shard;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::kubernetes::Unavailable;
pub use entry::{Entry, State};
use owners::Owners;
use shard::{Joined, Shard};

/// A keyed hash of everything that was asked.
pub type Key = [u8; 32];
/// Who made us ask; a hash.
pub type Owner = u64;

/// What can be decided.
pub trait Cacheable: Clone + Send + Sync + 'static {
    fn is_allow(&self) -> bool;
}

/// An answer, and for how long it may hold at most.
#[derive(Debug, Clone)]
pub struct Answered<V> {
    pub verdict: V,
    pub ends_in: Option<Duration>,
}

/// How long decisions live, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub allow: Duration,
    pub deny: Duration,
    /// For so long after its end a yes is honoured while the API server is away.
    pub stale: Duration,
    pub most: usize,
    pub most_of_one_owner: usize,
}

#[derive(Debug)]
pub struct Decisions<V> {
    shards: Box<[Shard<V>]>,
    owners: Owners,
    limits: Limits,
    epoch: Instant,
}

/// What is known without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<V> {
    pub verdict: V,
    pub is_stale: bool,
    /// The caller is the one who has to start its renewal.
    pub is_due: bool,
}

const SHARDS: usize = 64;
/// Bytes that are hashed at once; most questions are shorter.
const GATHERED: usize = 256;

// === impl Limits ===

impl Limits {
    pub fn new(stale: Duration) -> Self {
        Self {
            allow: Duration::from_secs(60),
            deny: Duration::from_secs(10),
            stale,
            most: 65_536,
            most_of_one_owner: 65_536 / 64,
        }
    }
}

// === impl Decisions ===

impl<V: Cacheable> Decisions<V> {
    pub fn new(limits: Limits) -> Self {
        let of_one = limits.most.div_ceil(SHARDS);
        Self {
            shards: (0..SHARDS).map(|_| Shard::new(of_one)).collect(),
            owners: Owners::new(limits.most_of_one_owner),
            limits,
            epoch: Instant::now(),
        }
    }

    /// What is known of a question; `is_away`: nobody could be asked.
    pub fn known(&self, key: &Key, now: Instant, is_away: bool) -> Option<Known<V>> {
        let entry = self.shard(key).get(key)?;
        let is_stale = match entry.state(now) {
            State::Current => false,
            State::Honoured if is_away => true,
            State::Honoured | State::Over => return None,
        };
        Some(Known {
            is_due: entry.is_due(self.since_epoch(now)),
            verdict: entry.verdict.clone(),
            is_stale,
        })
    }

    /// A yes of the past that may stand in when nobody answers.
    pub fn honoured(&self, key: &Key, now: Instant) -> Option<V> {
        let entry = self.shard(key).get(key)?;
        let is_good = entry.verdict.is_allow() && entry.state(now) != State::Over;
        is_good.then(|| entry.verdict.clone())
    }

    /// Whether a question is being asked: whoever asks it now waits for the same answer.
    pub fn is_asked(&self, key: &Key) -> bool {
        self.shard(key).is_asked(key)
    }

    /// Waits for the answer to a question, which is asked once however many wait.
    ///
    /// # Errors
    /// When there is no answer. Nothing is kept then.
    pub async fn ask<F>(
        self: &Arc<Self>,
        key: Key,
        owner: Owner,
        review: impl FnOnce() -> F,
    ) -> Result<V, Unavailable>
    where
        F: Future<Output = Result<Answered<V>, Unavailable>> + Send + 'static,
    {
        let mut answer = match self.shard(&key).join(&key, Instant::now()) {
            Joined::Known(verdict) => return Ok(verdict),
            Joined::Waiting(answer) => answer,
            Joined::First(answer, tell) => {
                self.start(key, owner, tell, review());
                answer
            }
        };
        let told = answer.wait_for(Option::is_some).await;
        told.ok()
            .and_then(|told| told.clone())
            .unwrap_or_else(|| Err(Unavailable::Unclear("the review was broken off".into())))
    }

    /// Asks again in the background, if nobody does so already.
    pub fn renew<F>(self: &Arc<Self>, key: Key, owner: Owner, review: impl FnOnce() -> F)
    where
        F: Future<Output = Result<Answered<V>, Unavailable>> + Send + 'static,
    {
        if let Some(tell) = self.shard(&key).begin(&key) {
            self.start(key, owner, tell, review());
        }
    }

    /// In a task of its own: whoever asked may go away, and others wait for the same answer.
    fn start<F>(
        self: &Arc<Self>,
        key: Key,
        owner: Owner,
        tell: watch::Sender<Option<Result<V, Unavailable>>>,
        review: F,
    ) where
        F: Future<Output = Result<Answered<V>, Unavailable>> + Send + 'static,
    {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let mut flight = Flight {
                decisions: &this,
                key,
                entry: None,
            };
            let asked = Instant::now();
            let answered = review.await;
            let told = answered.map(|answered| {
                let verdict = answered.verdict.clone();
                flight.entry = Some(this.entry(answered, owner, asked));
                verdict
            });
            drop(flight);
            tell.send_replace(Some(told));
        });
    }

    fn entry(&self, answered: Answered<V>, owner: Owner, asked: Instant) -> Entry<V> {
        let is_allow = answered.verdict.is_allow();
        let life = if is_allow {
            self.limits.allow
        } else {
            self.limits.deny
        };
        let longest = answered.ends_in.unwrap_or(Duration::MAX);
        let (life, stale) = (life.min(longest), self.limits.stale);
        let honoured = match is_allow {
            true => life.saturating_add(stale).min(longest),
            false => life,
        };
        // Denials are short enough.
        let renewal = is_allow.then(|| self.since_epoch(asked + life / 2));
        Entry::new(answered.verdict, owner, asked + life, asked + honoured, renewal)
    }

    /// Keeps an answer that was got otherwise, in place of the one that is known.
    pub fn put(&self, key: Key, owner: Owner, answered: Answered<V>) {
        self.keep(key, self.entry(answered, owner, Instant::now()));
    }

    /// Keeps a verdict for as long as this, whatever its kind is kept for otherwise.
    pub fn put_for(&self, key: Key, owner: Owner, verdict: V, life: Duration) {
        let end = Instant::now() + life;
        self.keep(key, Entry::new(verdict, owner, end, end, None));
    }

    fn keep(&self, key: Key, entry: Entry<V>) {
        let owner = entry.owner;
        if self.shard(&key).insert(key, entry) {
            for oldest in self.owners.add(owner, key) {
                self.shard(&oldest).remove_of(&oldest, owner);
            }
        }
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            shard.sweep(now);
        }
        self.owners.retain(|owner, key| {
            let entry = self.shard(key).get(key);
            entry.is_some_and(|entry| entry.owner == owner)
        });
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn since_epoch(&self, at: Instant) -> u64 {
        let millis = at.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX)
    }

    fn shard(&self, key: &Key) -> &Shard<V> {
        // Keys are keyed hashes: their bytes are as good as random, also to whoever chose the question.
        &self.shards[usize::from(key[0]) % SHARDS]
    }
}

/// Ends the flight however its task ends.
struct Flight<'d, V: Cacheable> {
    decisions: &'d Decisions<V>,
    key: Key,
    entry: Option<Entry<V>>,
}

impl<V: Cacheable> Drop for Flight<'_, V> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.decisions.keep(self.key, entry);
        }
        self.decisions.shard(&self.key).end(&self.key);
    }
}

/// Hashes what a question is made of: no two lists of parts look alike, wherever their borders are.
#[derive(Debug, Clone)]
pub struct Keys {
    secret: [u8; 32],
    owners: RandomState,
}

// === impl Keys ===

impl Default for Keys {
    /// With a key of this process alone.
    fn default() -> Self {
        Self {
            secret: rand::random(),
            owners: RandomState::new(),
        }
    }
}

impl Keys {
    pub fn of<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        // What is small goes together: each update takes a hundred instructions of its own.
        let (mut gathered, mut length) = ([0; GATHERED], 0);
        for part in parts {
            for bytes in [&(part.len() as u64).to_le_bytes()[..], part] {
                if length + bytes.len() > GATHERED {
                    hasher.update(&gathered[..length]);
                    length = 0;
                }
                if bytes.len() > GATHERED {
                    hasher.update(bytes);
                } else {
                    gathered[length..length + bytes.len()].copy_from_slice(bytes);
                    length += bytes.len();
                }
            }
        }
        hasher.update(&gathered[..length]);
        hasher.finalize().into()
    }

    pub fn owner(&self, who: impl std::hash::Hash) -> Owner {
        self.owners.hash_one(who)
    }
}

#[cfg(test)]
mod tests;
