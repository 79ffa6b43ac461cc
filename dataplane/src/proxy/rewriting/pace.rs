use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How fast the process unpacks answers that are far smaller than they become: those behind them wait, and everybody else
/// has the processors.
#[derive(Debug)]
pub struct Pace(Mutex<Option<Instant>>);

/// Bytes in a second, of all such answers together.
const RATE: u32 = 256 << 20;
/// Nobody waits longer for one piece.
const LONGEST: Duration = Duration::from_secs(10);

pub static PACE: Pace = Pace(Mutex::new(None));

// === impl Pace ===

impl Pace {
    /// How long to wait for what has been unpacked.
    pub fn take(&self, bytes: usize) -> Duration {
        let now = Instant::now();
        let share = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(RATE);
        let mut free = self.0.lock();
        let next = free.unwrap_or(now).max(now) + Duration::from_secs_f64(share);
        let next = next.min(now + LONGEST);
        *free = Some(next);
        next - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_together_have_one_rate() {
        let pace = Pace(Mutex::new(None));
        let second = RATE as usize;
        assert_eq!(pace.take(second), Duration::from_secs(1));
        assert_eq!(pace.take(second), Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(pace.take(second / 2), Duration::from_millis(500));
        assert_eq!(pace.take(usize::MAX), LONGEST);
    }
}
