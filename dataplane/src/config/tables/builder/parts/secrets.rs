use std::collections::HashMap;
use std::sync::Arc;

use genkan_routing::model::{KeyedHash, Secret, SecretKey};

/// A value from the operator, and what names it.
pub type Value = (SecretKey, KeyedHash, Secret);

/// The secrets that are served, in memory alone.
#[derive(Debug, Default)]
pub(in super::super) struct Secrets {
    /// By what the resources say.
    named: HashMap<SecretKey, KeyedHash>,
    held: HashMap<SecretKey, (KeyedHash, Arc<Secret>)>,
    /// Came before the change that names them.
    pending: Vec<Value>,
}

// === impl Secrets ===

impl Secrets {
    pub(in super::super) fn name(&mut self, key: SecretKey, hash: KeyedHash) {
        self.named.insert(key, hash);
    }

    pub(in super::super) fn remove(&mut self, key: &SecretKey) {
        self.named.remove(key);
    }

    /// Values for the change that comes next.
    pub(in super::super) fn expect(&mut self, values: Vec<Value>) {
        self.pending = values;
    }

    /// The change did not come.
    pub(in super::super) fn forget_expected(&mut self) {
        self.pending.clear();
    }

    /// The value that the resources name, if it has come.
    pub(in super::super) fn get(&self, key: &SecretKey) -> Option<&Arc<Secret>> {
        let (hash, secret) = self.held.get(key)?;
        (self.named.get(key) == Some(hash)).then_some(secret)
    }

    /// Whether every value that is named has come.
    pub(in super::super) fn is_complete(&self) -> bool {
        self.named.keys().all(|key| self.get(key).is_some())
    }

    /// Takes over what was expected, and lets go of what nothing names. Returns the keys of new values.
    pub(super) fn settle(&mut self) -> Vec<SecretKey> {
        let mut new = Vec::new();
        for (key, hash, secret) in std::mem::take(&mut self.pending) {
            let is_named = self.named.get(&key) == Some(&hash);
            if is_named && self.get(&key).is_none() {
                self.held.insert(key.clone(), (hash, Arc::new(secret)));
                new.push(key);
            }
        }
        let named = &self.named;
        self.held.retain(|key, (hash, _)| named.get(key) == Some(hash));
        new
    }
}
