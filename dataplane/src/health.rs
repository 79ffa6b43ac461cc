use std::collections::HashMap;
use std::time::Duration;

use genkan_routing::model::{BackendState, Health, ObjectKey, ObjectRef};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What this proxy knows about the backends of objects, and what of it the operator has not heard yet.
#[derive(Debug, Default)]
pub struct Board {
    entries: Mutex<HashMap<ObjectKey, Entry>>,
    changed: Notify,
}

#[derive(Debug)]
struct Entry {
    object: ObjectRef,
    /// Nothing was said of it yet.
    state: Option<BackendState>,
    error: String,
    is_told: bool,
    /// When a failure was told last.
    failed_at: Option<Instant>,
}

/// Failures of one object are told at most this often; a recovery goes at once.
const PAUSE: Duration = Duration::from_secs(30);

// === impl Board ===

impl Board {
    /// Notes the state of an object's backend; nothing happens when it is known already, or when a newer version of
    /// the object is: requests of the old one may end long after.
    pub fn note(&self, object: &ObjectRef, state: BackendState, error: impl Into<String>) {
        let mut entries = self.entries.lock();
        let entry = entries.entry(object.key.clone()).or_insert_with(|| Entry {
            object: object.clone(),
            state: None,
            error: String::new(),
            is_told: true,
            failed_at: None,
        });
        let is_outdated = entry.object.uid == object.uid && entry.object.generation > object.generation;
        if is_outdated || (entry.object == *object && entry.state == Some(state)) {
            return;
        }
        if entry.object != *object {
            entry.failed_at = None;
        }
        entry.object = object.clone();
        entry.state = Some(state);
        entry.error = error.into();
        entry.is_told = false;
        drop(entries);
        self.changed.notify_one();
    }

    /// What is known about this very version of an object.
    pub fn state(&self, object: &ObjectRef) -> Option<BackendState> {
        let entries = self.entries.lock();
        entries
            .get(&object.key)
            .filter(|entry| entry.object == *object)
            .and_then(|entry| entry.state)
    }

    /// Forgets a version of an object that is served no longer.
    pub fn forget(&self, object: &ObjectRef) {
        let mut entries = self.entries.lock();
        if entries
            .get(&object.key)
            .is_some_and(|entry| entry.object == *object)
        {
            entries.remove(&object.key);
        }
    }

    /// The objects whose backends are known to be bad.
    pub fn blamed(&self) -> Vec<ObjectRef> {
        let entries = self.entries.lock();
        let bad = |entry: &&Entry| entry.state.is_some_and(|state| state != BackendState::Reachable);
        entries
            .values()
            .filter(bad)
            .map(|entry| entry.object.clone())
            .collect()
    }

    /// Another operator listens now, and knows nothing.
    pub fn tell_again(&self) {
        self.entries.lock().values_mut().for_each(|entry| {
            entry.is_told = false;
            entry.failed_at = None;
        });
        self.changed.notify_one();
    }

    /// Waits for something that may be told now.
    pub async fn next(&self) -> Health {
        loop {
            let pause = match self.due(Instant::now()) {
                Ok(health) => return health,
                Err(pause) => pause,
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn due(&self, now: Instant) -> Result<Health, Duration> {
        let mut pause = PAUSE;
        for entry in self.entries.lock().values_mut().filter(|entry| !entry.is_told) {
            let Some(state) = entry.state else { continue };
            let wait = match entry.failed_at {
                Some(at) if state != BackendState::Reachable => (at + PAUSE).saturating_duration_since(now),
                _ => Duration::ZERO,
            };
            if wait.is_zero() {
                entry.is_told = true;
                if state != BackendState::Reachable {
                    entry.failed_at = Some(now);
                }
                return Ok(Health {
                    object: entry.object.clone(),
                    state,
                    error: entry.error.clone(),
                });
            }
            pause = pause.min(wait);
        }
        Err(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_object(generation: i64) -> ObjectRef {
        ObjectRef::new(ObjectKey::reverse_proxy("shop"), "u", generation)
    }

    async fn next(board: &Board) -> (BackendState, String, Duration) {
        let start = Instant::now();
        let health = board.next().await;
        (health.state, health.error, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_told_seldom_and_recovery_at_once() {
        let board = Board::default();
        board.note(&mk_object(1), BackendState::Unreachable, "refused");
        assert_eq!(
            next(&board).await,
            (BackendState::Unreachable, "refused".into(), Duration::ZERO)
        );
        board.note(&mk_object(1), BackendState::Reachable, "");
        assert_eq!(
            next(&board).await,
            (BackendState::Reachable, String::new(), Duration::ZERO)
        );
        board.note(&mk_object(1), BackendState::TlsFailed, "expired");
        assert_eq!(
            next(&board).await,
            (BackendState::TlsFailed, "expired".into(), PAUSE)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn repetition_is_no_news() {
        let board = Board::default();
        board.note(&mk_object(1), BackendState::Unreachable, "refused");
        board.next().await;
        board.note(&mk_object(1), BackendState::Unreachable, "refused again");
        assert!(tokio::time::timeout(3 * PAUSE, board.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn new_version_of_an_object_starts_anew() {
        let board = Board::default();
        board.note(&mk_object(1), BackendState::Unreachable, "refused");
        board.next().await;
        assert_eq!(board.state(&mk_object(2)), None);
        board.note(&mk_object(2), BackendState::Unreachable, "refused");
        assert_eq!(next(&board).await.2, Duration::ZERO);
        board.forget(&mk_object(1));
        assert_eq!(board.blamed(), [mk_object(2)]);
        board.forget(&mk_object(2));
        board.tell_again();
        assert!(tokio::time::timeout(PAUSE, board.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn late_news_of_an_old_version_is_ignored() {
        let board = Board::default();
        board.note(&mk_object(2), BackendState::Reachable, "");
        board.next().await;
        board.note(&mk_object(1), BackendState::Unreachable, "refused");
        assert_eq!(board.state(&mk_object(2)), Some(BackendState::Reachable));
        assert!(tokio::time::timeout(PAUSE, board.next()).await.is_err());
        let again = ObjectRef {
            uid: "another".into(),
            ..mk_object(1)
        };
        board.note(&again, BackendState::Unreachable, "refused");
        assert_eq!(next(&board).await.0, BackendState::Unreachable);
    }

    #[tokio::test(start_paused = true)]
    async fn new_operator_hears_everything() {
        let board = Board::default();
        board.note(&mk_object(1), BackendState::Unreachable, "refused");
        board.next().await;
        board.tell_again();
        assert_eq!(next(&board).await.0, BackendState::Unreachable);
    }
}
