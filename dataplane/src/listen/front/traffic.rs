use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::endless::Endless;

/// Counts open connections and requests in flight.
#[derive(Debug, Default)]
pub struct Traffic {
    connections: AtomicUsize,
    requests: AtomicUsize,
    changed: Notify,
    /// What draining has to put an end to.
    pub endless: Arc<Endless>,
}

/// Counts as one for as long as it lives, also through a panic.
#[derive(Debug)]
pub struct Guard {
    traffic: Arc<Traffic>,
    counter: Counter,
}

#[derive(Clone, Copy, Debug)]
enum Counter {
    Connections,
    Requests,
}

// === impl Traffic ===

impl Traffic {
    /// Open connections, HTTP/1 and HTTP/2.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Requests that are not yet answered; tunnels count until they end.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// Those of them that somebody waits for: neither tunnels nor what has no end.
    pub fn awaited(&self) -> usize {
        self.requests().saturating_sub(self.endless.unawaited())
    }

    /// Resolves when no connection is open. Connections, not requests: the last bytes of an answer may
    /// still wait in a connection of HTTP/2 when its request is done.
    pub async fn drained(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.connections() == 0 {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn connection(self: &Arc<Self>) -> Guard {
        Guard::new(self, Counter::Connections)
    }

    /// For whoever counts without a front.
    #[cfg(test)]
    pub(crate) fn begin_request(self: &Arc<Self>) -> Guard {
        self.request()
    }

    pub(super) fn request(self: &Arc<Self>) -> Guard {
        Guard::new(self, Counter::Requests)
    }

    fn counter(&self, counter: Counter) -> &AtomicUsize {
        match counter {
            Counter::Connections => &self.connections,
            Counter::Requests => &self.requests,
        }
    }
}

// === impl Guard ===

impl Guard {
    fn new(traffic: &Arc<Traffic>, counter: Counter) -> Self {
        traffic.counter(counter).fetch_add(1, Ordering::AcqRel);
        Self {
            traffic: Arc::clone(traffic),
            counter,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.traffic.counter(self.counter).fetch_sub(1, Ordering::AcqRel) == 1 {
            self.traffic.changed.notify_waiters();
        }
    }
}
