use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use genkan_routing::model::{BackendState, Health, ObjectKey, ObjectRef};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What this proxy knows about the backends of objects, and what of it the operator has not heard yet.
#[derive(Debug, Default)]
pub struct HealthReports {
    news: Mutex<News>,
    changed: Notify,
}

/// What is told next is found without a look at the rest, however many objects there are.
#[derive(Debug, Default)]
struct News {
    entries: HashMap<ObjectKey, Entry>,
    /// In line to be told, each object once.
    ready: VecDeque<ObjectKey>,
    /// Told too lately; from when on they are in line again.
    later: BTreeSet<(Instant, ObjectKey)>,
}

#[derive(Debug)]
struct Entry {
    object: ObjectRef,
    /// Nothing was said of it yet.
    state: Option<BackendState>,
    error: String,
    is_told: bool,
    is_in_line: bool,
    /// When a failure was told last.
    failed_at: Option<Instant>,
}

/// Failures of one object are told at most this often; a recovery goes at once.
const PAUSE: Duration = Duration::from_secs(30);

// === impl HealthReports ===

impl HealthReports {
    /// Notes the state of an object's backend; nothing happens when it is known already, or when a newer version of
    /// the object is: requests of the old one may end long after.
    pub fn note(&self, object: &ObjectRef, state: BackendState, error: impl Into<String>) {
        let mut news = self.news.lock();
        let entry = news.entries.entry(object.key.clone()).or_insert_with(|| Entry {
            object: object.clone(),
            state: None,
            error: String::new(),
            is_told: true,
            is_in_line: false,
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
        if !std::mem::replace(&mut entry.is_in_line, true) {
            news.ready.push_back(object.key.clone());
        }
        drop(news);
        self.changed.notify_one();
    }

    /// What is known about this very version of an object.
    pub fn state(&self, object: &ObjectRef) -> Option<BackendState> {
        let news = self.news.lock();
        news.entries
            .get(&object.key)
            .filter(|entry| entry.object == *object)
            .and_then(|entry| entry.state)
    }

    /// Forgets a version of an object that is served no longer.
    pub fn forget(&self, object: &ObjectRef) {
        let mut news = self.news.lock();
        if news
            .entries
            .get(&object.key)
            .is_some_and(|entry| entry.object == *object)
        {
            news.entries.remove(&object.key);
        }
    }

    /// The objects whose backends are known to be bad.
    pub fn blamed(&self) -> Vec<ObjectRef> {
        let news = self.news.lock();
        let bad = |entry: &&Entry| entry.state.is_some_and(|state| state != BackendState::Reachable);
        let blamed = news.entries.values().filter(bad);
        blamed.map(|entry| entry.object.clone()).collect()
    }

    /// Another operator listens now, and knows nothing.
    pub fn tell_again(&self) {
        let mut news = self.news.lock();
        news.later.clear();
        news.entries.values_mut().for_each(|entry| {
            entry.is_told = false;
            entry.is_in_line = true;
            entry.failed_at = None;
        });
        news.ready = news.entries.keys().cloned().collect();
        drop(news);
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
        let mut news = self.news.lock();
        while let Some((at, key)) = news.later.pop_first() {
            if at > now {
                news.later.insert((at, key));
                break;
            }
            news.join(key);
        }
        while let Some(key) = news.ready.pop_front() {
            // An object that is served no more is in line still.
            let Some(entry) = news.entries.get_mut(&key) else {
                continue;
            };
            entry.is_in_line = false;
            let Some(state) = entry.state.filter(|_| !entry.is_told) else {
                continue;
            };
            let is_failure = state != BackendState::Reachable;
            match entry.failed_at.filter(|_| is_failure).map(|at| at + PAUSE) {
                Some(at) if at > now => {
                    news.later.insert((at, key));
                }
                _ => {
                    entry.is_told = true;
                    if is_failure {
                        entry.failed_at = Some(now);
                    }
                    return Ok(Health {
                        object: entry.object.clone(),
                        state,
                        error: entry.error.clone(),
                    });
                }
            }
        }
        let first = news
            .later
            .first()
            .map(|(at, _)| at.saturating_duration_since(now));
        Err(first.unwrap_or(PAUSE))
    }
}

// === impl News ===

impl News {
    fn join(&mut self, key: ObjectKey) {
        if let Some(entry) = self.entries.get_mut(&key)
            && !entry.is_told
            && !std::mem::replace(&mut entry.is_in_line, true)
        {
            self.ready.push_back(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_object(generation: i64) -> ObjectRef {
        ObjectRef::new(ObjectKey::reverse_proxy("shop"), "u", generation)
    }

    async fn next(health: &HealthReports) -> (BackendState, String, Duration) {
        let start = Instant::now();
        let health = health.next().await;
        (health.state, health.error, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_told_seldom_and_recovery_at_once() {
        let health = HealthReports::default();
        health.note(&mk_object(1), BackendState::Unreachable, "refused");
        assert_eq!(
            next(&health).await,
            (BackendState::Unreachable, "refused".into(), Duration::ZERO)
        );
        health.note(&mk_object(1), BackendState::Reachable, "");
        assert_eq!(
            next(&health).await,
            (BackendState::Reachable, String::new(), Duration::ZERO)
        );
        health.note(&mk_object(1), BackendState::TlsFailed, "expired");
        assert_eq!(
            next(&health).await,
            (BackendState::TlsFailed, "expired".into(), PAUSE)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn repetition_is_no_news() {
        let health = HealthReports::default();
        health.note(&mk_object(1), BackendState::Unreachable, "refused");
        health.next().await;
        health.note(&mk_object(1), BackendState::Unreachable, "refused again");
        assert!(tokio::time::timeout(3 * PAUSE, health.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn new_version_of_an_object_starts_anew() {
        let health = HealthReports::default();
        health.note(&mk_object(1), BackendState::Unreachable, "refused");
        health.next().await;
        assert_eq!(health.state(&mk_object(2)), None);
        health.note(&mk_object(2), BackendState::Unreachable, "refused");
        assert_eq!(next(&health).await.2, Duration::ZERO);
        health.forget(&mk_object(1));
        assert_eq!(health.blamed(), [mk_object(2)]);
        health.forget(&mk_object(2));
        health.tell_again();
        assert!(tokio::time::timeout(PAUSE, health.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn late_news_of_an_old_version_is_ignored() {
        let health = HealthReports::default();
        health.note(&mk_object(2), BackendState::Reachable, "");
        health.next().await;
        health.note(&mk_object(1), BackendState::Unreachable, "refused");
        assert_eq!(health.state(&mk_object(2)), Some(BackendState::Reachable));
        assert!(tokio::time::timeout(PAUSE, health.next()).await.is_err());
        let again = ObjectRef {
            uid: "another".into(),
            ..mk_object(1)
        };
        health.note(&again, BackendState::Unreachable, "refused");
        assert_eq!(next(&health).await.0, BackendState::Unreachable);
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_fails_and_heals_all_the_time_keeps_nobody_waiting() {
        let health = HealthReports::default();
        let named = |name: &str| ObjectRef::new(ObjectKey::reverse_proxy(name), "u", 1);
        let mut told = Vec::new();
        for n in 0..3 {
            health.note(&named("flapping"), BackendState::Unreachable, "refused");
            health.note(&named("flapping"), BackendState::Reachable, "");
            health.note(
                &named(&format!("quiet-{n}")),
                BackendState::Unreachable,
                "refused",
            );
            for _ in 0..2 {
                told.push(health.next().await.object.key.name);
            }
        }
        assert_eq!(
            told.iter().filter(|name| name.starts_with("quiet")).count(),
            3,
            "{told:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_thousand_objects_are_told_of_in_the_time_of_as_many_steps() {
        let health = HealthReports::default();
        for n in 0..100_000 {
            let object = ObjectRef::new(ObjectKey::reverse_proxy(n.to_string()), "u", 1);
            health.note(&object, BackendState::Unreachable, "refused");
        }
        health.tell_again();
        let began = std::time::SystemTime::now();
        for _ in 0..100_000 {
            health.next().await;
        }
        let took = began.elapsed().unwrap();
        assert!(took.as_secs() < 20, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn new_operator_hears_everything() {
        let health = HealthReports::default();
        health.note(&mk_object(1), BackendState::Unreachable, "refused");
        health.next().await;
        health.tell_again();
        assert_eq!(next(&health).await.0, BackendState::Unreachable);
    }
}
