//! The Secrets that objects name, on their way from the engine to whoever follows them.

use std::collections::BTreeMap;

use genkan_compile::object::Key;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What is wanted, and what is not any more. Of one Secret the last word counts.
#[derive(Debug, Default)]
pub struct Wanted {
    news: Mutex<BTreeMap<Key, bool>>,
    some: Notify,
}

// === impl Wanted ===

impl Wanted {
    pub fn say(&self, all: Vec<(Key, bool)>) {
        if all.is_empty() {
            return;
        }
        self.news.lock().extend(all);
        self.some.notify_one();
    }

    /// Waits for news, and takes all of them.
    pub async fn next(&self) -> BTreeMap<Key, bool> {
        loop {
            let news = std::mem::take(&mut *self.news.lock());
            if !news.is_empty() {
                return news;
            }
            self.some.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_word_about_a_secret_counts() {
        let wanted = Wanted::default();
        let key = |name: &str| ("n".to_owned(), name.to_owned());
        wanted.say(vec![(key("a"), true), (key("b"), true)]);
        wanted.say(vec![(key("a"), false)]);
        let news = wanted.next().await;
        assert_eq!(news, [(key("a"), false), (key("b"), true)].into());
    }
}
