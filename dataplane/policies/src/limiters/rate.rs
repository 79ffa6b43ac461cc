use std::time::Duration;

use parking_lot::Mutex;

use super::table::{Table, Total, short};

/// By the generic cell rate algorithm: so many at once, and then one more every so often.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    requests: u128,
    /// Nanoseconds; times are counted in units of a nanosecond by `requests`, so that nothing is rounded.
    per: u128,
    /// By key: when it would be as if nobody had come.
    full: Mutex<Table<Box<str>, u128>>,
}

/// What a request finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) is_allowed: bool,
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Whole seconds until all of it is there again.
    pub(crate) reset: u64,
    /// Whole seconds, at least 1; `None` where waiting does not help.
    pub(crate) retry_after: Option<u64>,
}

/// Keys of one limiter at most.
const MOST_KEYS: usize = 10_000;
/// Of all limiters together, each of which may have some.
static KEYS: Total = Total::new(200_000, 1_000);

// === impl RateLimiter ===

impl RateLimiter {
    pub(crate) fn new(requests: u64, per: Duration) -> Self {
        Self {
            requests: u128::from(requests),
            per: per.as_nanos().max(1),
            full: Mutex::new(Table::within(MOST_KEYS, &KEYS)),
        }
    }

    /// `takes`: it costs something, if it is allowed.
    pub(crate) fn ask(&self, key: &str, weight: u64, takes: bool, elapsed: Duration) -> Taken {
        let now = elapsed.as_nanos() * self.requests;
        let room = self.per * self.requests;
        let cost = u128::from(weight) * self.per;
        let key = short(key);
        let mut full = self.full.lock();
        let known = full.get(&*key);
        let before = known.as_deref().copied().unwrap_or(now).max(now);
        let after = before.saturating_add(cost);
        let is_allowed = after - now <= room;
        let kept = if is_allowed && takes { after } else { before };
        if is_allowed && takes {
            match known {
                Some(known) => *known = after,
                // One that is full again is as if it had never been.
                None => full.insert_among(key.into(), after, |full| *full > now),
            }
        }
        drop(full);
        let used = kept - now;
        let wait = (after - now).saturating_sub(room);
        Taken {
            is_allowed,
            limit: small(self.requests),
            remaining: small(room.saturating_sub(used) / self.per),
            reset: self.seconds(used),
            retry_after: (!is_allowed && cost <= room).then(|| self.seconds(wait).max(1)),
        }
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, key: &str, weight: u64, elapsed: Duration) {
        let now = elapsed.as_nanos() * self.requests;
        let mut full = self.full.lock();
        if let Some(known) = full.get(&*short(key)) {
            *known = known.saturating_sub(u128::from(weight) * self.per).max(now);
        }
    }

    fn seconds(&self, span: u128) -> u64 {
        small(span.div_ceil(self.requests.max(1) * 1_000_000_000))
    }
}

fn small(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_costs_nothing_and_what_is_given_back_is_there_again() {
        let limiter = RateLimiter::new(2, Duration::from_secs(2));
        let ask = |at: u64| limiter.ask("a", 1, true, Duration::from_millis(at));
        assert!(ask(0).is_allowed && ask(0).is_allowed);
        for _ in 0..10 {
            assert_eq!(ask(500).retry_after, Some(1));
        }
        assert!(ask(1000).is_allowed);
        limiter.give_back("a", 1, Duration::from_secs(1));
        assert!(ask(1000).is_allowed);
        assert!(!ask(1000).is_allowed);
    }
}
