use std::time::Duration;

use rand::Rng;

/// Pauses between attempts, drawn from zero to a bound that doubles: many proxies that lost one operator come back
/// spread out.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_secs(15);

// === impl Backoff ===

impl Backoff {
    pub fn next(&mut self) -> Duration {
        let bound = self.bound();
        self.attempts = self.attempts.saturating_add(1);
        rand::rng().random_range(Duration::ZERO..=bound)
    }

    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    fn bound(&self) -> Duration {
        FIRST.saturating_mul(2u32.saturating_pow(self.attempts)).min(LAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_doubles_up_to_a_limit_and_starts_anew() {
        let mut backoff = Backoff::default();
        for bound in [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000] {
            assert_eq!(backoff.bound(), Duration::from_millis(bound));
            assert!(backoff.next() <= Duration::from_millis(bound));
        }
        for _ in 0..100 {
            backoff.next();
        }
        assert_eq!(backoff.bound(), LAST);
        backoff.reset();
        assert_eq!(backoff.bound(), FIRST);
    }
}
