use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use genkan_routing::model::{self, Blob, BlobKey};

use crate::upstream::{Bundle, UpstreamError};

/// What routes are built with beside their own description, and which of them are built with what.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Each read once, however many routes trust it; or what is wrong with it.
    bundles: HashMap<BlobKey, Result<Arc<Bundle>, UpstreamError>>,
    /// Keys of resources.
    users: HashMap<BlobKey, BTreeSet<String>>,
    /// What came or went since the last time.
    touched: HashSet<BlobKey>,
}

// === impl Parts ===

impl Parts {
    pub(super) fn insert(&mut self, key: BlobKey, blob: &Blob) {
        self.bundles
            .insert(key, Bundle::read(&blob.content).map(Arc::new));
        self.touched.insert(key);
    }

    pub(super) fn remove(&mut self, key: &BlobKey) {
        self.bundles.remove(key);
        self.touched.insert(*key);
    }

    /// # Errors
    /// When it is not there, or cannot be read.
    pub(super) fn bundle(&self, key: &BlobKey) -> Result<Arc<Bundle>, UpstreamError> {
        match self.bundles.get(key) {
            Some(bundle) => bundle.clone(),
            None => Err(UpstreamError::NoCaBundle),
        }
    }

    /// Notes that a route is built with what it names; false if it names nothing.
    pub(super) fn join(&mut self, resource: &str, route: &model::Route) -> bool {
        let named = route.bundle();
        for key in &named {
            self.users.entry(*key).or_default().insert(resource.to_owned());
        }
        named.is_some()
    }

    pub(super) fn leave(&mut self, resource: &str, route: Option<&model::Route>) {
        let Some(key) = route.and_then(model::Route::bundle) else {
            return;
        };
        if let Some(users) = self.users.get_mut(&key) {
            users.remove(resource);
            if users.is_empty() {
                self.users.remove(&key);
            }
        }
    }

    /// The resources that are built with what came or went.
    pub(super) fn settle(&mut self) -> BTreeSet<String> {
        let touched = self.touched.drain();
        let users = touched.filter_map(|key| self.users.get(&key));
        users.flatten().cloned().collect()
    }
}
