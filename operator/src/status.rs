//! Status on its way out: a bounded queue that holds the latest write of each object, and the two that drain it.

mod event;
mod events;
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

/// The field manager of everything that the operator writes.
const MANAGER: &str = "genkan";
/// For one answer of the API server.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A status that is to replace the stored one.
#[derive(Clone, Debug)]
pub struct Write {
    pub uid: String,
    /// The version of the object from which it was computed.
    pub resource_version: String,
    /// The status that was stored there.
    pub before: Value,
    /// Who wrote the object last; empty where nobody says.
    pub manager: String,
    pub status: Value,
    /// Proxies are about to answer, which will take another write.
    pub is_interim: bool,
}

/// At most one write an object, in the order in which objects came: a newer write takes the place of an older one, so that
/// nobody is kept waiting by an object that changes all the time. Interim ones come behind all others: where many wait, most
/// of them are replaced before their turn has come.
#[derive(Debug, Default)]
pub struct Queue {
    line: Mutex<Line>,
    some: Notify,
    none: Notify,
}

#[derive(Debug, Default)]
struct Line {
    writes: BTreeMap<ObjectKey, (u64, Write)>,
    /// By whether it is interim, and number.
    order: BTreeMap<(bool, u64), ObjectKey>,
    /// The number of the object that joined last.
    next: u64,
}

// === impl Line ===

impl Line {
    fn put(&mut self, key: ObjectKey, write: Write) {
        let number = match self.writes.get(&key) {
            Some((number, before)) => {
                self.order.remove(&(before.is_interim, *number));
                *number
            }
            None => {
                self.next += 1;
                self.next
            }
        };
        self.order.insert((write.is_interim, number), key.clone());
        self.writes.insert(key, (number, write));
    }

    fn remove(&mut self, key: &ObjectKey) {
        if let Some((number, write)) = self.writes.remove(key) {
            self.order.remove(&(write.is_interim, number));
        }
    }

    fn pop(&mut self) -> Option<(ObjectKey, Write)> {
        let (_, key) = self.order.pop_first()?;
        let (_, write) = self.writes.remove(&key)?;
        Some((key, write))
    }
}

// === impl Queue ===

impl Queue {
    pub fn put(&self, key: ObjectKey, write: Write) {
        self.line.lock().put(key, write);
        self.some.notify_one();
    }

    pub fn remove(&self, key: &ObjectKey) {
        let mut line = self.line.lock();
        line.remove(key);
        if line.writes.is_empty() {
            self.none.notify_waiters();
        }
    }

    pub fn clear(&self) {
        *self.line.lock() = Line::default();
        self.none.notify_waiters();
    }

    /// Waits until no write waits.
    pub async fn drained(&self) {
        let mut none = std::pin::pin!(self.none.notified());
        none.as_mut().enable();
        if !self.is_empty() {
            none.await;
        }
    }

    pub fn len(&self) -> usize {
        self.line.lock().writes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for a write and takes it out.
    pub async fn next(&self) -> (ObjectKey, Write) {
        loop {
            let taken = {
                let mut line = self.line.lock();
                let taken = line.pop();
                match line.writes.is_empty() {
                    true => self.none.notify_waiters(),
                    false => self.some.notify_one(),
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
            manager: String::new(),
            is_interim: false,
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

    #[tokio::test]
    async fn an_object_that_changes_all_the_time_keeps_nobody_waiting() {
        let queue = Queue::default();
        queue.put(ObjectKey::reverse_proxy("z"), mk_write(0));
        for n in 0..5 {
            queue.put(ObjectKey::reverse_proxy("a"), mk_write(n));
        }
        assert_eq!(queue.next().await.0.name, "z");
        queue.put(ObjectKey::reverse_proxy("y"), mk_write(0));
        assert_eq!(queue.next().await.1.resource_version, "4");
        queue.put(ObjectKey::reverse_proxy("a"), mk_write(5));
        queue.remove(&ObjectKey::reverse_proxy("y"));
        assert_eq!((queue.next().await.0.name.as_str(), queue.len()), ("a", 0));
    }

    #[tokio::test]
    async fn interim_writes_come_behind_all_others_and_are_mostly_replaced() {
        let queue = Queue::default();
        let interim = |n| Write {
            is_interim: true,
            ..mk_write(n)
        };
        for (name, write) in [("a", interim(1)), ("b", interim(2)), ("c", mk_write(3))] {
            queue.put(ObjectKey::reverse_proxy(name), write);
        }
        queue.put(ObjectKey::reverse_proxy("b"), mk_write(4));
        let mut order = Vec::new();
        while !queue.is_empty() {
            order.push(queue.next().await.1.resource_version);
        }
        assert_eq!(order, ["4", "3", "1"]);
        tokio::time::timeout(Duration::from_secs(1), queue.drained())
            .await
            .unwrap();
    }

    #[test]
    fn times_are_no_difference() {
        let at = |time: &str, reason: &str| json!({"conditions": [{"type": "Ready", "reason": reason, "lastTransitionTime": time}]});
        assert!(!differs(&at("1", "a"), &at("2", "a")));
        assert!(differs(&at("1", "a"), &at("1", "b")));
        assert!(differs(&at("1", "a"), &Value::Null));
    }
}
