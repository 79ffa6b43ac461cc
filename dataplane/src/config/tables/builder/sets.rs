use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use genkan_routing::model::SetKey;

use crate::endpoints::Endpoints;
use crate::net::AddressCheck;

/// The endpoints of Services, for as long as they are served or a route leads to them.
#[derive(Debug)]
pub(super) struct Sets {
    sets: HashMap<Arc<SetKey>, Set>,
    check: Arc<AddressCheck>,
    /// What a change said about them so far.
    touched: HashMap<Arc<SetKey>, Option<Vec<SocketAddr>>>,
}

#[derive(Debug)]
struct Set {
    endpoints: Arc<Endpoints>,
    is_served: bool,
    /// Routes that lead to it.
    routes: usize,
}

// === impl Sets ===

impl Sets {
    pub(super) fn new(check: Arc<AddressCheck>) -> Self {
        Self {
            sets: HashMap::new(),
            check,
            touched: HashMap::new(),
        }
    }

    /// The endpoints of a set; a route may be there before they are.
    pub(super) fn get(&mut self, key: &SetKey) -> (Arc<SetKey>, Arc<Endpoints>) {
        if let Some((key, set)) = self.sets.get_key_value(key) {
            return (Arc::clone(key), Arc::clone(&set.endpoints));
        }
        let key = Arc::new(key.clone());
        let endpoints = Arc::new(Endpoints::new(Arc::clone(&self.check)));
        let set = Set {
            endpoints: Arc::clone(&endpoints),
            is_served: false,
            routes: 0,
        };
        self.sets.insert(Arc::clone(&key), set);
        self.touched.entry(Arc::clone(&key)).or_default();
        (key, endpoints)
    }

    pub(super) fn fill(&mut self, key: &SetKey, addresses: Vec<SocketAddr>) {
        let (key, _) = self.get(key);
        if let Some(set) = self.sets.get_mut(&key) {
            set.is_served = true;
        }
        self.touched.insert(key, Some(addresses));
    }

    pub(super) fn remove(&mut self, key: &SetKey) {
        self.change(key, |set| set.is_served = false);
    }

    /// Another route leads to it.
    pub(super) fn lead(&mut self, key: &SetKey) {
        self.change(key, |set| set.routes += 1);
    }

    pub(super) fn leave(&mut self, key: &SetKey) {
        self.change(key, |set| set.routes = set.routes.saturating_sub(1));
    }

    fn change(&mut self, key: &SetKey, change: impl FnOnce(&mut Set)) {
        let Some((known, _)) = self.sets.get_key_value(key) else {
            return;
        };
        let known = Arc::clone(known);
        if let Some(set) = self.sets.get_mut(&known) {
            change(set);
            self.touched.entry(known).or_default();
        }
    }

    /// What the addresses are to be where they differ. A set to which only old routes lead keeps its own, for the
    /// requests that are still on their way.
    pub(super) fn settle(&mut self) -> Vec<(Arc<Endpoints>, Vec<SocketAddr>)> {
        let mut changes = Vec::new();
        for (key, addresses) in std::mem::take(&mut self.touched) {
            let Some(set) = self.sets.get(&key) else { continue };
            if set.is_served {
                let changed = addresses.filter(|addresses| set.endpoints.addresses() != *addresses);
                changes.extend(changed.map(|addresses| (Arc::clone(&set.endpoints), addresses)));
            } else if set.routes == 0 {
                self.sets.remove(&key);
            } else if !set.endpoints.is_empty() {
                changes.push((Arc::clone(&set.endpoints), Vec::new()));
            }
        }
        changes
    }
}
