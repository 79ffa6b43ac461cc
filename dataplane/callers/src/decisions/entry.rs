use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::Owner;

/// One decision that is kept.
#[derive(Debug)]
pub struct Entry<V> {
    pub verdict: V,
    pub owner: Owner,
    until: Instant,
    /// Not before `until`; later than it only for a yes.
    honoured_until: Instant,
    /// When it is renewed next, in milliseconds of the process.
    renewal: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Current,
    /// Over, but good while nobody can be asked.
    Honoured,
    Over,
}

const NEVER: u64 = u64::MAX;
/// Between two attempts to renew.
const AGAIN: u64 = 1_000;

// === impl Entry ===

impl<V> Entry<V> {
    pub fn new(
        verdict: V,
        owner: Owner,
        until: Instant,
        honoured_until: Instant,
        renewal: Option<u64>,
    ) -> Self {
        Self {
            verdict,
            owner,
            until,
            honoured_until,
            renewal: AtomicU64::new(renewal.unwrap_or(NEVER)),
        }
    }

    pub fn state(&self, now: Instant) -> State {
        if now < self.until {
            State::Current
        } else if now < self.honoured_until {
            State::Honoured
        } else {
            State::Over
        }
    }

    /// True for one caller each time that it is due.
    pub fn is_due(&self, now: u64) -> bool {
        let due = self.renewal.load(Ordering::Relaxed);
        now >= due
            && self
                .renewal
                .compare_exchange(
                    due,
                    now.saturating_add(AGAIN),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
}
