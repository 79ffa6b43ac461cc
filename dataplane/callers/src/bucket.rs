use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::decisions::Owner;

/// How much anybody may ask for: `burst` at once, then one each `interval`.
#[derive(Debug)]
pub struct Buckets {
    /// When the bucket of an owner will be full again.
    shards: Box<[Mutex<HashMap<Owner, Instant>>]>,
    interval: Duration,
    burst: u32,
}

/// Everything is used up; to be tried again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Empty(pub Duration);

const SHARDS: u64 = 16;
/// In one shard. Beyond that owners share a bucket, until some of theirs are full again.
const MOST: usize = 4_096;

// === impl Buckets ===

impl Buckets {
    pub fn new(each_second: u32, burst: u32) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            interval: Duration::from_secs(1) / each_second.max(1),
            burst,
        }
    }

    /// Takes one out. Returns whose it was: beyond a number they share one bucket.
    ///
    /// # Errors
    /// When there is none.
    pub fn take(&self, owner: Owner, now: Instant) -> Result<Owner, Empty> {
        let shard = owner % SHARDS;
        let mut full = self.shards[shard as usize].lock();
        if full.len() >= MOST && !full.contains_key(&owner) {
            full.retain(|_, at| *at > now);
        }
        // Every shard has one that is shared, under a number that leads to it.
        let owner = match full.len() < MOST || full.contains_key(&owner) {
            true => owner,
            false => shard,
        };
        let at = full.entry(owner).or_insert(now);
        let next = (*at).max(now) + self.interval;
        let wait = (next - now).saturating_sub(self.interval * self.burst);
        if !wait.is_zero() {
            return Err(Empty(wait));
        }
        *at = next;
        Ok(owner)
    }

    /// Puts one back.
    pub fn give_back(&self, owner: Owner) {
        let mut full = self.shards[(owner % SHARDS) as usize].lock();
        if let Some(at) = full.get_mut(&owner) {
            *at = at.checked_sub(self.interval).unwrap_or(*at);
        }
    }
}

// === impl Empty ===

impl Empty {
    /// Whole seconds, for `Retry-After`.
    pub fn seconds(self) -> u32 {
        u32::try_from(self.0.as_secs()).unwrap_or(u32::MAX - 1) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JANE: Owner = 7;

    #[test]
    fn burst_is_had_at_once_and_the_rest_in_time() {
        let (buckets, now) = (Buckets::new(10, 3), Instant::now());
        assert!((0..3).all(|_| buckets.take(JANE, now).is_ok()));
        assert_eq!(buckets.take(JANE, now), Err(Empty(Duration::from_millis(100))));
        assert!(buckets.take(8, now).is_ok(), "everybody has a bucket");
        let later = now + Duration::from_millis(100);
        assert!(buckets.take(JANE, later).is_ok() && buckets.take(JANE, later).is_err());
        let much_later = now + Duration::from_secs(3600);
        assert!((0..3).all(|_| buckets.take(JANE, much_later).is_ok()));
        assert!(buckets.take(JANE, much_later).is_err(), "no more than the burst");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (buckets, now) = (Buckets::new(10, 2), Instant::now());
        for _ in 0..100 {
            assert!(buckets.take(JANE, now).is_ok());
            buckets.give_back(JANE);
        }
        buckets.give_back(9);
    }

    #[test]
    fn number_of_buckets_is_bounded() {
        let (buckets, now) = (Buckets::new(1, 1), Instant::now());
        for owner in 0..200_000 {
            let _ = buckets.take(owner, now);
        }
        let held: usize = buckets.shards.iter().map(|shard| shard.lock().len()).sum();
        assert!(held <= (MOST + 1) * SHARDS as usize, "{held}");
        assert!(buckets.take(300_000, now).is_err(), "strangers share one by then");
        assert!(buckets.take(300_000, now + Duration::from_secs(2)).is_ok());
    }
}
