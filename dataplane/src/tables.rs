mod builder;
mod route;

use std::sync::Arc;

use arc_swap::ArcSwap;
use genkan_proto::Hash;
use genkan_routing::Table;
use tokio::sync::watch;

pub use builder::{Applied, ApplyError, Builder};
pub use route::{Action, Door, Route};

/// Everything that a request is judged by; it keeps the one it started with.
#[derive(Debug)]
pub struct Tables {
    pub hash: Hash,
    /// How many configurations this process has applied; 0 before the first.
    pub sequence: u64,
    pub doors: Table<Arc<Route>, Arc<Route>>,
    /// Every route, for those who look after all of them.
    pub routes: Vec<Arc<Route>>,
}

/// The tables that are served now.
#[derive(Debug, Default)]
pub struct Current {
    tables: ArcSwap<Tables>,
    applied: watch::Sender<u64>,
}

// === impl Tables ===

impl Default for Tables {
    fn default() -> Self {
        Self {
            hash: Hash::empty(),
            sequence: 0,
            doors: Table::default(),
            routes: Vec::new(),
        }
    }
}

// === impl Current ===

impl Current {
    pub fn load(&self) -> Arc<Tables> {
        self.tables.load_full()
    }

    /// Changes when other tables are served.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Gives back what was served until now: whoever lets go of it last frees all of it, and that should be no request.
    pub fn publish(&self, tables: Tables) -> Arc<Tables> {
        let sequence = tables.sequence;
        let old = self.tables.swap(Arc::new(tables));
        self.applied.send_replace(sequence);
        old
    }
}
