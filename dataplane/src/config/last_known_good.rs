//! What is served is kept in the state folder, so that a data plane can start while the operator is away.

mod active;
mod journal;
mod record;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use genkan_proto::{Hash, MAX_FRAME};
use genkan_routing::model::policy::ActiveRevisions;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
pub use journal::{Journal, ReadError};

/// A message that came into force.
#[derive(Debug, Clone)]
pub struct Update {
    /// What it is a change to; `None`: it is everything.
    pub base: Option<Hash>,
    /// What is served afterwards.
    pub hash: Hash,
    /// The compressed snapshot, as it was received.
    pub frame: Bytes,
}

/// What was served when the file was written last.
#[derive(Debug)]
pub struct LastKnownGood {
    pub upserts: Vec<Bytes>,
    pub hash: Hash,
    /// What was active of extensions.
    pub active: ActiveRevisions,
    /// When the operator was last known to say the same, in seconds since 1970.
    pub at: u64,
}

/// Which files are believed.
#[derive(Debug, Clone)]
pub struct Terms {
    /// As it was given; what another one said is not served.
    pub operator: String,
    pub max_age: Duration,
}

/// Takes what came into force, and has it written by a task of its own.
#[derive(Debug)]
pub struct Keeper {
    pending: Mutex<Pending>,
    wake: Notify,
    wants_everything: AtomicBool,
    metrics: Arc<Metrics>,
    max_age: Duration,
}

#[derive(Debug, Default)]
struct Pending {
    updates: Vec<Update>,
    bytes: usize,
    /// The operator is there, and what is served is what it says.
    is_confirmed: bool,
    /// What is active of extensions, if that is another thing than what was written.
    active: Option<ActiveRevisions>,
}

/// Changes that come together are written together.
const DEBOUNCE: Duration = Duration::from_secs(1);
/// The age of a file is exact to this part of the limit, while the operator says nothing new.
const CONFIRMATIONS: u32 = 24;

// === impl Keeper ===

impl Keeper {
    pub fn new(metrics: Arc<Metrics>, max_age: Duration) -> Self {
        Self {
            pending: Mutex::default(),
            wake: Notify::new(),
            wants_everything: AtomicBool::new(false),
            metrics,
            max_age,
        }
    }

    /// This is in force now. Returns at once.
    pub fn note(&self, update: Update) {
        let mut pending = self.pending.lock();
        pending.is_confirmed = true;
        if update.base.is_none() {
            pending.updates.clear();
            pending.bytes = 0;
        }
        pending.bytes += update.frame.len();
        pending.updates.push(update);
        if pending.bytes > 2 * MAX_FRAME {
            // The disk is slower than the changes; memory is not for them.
            pending.updates.clear();
            pending.bytes = 0;
            self.wants_everything.store(true, Ordering::Relaxed);
        }
        drop(pending);
        self.wake.notify_one();
    }

    /// This is active of extensions now. Returns at once.
    pub fn note_active(&self, active: ActiveRevisions) {
        self.pending.lock().active = Some(active);
        self.wake.notify_one();
    }

    /// The operator is not there any more: nobody knows whether what is served is still right.
    pub fn doubt(&self) {
        self.pending.lock().is_confirmed = false;
    }

    /// Changes cannot be written behind what the file holds: only everything, from the beginning, can.
    pub fn wants_everything(&self) -> bool {
        self.wants_everything.load(Ordering::Relaxed)
    }

    /// Writes until `stop`, and what is left then.
    pub async fn run(self: Arc<Self>, journal: Journal, stop: CancellationToken) {
        let journal = Arc::new(Mutex::new(journal));
        let pause = (self.max_age / CONFIRMATIONS).max(DEBOUNCE);
        loop {
            let is_last = tokio::select! {
                () = stop.cancelled() => true,
                () = self.wake.notified() => tokio::select! {
                    () = stop.cancelled() => true,
                    () = tokio::time::sleep(DEBOUNCE) => false,
                },
                () = tokio::time::sleep(pause) => false,
            };
            self.write(&journal).await;
            if is_last {
                return;
            }
        }
    }

    async fn write(&self, journal: &Arc<Mutex<Journal>>) {
        self.write_updates(journal).await;
        self.write_active(journal).await;
    }

    /// Behind the configuration that it is of.
    async fn write_active(&self, journal: &Arc<Mutex<Journal>>) {
        let Some(active) = self.pending.lock().active.take() else {
            return;
        };
        let (journal, writing) = (Arc::clone(journal), active.clone());
        let written = tokio::task::spawn_blocking(move || journal.lock().write_active(&writing)).await;
        let problem = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        // Once more when the next thing is written, unless it is another thing by then.
        self.pending.lock().active.get_or_insert(active);
        self.metrics.state_write_failures.inc();
        tracing::warn!(
            problem,
            "what is active of extensions cannot be kept in --state-dir"
        );
    }

    async fn write_updates(&self, journal: &Arc<Mutex<Journal>>) {
        let (updates, is_confirmed) = {
            let mut pending = self.pending.lock();
            pending.bytes = 0;
            (std::mem::take(&mut pending.updates), pending.is_confirmed)
        };
        if updates.is_empty() && !is_confirmed {
            return;
        }
        let is_everything = updates.first().is_some_and(|update| update.base.is_none());
        if self.wants_everything() && !is_everything {
            return;
        }
        let journal = Arc::clone(journal);
        let written =
            tokio::task::spawn_blocking(move || journal.lock().write(&updates, now(), is_confirmed)).await;
        let problem = match written {
            Ok(Ok(())) => {
                self.wants_everything.store(false, Ordering::Relaxed);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.metrics.state_write_failures.inc();
        self.wants_everything.store(true, Ordering::Relaxed);
        tracing::warn!(
            problem,
            "what is served cannot be kept in --state-dir; a restart without the operator would serve what was kept before"
        );
    }
}

/// What is kept and may be served, and where to go on writing.
///
/// # Errors
/// When there is a file that must not be served.
pub fn read(folder: &Path, terms: &Terms) -> (Journal, Result<Option<LastKnownGood>, ReadError>) {
    Journal::open(folder, terms, now())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
