mod secrets;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use genkan_routing::model::{self, Blob, BlobKey, ResourceKey};

use crate::upstream::{Bundle, UpstreamError};
use secrets::Secrets;

pub use secrets::Value;

/// What routes are built with beside their own description, and which of them are built with what.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Each read once, however many routes trust it; or what is wrong with it.
    bundles: HashMap<BlobKey, Result<Arc<Bundle>, UpstreamError>>,
    pub(super) secrets: Secrets,
    /// Keys of resources, by what they are built with.
    users: HashMap<ResourceKey, BTreeSet<String>>,
    /// What came or went since the last time.
    touched: HashSet<ResourceKey>,
}

// === impl Parts ===

impl Parts {
    pub(super) fn insert(&mut self, key: BlobKey, blob: &Blob) {
        self.bundles
            .insert(key, Bundle::read(&blob.content).map(Arc::new));
        self.touch(key);
    }

    pub(super) fn remove(&mut self, key: &BlobKey) {
        self.bundles.remove(key);
        self.touch(*key);
    }

    pub(super) fn touch(&mut self, key: impl Into<ResourceKey>) {
        self.touched.insert(key.into());
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
        let mut names_any = false;
        for key in named(route) {
            self.users.entry(key).or_default().insert(resource.to_owned());
            names_any = true;
        }
        names_any
    }

    pub(super) fn leave(&mut self, resource: &str, route: Option<&model::Route>) {
        for key in route.into_iter().flat_map(named) {
            if let Some(users) = self.users.get_mut(&key) {
                users.remove(resource);
                if users.is_empty() {
                    self.users.remove(&key);
                }
            }
        }
    }

    /// The resources that are built with what came or went.
    pub(super) fn settle(&mut self) -> BTreeSet<String> {
        let values = self.secrets.settle().into_iter().map(ResourceKey::from);
        let touched: HashSet<ResourceKey> = self.touched.drain().chain(values).collect();
        let users = touched.iter().filter_map(|key| self.users.get(key));
        users.flatten().cloned().collect()
    }
}

fn named(route: &model::Route) -> impl Iterator<Item = ResourceKey> {
    let bundle = route.bundle().map(ResourceKey::from);
    let secrets = route.secrets.iter().cloned().map(ResourceKey::from);
    bundle.into_iter().chain(secrets)
}
