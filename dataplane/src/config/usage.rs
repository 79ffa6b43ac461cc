//! When credentials were last used, which pages ask for what is not theirs, and what of it the operator has not heard yet.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use genkan_routing::connectors::Credential;
use genkan_routing::model::{Escape, ObjectKey, ObjectRef, Use};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::tables::Route;

#[derive(Debug, Default)]
pub struct Usage {
    news: Mutex<News>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct News {
    uses: HashMap<ObjectKey, Use>,
    told_at: Option<Instant>,
    escapes: HashMap<ObjectKey, Escape>,
    /// When those of an object were told last.
    escapes_told: HashMap<ObjectKey, Instant>,
}

/// The operator is told at most this often.
const PAUSE: Duration = Duration::from_secs(60);
/// Uses in one message, or escapes: with names of objects they may be 64 KiB.
const MOST: usize = 64;
/// Escapes of one object are told at most this often.
const ESCAPES_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Objects that are remembered for that.
const MOST_TOLD: usize = 4_096;
/// Bytes of a path that is told.
const LONGEST_PATH: usize = 128;

// === impl Usage ===

impl Usage {
    /// Notes that a request carries the credential of a Connector. Nearly always this is one load.
    pub fn note(&self, route: &Route) {
        let credential = route.role.connector().map(|connector| &connector.credential);
        let Some(Credential::Secret { .. }) = credential else {
            return;
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        if !route.is_used(now) {
            return;
        }
        let object = route.object.clone();
        let mut news = self.news.lock();
        news.uses.insert(object.key.clone(), Use { object, at: now });
        drop(news);
        self.changed.notify_one();
    }

    /// Notes that a page of an object asked for this path, which nobody has.
    pub fn escape(&self, object: &ObjectRef, path: &str) {
        let shown: String = path.escape_default().take(LONGEST_PATH).collect();
        let mut news = self.news.lock();
        let escape = news.escapes.entry(object.key.clone()).or_insert_with(|| Escape {
            object: object.clone(),
            path: String::new(),
            count: 0,
        });
        if escape.object != *object {
            (escape.object, escape.count) = (object.clone(), 0);
        }
        escape.path = shown;
        escape.count += 1;
        drop(news);
        self.changed.notify_one();
    }

    /// Waits for what may be told now.
    pub async fn next(&self) -> (Vec<Use>, Vec<Escape>) {
        loop {
            let due = self.news.lock().due();
            let Some(due) = due else {
                self.changed.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                // Something else may be due sooner.
                () = self.changed.notified() => continue,
            }
            let told = self.news.lock().take(Instant::now());
            if !told.0.is_empty() || !told.1.is_empty() {
                return told;
            }
        }
    }
}

// === impl News ===

impl News {
    /// When something may be told.
    fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        let soonest = self.told_at.map_or(now, |at| at + PAUSE);
        let of_escape = |key: &ObjectKey| {
            let told = self.escapes_told.get(key);
            told.map_or(soonest, |at| (*at + ESCAPES_PAUSE).max(soonest))
        };
        let escapes = self.escapes.keys().map(of_escape).min();
        let uses = (!self.uses.is_empty()).then_some(soonest);
        uses.into_iter().chain(escapes).min()
    }

    fn take(&mut self, now: Instant) -> (Vec<Use>, Vec<Escape>) {
        self.told_at = Some(now);
        let keys: Vec<ObjectKey> = self.uses.keys().take(MOST).cloned().collect();
        let uses = keys.iter().filter_map(|key| self.uses.remove(key)).collect();
        if self.escapes_told.len() > MOST_TOLD {
            self.escapes_told.retain(|_, at| *at + ESCAPES_PAUSE > now);
        }
        let told = &self.escapes_told;
        let is_due = |key: &&ObjectKey| told.get(key).is_none_or(|at| *at + ESCAPES_PAUSE <= now);
        let keys: Vec<ObjectKey> = (self.escapes.keys()).filter(is_due).take(MOST).cloned().collect();
        let escapes = keys.iter().filter_map(|key| self.escapes.remove(key)).collect();
        self.escapes_told.extend(keys.into_iter().map(|key| (key, now)));
        (uses, escapes)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use genkan_routing::model::ObjectRef;

    use super::*;

    fn note(usage: &Usage, name: &str, at: u64) {
        let object = ObjectRef::new(ObjectKey::connector("n", name), "uid", 1);
        let mut news = usage.news.lock();
        news.uses.insert(object.key.clone(), Use { object, at });
        drop(news);
        usage.changed.notify_one();
    }

    #[tokio::test(start_paused = true)]
    async fn uses_are_told_together_and_not_too_often() {
        let usage = Usage::default();
        assert!(usage.next().now_or_never().is_none(), "nothing was used");
        note(&usage, "a", 1);
        assert_eq!(usage.next().await.0.len(), 1);
        note(&usage, "a", 2);
        note(&usage, "b", 2);
        note(&usage, "a", 3);
        let start = Instant::now();
        let (mut told, _) = usage.next().await;
        told.sort_by_key(|used| used.at);
        let told: Vec<_> = told
            .iter()
            .map(|used| (used.object.key.name.as_str(), used.at))
            .collect();
        assert_eq!(told, [("b", 2), ("a", 3)]);
        assert_eq!(start.elapsed(), PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_takes_only_so_many() {
        let usage = Usage::default();
        (0..MOST + 1).for_each(|at| note(&usage, &format!("c{at}"), 1));
        assert_eq!(usage.next().await.0.len(), MOST);
        assert_eq!(usage.next().await.0.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn escapes_of_an_object_are_told_once_an_hour() {
        let usage = Usage::default();
        let object =
            |name: &str, generation| ObjectRef::new(ObjectKey::reverse_proxy(name), "uid", generation);
        usage.escape(&object("a", 1), "/x\u{7}");
        let start = Instant::now();
        let told = |told: Vec<Escape>| -> Vec<_> {
            let shown = |e: &Escape| (e.object.key.name.clone(), e.path.clone(), e.count);
            told.iter().map(shown).collect()
        };
        assert_eq!(
            told(usage.next().await.1),
            [("a".to_owned(), "/x\\u{7}".to_owned(), 1)]
        );
        for _ in 0..3 {
            usage.escape(&object("a", 1), &"y".repeat(1_000));
        }
        usage.escape(&object("b", 1), "/b");
        // Another object does not wait for this one.
        assert_eq!(told(usage.next().await.1), [("b".to_owned(), "/b".to_owned(), 1)]);
        assert_eq!(start.elapsed(), PAUSE);
        assert_eq!(
            told(usage.next().await.1),
            [("a".to_owned(), "y".repeat(LONGEST_PATH), 3)]
        );
        assert_eq!(start.elapsed(), ESCAPES_PAUSE);
        // What another generation of it did is nothing of this one.
        usage.escape(&object("c", 1), "/c");
        usage.escape(&object("c", 2), "/c");
        assert_eq!(told(usage.next().await.1), [("c".to_owned(), "/c".to_owned(), 1)]);
    }
}
