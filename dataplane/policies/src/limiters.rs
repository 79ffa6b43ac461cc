//! How often, and how many at a time. Limiters outlive the plans that use them: a plan that is linked again for the same
//! object finds the ones that it had.

mod count;
mod rate;
mod table;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

pub(crate) use count::{CountLimiter, Held};
pub(crate) use rate::{RateLimiter, Taken};
pub(crate) use table::{Table, Total};

/// Credentials that were found good, of all steps.
pub(crate) static CREDENTIALS: Total = Total::new(10_000, 64);

/// The limiters that plans of this process use.
#[derive(Debug, Default)]
pub struct Limiters {
    rates: Mutex<HashMap<String, Weak<RateLimiter>>>,
    counts: Mutex<HashMap<String, Weak<CountLimiter>>>,
}

// === impl Limiters ===

impl Limiters {
    /// `key`: the object, and the configuration of the step.
    pub(crate) fn rate(&self, key: &str, make: impl FnOnce() -> RateLimiter) -> Arc<RateLimiter> {
        Self::kept(&self.rates, key, make)
    }

    pub(crate) fn count(&self, key: &str, make: impl FnOnce() -> CountLimiter) -> Arc<CountLimiter> {
        Self::kept(&self.counts, key, make)
    }

    fn kept<T>(all: &Mutex<HashMap<String, Weak<T>>>, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut all = all.lock();
        if let Some(limiter) = all.get(key).and_then(Weak::upgrade) {
            return limiter;
        }
        // What no plan uses any more goes when something new comes.
        all.retain(|_, limiter| limiter.strong_count() > 0);
        let limiter = Arc::new(make());
        all.insert(key.to_owned(), Arc::downgrade(&limiter));
        limiter
    }
}
