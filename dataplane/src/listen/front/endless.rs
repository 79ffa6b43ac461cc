use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{AbortHandle, Abortable};
use parking_lot::Mutex;
use rand::Rng;
use tokio::time::Instant;

/// Answers without an end of their own: watches and event streams. Draining ends them one after another, so that their
/// clients do not come back all at once.
#[derive(Debug, Default)]
pub struct Endless {
    next: AtomicU64,
    answers: Mutex<HashMap<u64, AbortHandle>>,
    unawaited: AtomicUsize,
}

/// A request whose end nobody waits for, for as long as it lives.
#[derive(Debug)]
pub struct Unawaited(Arc<Endless>);

/// One such answer, for as long as it lives.
#[derive(Debug)]
pub struct EndlessAnswer {
    endless: Arc<Endless>,
    id: u64,
}

tokio::task_local! {
    /// What ends the connection, or the stream of HTTP/2, that this task serves.
    static SERVING: (AbortHandle, Arc<Endless>);
}

/// Says that the request which this task serves is answered without an end.
pub fn answers_without_end() -> Option<EndlessAnswer> {
    let serving = SERVING.try_with(|(handle, endless)| (handle.clone(), Arc::clone(endless)));
    let (handle, endless) = serving.ok()?;
    let id = endless.next.fetch_add(1, Ordering::Relaxed);
    endless.answers.lock().insert(id, handle);
    Some(EndlessAnswer { endless, id })
}

/// Says that nobody waits for the end of the request which this task serves.
pub fn goes_unawaited() -> Option<Unawaited> {
    let endless = SERVING.try_with(|(_, endless)| Arc::clone(endless)).ok()?;
    endless.unawaited.fetch_add(1, Ordering::AcqRel);
    Some(Unawaited(endless))
}

// === impl Endless ===

impl Endless {
    /// Drives what serves a connection or a stream; `None` when it was ended because it has no end of its own.
    pub(super) async fn serve<T>(self: &Arc<Self>, serving: impl Future<Output = T>) -> Option<T> {
        let (handle, registration) = AbortHandle::new_pair();
        let serving = SERVING.scope((handle, Arc::clone(self)), serving);
        Abortable::new(serving, registration).await.ok()
    }

    /// Requests whose end nobody waits for.
    pub(super) fn unawaited(&self) -> usize {
        self.unawaited.load(Ordering::Acquire)
    }

    /// Ends everything that is here now, each at a time of its own.
    pub async fn end(&self, within: Duration) {
        let start = Instant::now();
        let mut ends: Vec<(Duration, u64)> = {
            let mut rng = rand::rng();
            let mut time = |id: &u64| (within.mul_f64(rng.random::<f64>()), *id);
            self.answers.lock().keys().map(&mut time).collect()
        };
        ends.sort();
        for (after, id) in ends {
            tokio::time::sleep_until(start + after).await;
            if let Some(handle) = self.answers.lock().get(&id) {
                handle.abort();
            }
        }
    }
}

// === impl Unawaited ===

impl Drop for Unawaited {
    fn drop(&mut self) {
        self.0.unawaited.fetch_sub(1, Ordering::AcqRel);
    }
}

// === impl EndlessAnswer ===

impl Drop for EndlessAnswer {
    fn drop(&mut self) {
        self.endless.answers.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_has_no_end_is_ended_and_each_at_its_time() {
        let endless = Arc::<Endless>::default();
        let serve = |has_end: bool| {
            let endless = Arc::clone(&endless);
            tokio::spawn(async move {
                let serving = async {
                    let _answer = (!has_end).then(answers_without_end);
                    tokio::time::sleep(Duration::from_secs(60)).await;
                };
                let outcome = endless.serve(serving).await;
                (outcome, Instant::now())
            })
        };
        let (with_end, without): (_, Vec<_>) = (serve(true), (0..20).map(|_| serve(false)).collect());
        tokio::task::yield_now().await;
        let start = Instant::now();
        endless.end(Duration::from_secs(5)).await;
        let mut times = Vec::new();
        for task in without {
            let (outcome, at) = task.await.unwrap();
            assert_eq!(outcome, None);
            times.push(at - start);
        }
        times.sort();
        times.dedup();
        assert!(
            times.len() > 10 && *times.last().unwrap() <= Duration::from_secs(5) + Duration::from_millis(10),
            "{times:?}"
        );
        assert_eq!(with_end.await.unwrap().0, Some(()));
        assert!(endless.answers.lock().is_empty());
    }
}
