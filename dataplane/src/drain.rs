use std::io;
use std::time::Duration;

use pingora_core::server::ShutdownWatch;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::front::Traffic;

/// The end of the process, in steps in which no request is lost: still accept while others learn that this proxy is
/// leaving, then only finish what has begun.
#[derive(Debug)]
pub struct Drain {
    delay: Duration,
    timeout: Duration,
    begun: watch::Sender<bool>,
    listeners: watch::Sender<bool>,
}

/// What asks the process to end.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

const LAST_ACCEPTED: Duration = Duration::from_millis(50);

// === impl Drain ===

impl Drain {
    pub fn new(delay: Duration, timeout: Duration) -> Self {
        Self {
            delay,
            timeout,
            begun: watch::Sender::new(false),
            listeners: watch::Sender::new(false),
        }
    }

    /// True from the first step on.
    pub fn begun(&self) -> ShutdownWatch {
        self.begun.subscribe()
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
        self.begun.send_replace(true);
        tokio::time::sleep(self.delay).await;
        self.listeners.send_replace(true);
        let _ = tokio::time::timeout(self.timeout, accepting).await;
        // What was accepted last counts as a connection only once its task has begun.
        tokio::time::sleep(LAST_ACCEPTED).await;
        tracing::info!(timeout = ?self.timeout, connections = traffic.connections(), "draining: no more connections");
        if tokio::time::timeout(self.timeout, traffic.drained())
            .await
            .is_err()
        {
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
