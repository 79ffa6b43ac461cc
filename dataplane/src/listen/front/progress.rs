use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What is known of one stream of HTTP/2 whose request body is still to come. The engine has no deadline for it.
#[derive(Debug)]
pub(super) struct BodyProgress {
    start: Instant,
    /// Milliseconds after the start.
    moved: AtomicU64,
    is_body_done: AtomicBool,
    is_stalled: AtomicBool,
}

tokio::task_local! {
    /// Of the stream that this task serves; the engine's callbacks have no other way to the front.
    static CURRENT: Arc<BodyProgress>;
}

/// A piece of the request body, or its end, has arrived.
pub fn body_moved(is_end: bool) {
    let _ = CURRENT.try_with(|progress| progress.moved(is_end));
}

/// A piece of the answer has arrived.
pub fn answer_moved() {
    body_moved(false);
}

/// Whether the request that this task serves is being given up because nothing moves any more.
pub fn is_stalled() -> bool {
    CURRENT
        .try_with(|progress| progress.is_stalled.load(Ordering::Relaxed))
        .unwrap_or(false)
}

// === impl BodyProgress ===

impl BodyProgress {
    /// Drives what serves a stream; `None` when nothing has moved for so long while its body was unfinished.
    pub(super) async fn watch<T>(limit: Duration, serving: impl Future<Output = T>) -> Option<T> {
        let progress = Arc::new(Self {
            start: Instant::now(),
            moved: AtomicU64::new(0),
            is_body_done: AtomicBool::new(false),
            is_stalled: AtomicBool::new(false),
        });
        let serving = CURRENT.scope(Arc::clone(&progress), serving);
        tokio::select! {
            biased;
            outcome = serving => Some(outcome),
            () = progress.stalled(limit) => None,
        }
    }

    fn moved(&self, is_end: bool) {
        let at = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(at, Ordering::Relaxed);
        if is_end {
            self.is_body_done.store(true, Ordering::Relaxed);
        }
    }

    async fn stalled(&self, limit: Duration) {
        loop {
            if self.is_body_done.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            let end = self.start + Duration::from_millis(self.moved.load(Ordering::Relaxed)) + limit;
            if Instant::now() >= end {
                self.is_stalled.store(true, Ordering::Relaxed);
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn only_what_stands_still_is_given_up() {
        let start = Instant::now();
        let never = std::future::pending::<()>();
        assert_eq!(BodyProgress::watch(LIMIT, never).await, None);
        assert_eq!(start.elapsed(), LIMIT);

        let slow = async {
            for _ in 0..5 {
                tokio::time::sleep(LIMIT - Duration::from_secs(1)).await;
                body_moved(false);
            }
            body_moved(true);
            tokio::time::sleep(10 * LIMIT).await;
            is_stalled()
        };
        assert_eq!(BodyProgress::watch(LIMIT, slow).await, Some(false));
        assert!(!is_stalled(), "outside of any stream");
    }
}
