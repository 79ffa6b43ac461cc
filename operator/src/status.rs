//! Status on its way out: a bounded queue that holds the latest write of each object, and the two that drain it.

mod event;
mod kubernetes;
mod print;

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use genkan_routing::model::ObjectKey;

pub use kubernetes::KubernetesWriter;
pub use print::Printer;

/// A status that is to replace the stored one.
#[derive(Clone, Debug)]
pub struct Write {
    pub uid: String,
    /// The version of the object from which it was computed.
    pub resource_version: String,
    /// The status that was stored there.
    pub before: Value,
    pub status: Value,
}

/// What became of a write.
#[derive(Debug)]
pub enum Outcome {
    Done {
        key: ObjectKey,
        uid: String,
        /// Resource versions before and after the write.
        before: String,
        after: String,
        status: Value,
    },
    /// The object is newer than the write, or the API server did not take it: to be looked at again after this, in case
    /// no event comes.
    Refused { key: ObjectKey, again: Duration },
}

/// At most one write an object; a newer one takes the place of an older one.
#[derive(Debug, Default)]
pub struct Queue {
    writes: Mutex<BTreeMap<ObjectKey, Write>>,
    some: Notify,
}

// === impl Queue ===

impl Queue {
    pub fn put(&self, key: ObjectKey, write: Write) {
        self.writes.lock().insert(key, write);
        self.some.notify_one();
    }

    pub fn remove(&self, key: &ObjectKey) {
        self.writes.lock().remove(key);
    }

    pub fn clear(&self) {
        self.writes.lock().clear();
    }

    pub fn len(&self) -> usize {
        self.writes.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for a write and takes it out.
    pub async fn next(&self) -> (ObjectKey, Write) {
        loop {
            let taken = {
                let mut writes = self.writes.lock();
                let taken = writes.pop_first();
                if !writes.is_empty() {
                    self.some.notify_one();
                }
                taken
            };
            match taken {
                Some(write) => return write,
                None => self.some.notified().await,
            }
        }
    }
}

/// Does a status say something else than the stored one? Times do not count.
pub fn differs(status: &Value, stored: &Value) -> bool {
    let without_times = |status: &Value| {
        let mut status = status.clone();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            if let Some(condition) = condition.as_object_mut() {
                condition.remove("lastTransitionTime");
            }
        }
        status
    };
    without_times(status) != without_times(stored)
}

/// Status and reason of a condition; empty if it is not there.
fn said<'s>(status: &'s Value, kind: &str) -> (&'s str, &'s str) {
    let found = status["conditions"]
        .as_array()
        .and_then(|all| all.iter().find(|c| c["type"] == kind));
    found.map_or(("", ""), |c| {
        (
            c["status"].as_str().unwrap_or_default(),
            c["reason"].as_str().unwrap_or_default(),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mk_write(n: u32) -> Write {
        Write {
            uid: String::new(),
            resource_version: n.to_string(),
            before: Value::Null,
            status: Value::Null,
        }
    }

    #[tokio::test]
    async fn the_latest_write_of_an_object_wins() {
        let queue = Queue::default();
        queue.put(ObjectKey::reverse_proxy("a"), mk_write(1));
        queue.put(ObjectKey::reverse_proxy("b"), mk_write(2));
        queue.put(ObjectKey::reverse_proxy("a"), mk_write(3));
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.next().await.1.resource_version, "3");
        assert_eq!(queue.next().await.1.resource_version, "2");
        assert!(queue.is_empty());
    }

    #[test]
    fn times_are_no_difference() {
        let at = |time: &str, reason: &str| json!({"conditions": [{"type": "Ready", "reason": reason, "lastTransitionTime": time}]});
        assert!(!differs(&at("1", "a"), &at("2", "a")));
        assert!(differs(&at("1", "a"), &at("1", "b")));
        assert!(differs(&at("1", "a"), &Value::Null));
    }
}
