use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::table::short;

/// How many requests are under way at a time. It holds no more keys than there are requests.
#[derive(Debug)]
pub(crate) struct CountLimiter {
    most: u64,
    under_way: Mutex<HashMap<Box<str>, u64>>,
}

/// One request under way; it is given back when this goes.
pub(crate) struct Held {
    limiter: Arc<CountLimiter>,
    key: Box<str>,
}

// === impl CountLimiter ===

impl CountLimiter {
    pub(crate) fn new(most: u64) -> Self {
        Self {
            most,
            under_way: Mutex::new(HashMap::new()),
        }
    }

    /// One more may be under way.
    pub(crate) fn has_room(&self, key: &str) -> bool {
        let under_way = self.under_way.lock();
        under_way.get(&*short(key)).copied().unwrap_or_default() < self.most
    }

    /// `None`: there are as many as may be.
    pub(crate) fn hold(self: &Arc<Self>, key: &str) -> Option<Held> {
        let key: Box<str> = short(key).into();
        let mut under_way = self.under_way.lock();
        let count = under_way.get(&key).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        under_way.insert(key.clone(), count + 1);
        Some(Held {
            limiter: Arc::clone(self),
            key,
        })
    }
}

// === impl Held ===

impl Drop for Held {
    fn drop(&mut self) {
        let mut under_way = self.limiter.under_way.lock();
        if let Some(count) = under_way.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.key);
            }
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_makes_room_and_leaves_nothing() {
        let limiter = Arc::new(CountLimiter::new(1));
        let held = limiter.hold("a").unwrap();
        assert!(limiter.hold("a").is_none() && limiter.hold("b").is_some());
        drop(held);
        assert!(limiter.hold("a").is_some());
        assert!(limiter.under_way.lock().is_empty());
    }
}
