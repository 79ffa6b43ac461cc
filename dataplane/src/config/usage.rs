//! When credentials were last used, and what of it the operator has not heard yet.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use genkan_routing::connectors::Credential;
use genkan_routing::model::{ObjectKey, Use};
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
}

/// The operator is told at most this often.
const PAUSE: Duration = Duration::from_secs(60);
/// Uses in one message.
const MOST: usize = 256;

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

    /// Waits for uses that may be told now.
    pub async fn next(&self) -> Vec<Use> {
        loop {
            let due = {
                let news = self.news.lock();
                let at = news.told_at.map_or_else(Instant::now, |at| at + PAUSE);
                (!news.uses.is_empty()).then_some(at)
            };
            let Some(due) = due else {
                self.changed.notified().await;
                continue;
            };
            tokio::time::sleep_until(due).await;
            let mut news = self.news.lock();
            news.told_at = Some(Instant::now());
            let keys: Vec<ObjectKey> = news.uses.keys().take(MOST).cloned().collect();
            return keys.iter().filter_map(|key| news.uses.remove(key)).collect();
        }
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
        assert_eq!(usage.next().await.len(), 1);
        note(&usage, "a", 2);
        note(&usage, "b", 2);
        note(&usage, "a", 3);
        let start = Instant::now();
        let mut told = usage.next().await;
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
        assert_eq!(usage.next().await.len(), MOST);
        assert_eq!(usage.next().await.len(), 1);
    }
}
