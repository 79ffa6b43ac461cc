use std::collections::{BTreeMap, BTreeSet};

use genkan_routing::model::ObjectKey;
use tokio::time::Instant;

/// Objects that acknowledgements or a date may change. Nothing here is looked at for what does not concern it.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    dates: BTreeMap<ObjectKey, Option<Instant>>,
    by_date: BTreeSet<(Instant, ObjectKey)>,
}

// === impl Waiting ===

impl Waiting {
    /// `date`: when to look at it again without being told.
    pub(super) fn insert(&mut self, key: ObjectKey, date: Option<Instant>) {
        self.remove(&key);
        self.by_date.extend(date.map(|date| (date, key.clone())));
        self.dates.insert(key, date);
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        if let Some(date) = self.dates.remove(key).flatten() {
            self.by_date.remove(&(date, key.clone()));
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.dates.keys()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.by_date.first().map(|(date, _)| *date)
    }

    pub(super) fn due(&self, now: Instant) -> Vec<ObjectKey> {
        let due = self.by_date.iter().take_while(|(date, _)| *date <= now);
        due.map(|(_, key)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_date_of_an_object_counts() {
        let (now, mut waiting) = (Instant::now(), Waiting::default());
        let at = |seconds| now + Duration::from_secs(seconds);
        let [a, b] = ["a", "b"].map(ObjectKey::reverse_proxy);
        waiting.insert(a.clone(), Some(at(5)));
        waiting.insert(b.clone(), Some(at(3)));
        waiting.insert(a.clone(), Some(at(1)));
        assert_eq!(
            (waiting.next(), waiting.due(at(1))),
            (Some(at(1)), vec![a.clone()])
        );
        waiting.insert(a.clone(), None);
        assert_eq!(
            (waiting.next(), waiting.due(at(9))),
            (Some(at(3)), vec![b.clone()])
        );
        waiting.remove(&b);
        assert_eq!(
            (waiting.next(), waiting.keys().collect::<Vec<_>>()),
            (None, vec![&a])
        );
    }
}
