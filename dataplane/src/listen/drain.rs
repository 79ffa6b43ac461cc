use std::io;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::server::ShutdownWatch;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::front::Traffic;
use crate::retreat::Retreat;

/// The end of the process, in steps in which no request is lost: still accept while others learn that this proxy is
/// leaving, then only finish what has begun.
#[derive(Debug)]
pub struct Drain {
    delay: Duration,
    timeout: Duration,
    retreat: Arc<Retreat>,
    listeners: watch::Sender<bool>,
}

/// What asks the process to end.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Watches are ended within so long before the time is over.
const SPREAD: Duration = Duration::from_secs(5);
const LAST_ACCEPTED: Duration = Duration::from_millis(50);

// === impl Drain ===

impl Drain {
    pub fn new(retreat: Arc<Retreat>, delay: Duration, timeout: Duration) -> Self {
        Self {
            delay,
            timeout,
            retreat,
            listeners: watch::Sender::new(false),
        }
    }

    /// True when nothing is to be accepted any more.
    pub fn listeners_end(&self) -> ShutdownWatch {
        self.listeners.subscribe()
    }

    /// Returns when no connection is left, or the time is over.
    ///
    /// `accepting` ends when nothing is accepted any more.
    pub async fn run(self, traffic: &Traffic, accepting: impl Future) {
        tracing::info!(delay = ?self.delay, connections = traffic.connections(), "draining: connections are still accepted");
        self.retreat.end();
        tokio::time::sleep(self.delay).await;
        self.listeners.send_replace(true);
        tracing::info!(timeout = ?self.timeout, connections = traffic.connections(), "draining: no more connections");
        let ending = async {
            accepting.await;
            // What was accepted last counts as a connection only once its task has begun.
            tokio::time::sleep(LAST_ACCEPTED).await;
            traffic.drained().await;
        };
        let spread = SPREAD.min(self.timeout);
        let early = async {
            tokio::time::sleep(self.timeout - spread).await;
            traffic.endless.end(spread).await;
            std::future::pending().await
        };
        let ending = async {
            tokio::select! {
                () = ending => {}
                () = early => {}
            }
        };
        if tokio::time::timeout(self.timeout, ending).await.is_err() {
            let (connections, requests) = (traffic.connections(), traffic.requests());
            tracing::warn!(
                connections,
                requests,
                "the time to drain is over: open connections are cut"
            );
        }
    }
}

// === impl Signals ===

impl Signals {
    /// # Errors
    /// When the runtime cannot listen to signals.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_are_counted_only_when_no_more_can_come() {
        let second = Duration::from_secs(1);
        for (accepting, expected) in [
            (3 * second, 4 * second + LAST_ACCEPTED),
            (90 * second, 31 * second),
        ] {
            let start = Instant::now();
            let drain = Drain::new(Arc::default(), second, 30 * second);
            drain
                .run(&Traffic::default(), async { tokio::time::sleep(accepting).await })
                .await;
            assert_eq!(start.elapsed(), expected);
        }
    }
}
