use std::sync::Arc;
use std::time::{Duration, SystemTime};

use genkan_policies::{Job, Unreachable, Waiting};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::upstream::key_sets::KeySets;

/// What policies need and do not have themselves: time, keys of others, and room for work that is too long for the threads
/// that serve requests.
#[derive(Debug)]
pub struct Outside {
    started: Instant,
    keys: KeySets,
    /// Jobs that wait or run.
    places: Arc<Semaphore>,
    /// Jobs that run.
    turns: Arc<Semaphore>,
}

/// Jobs at once.
const AT_ONCE: usize = 2;
/// With those that wait.
const MOST_WAITING: usize = 256;

// === impl Outside ===

impl Outside {
    pub fn new(keys: KeySets) -> Self {
        Self {
            started: Instant::now(),
            keys,
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl genkan_policies::Outside for Outside {
    fn now(&self) -> Duration {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn fetch_keys<'a>(
        &'a self,
        url: &'a str,
        max_age: Option<Duration>,
    ) -> Waiting<'a, Result<Arc<[u8]>, Unreachable>> {
        Box::pin(self.keys.get(url, max_age))
    }

    fn pause(&self, length: Duration) -> Waiting<'_, ()> {
        Box::pin(tokio::time::sleep(length))
    }

    fn blocking(&self, job: Job) -> Waiting<'_, Option<bool>> {
        Box::pin(async move {
            let _place = self.places.try_acquire().ok()?;
            let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
            let work = tokio::task::spawn_blocking(move || {
                let done = job();
                drop(turn);
                done
            });
            work.await.ok()
        })
    }
}
