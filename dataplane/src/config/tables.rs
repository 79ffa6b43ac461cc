mod builder;
mod extensions;
mod policies;
mod route;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use genkan_callers::login::FleetKey;
use genkan_proto::Hash;
use genkan_routing::Table;
use genkan_routing::model::ObjectKey;
use parking_lot::Mutex;
use rpds::HashTrieMapSync;
use tokio::sync::watch;

pub use builder::{Applied, ApplyError, Builder, Change, Value};
pub use extensions::{Entry, EntryState, Extension, Objections};
pub use policies::Linked;
pub use route::{Action, Route};

/// Everything that a request is judged by; it keeps the one it started with.
#[derive(Debug)]
pub struct Tables {
    pub hash: Hash,
    /// How many configurations this process has applied; 0 before the first.
    pub sequence: u64,
    pub table: Table<Arc<Route>, Arc<Route>>,
    pub routes: Routes,
    /// Those of `routes` whose backend is a host of the author's choice.
    pub hosts: Routes,
    /// In the order of their names.
    pub extensions: Arc<[Extension]>,
    /// For those who log in to web UIs; absent where the operator gives none.
    pub fleet_key: Option<Arc<FleetKey>>,
}

/// Routes by object. A clone is cheap, and an edit copies only its own path.
pub type Routes = HashTrieMapSync<ObjectKey, Arc<Route>>;

/// The tables that are served now.
#[derive(Debug, Default)]
pub struct Current {
    tables: ArcSwap<Tables>,
    applied: watch::Sender<u64>,
    /// Routes that nobody has looked at since they were built.
    fresh: Mutex<Vec<Arc<Route>>>,
    /// Seconds since 1970 of what was kept, while that is served; 0 once the operator has said something.
    kept: AtomicU64,
}

// === impl Tables ===

impl Default for Tables {
    fn default() -> Self {
        Self {
            hash: Hash::empty(),
            sequence: 0,
            table: Table::default(),
            routes: Routes::new_sync(),
            hosts: Routes::new_sync(),
            extensions: Arc::default(),
            fleet_key: None,
        }
    }
}

// === impl Current ===

impl Current {
    pub fn load(&self) -> Arc<Tables> {
        self.tables.load_full()
    }

    /// When what is served was last confirmed, in seconds since 1970, if it was kept from before this process and the
    /// operator has said nothing yet.
    pub fn kept_since(&self) -> Option<u64> {
        Some(self.kept.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    /// `at` is 0 for what the operator said.
    pub fn keep_since(&self, at: u64) {
        self.kept.store(at, Ordering::Relaxed);
    }

    /// The routes that were built since the last call.
    pub fn take_fresh(&self) -> Vec<Arc<Route>> {
        std::mem::take(&mut self.fresh.lock())
    }

    /// Changes when other tables are served.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Gives back what was served until now: whoever lets go of it last frees all of it, and that should be no request.
    pub fn publish(&self, tables: Tables, fresh: Vec<Arc<Route>>) -> Arc<Tables> {
        let sequence = tables.sequence;
        let old = self.tables.swap(Arc::new(tables));
        self.fresh.lock().extend(fresh);
        self.applied.send_replace(sequence);
        old
    }
}
