use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A moment that moves with every request and is seldom reached. Moving it does not move the timer of the runtime, which
/// takes a lock and some hundred instructions: a timer that rings too early is set again.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
}

// === impl Deadline ===

impl Deadline {
    /// Ready at `at`, which may be another moment in every call.
    pub(super) fn poll(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        ready!(sleep.as_mut().poll(context));
        if sleep.deadline() < at {
            sleep.as_mut().reset(at);
            ready!(sleep.as_mut().poll(context));
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn reach(deadline: &mut Deadline, at: Instant) {
        std::future::poll_fn(|context| deadline.poll(at, context)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_reached_when_it_is_due_whichever_way_it_was_moved() {
        let second = Duration::from_secs(1);
        let mut deadline = Deadline::default();
        for seconds in [3, 10, 1, 1, 60, 2] {
            let start = Instant::now();
            // Moved once before.
            let early = tokio::time::timeout(second / 2, reach(&mut deadline, start + 5 * second));
            assert!(early.await.is_err());
            reach(&mut deadline, start + seconds * second).await;
            assert_eq!(start.elapsed(), seconds * second, "{seconds}");
        }
        let start = Instant::now();
        reach(&mut deadline, start).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "it is over already");
    }
}
