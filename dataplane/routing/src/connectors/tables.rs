use std::collections::BTreeMap;
use std::sync::Arc;

use rpds::HashTrieMapSync;

use super::{ApiPath, Operations};
use crate::model::connector::{OPERATION_REVIEW, WRITES};
use crate::model::{AuthType, FeatureFlags, Secret};

/// What a published object is to this API, ready to serve. `R` is a destination.
#[derive(Debug, Default)]
pub enum Role<R> {
    #[default]
    None,
    Connector(Box<Connector<R>>),
    Class(Box<Class<R>>),
}

/// One instance of a tool; its address is a destination itself.
#[derive(Debug)]
pub struct Connector<R> {
    pub class: String,
    pub address: String,
    pub extensions: BTreeMap<String, R>,
    pub auth: String,
    pub credential: Credential,
}

#[derive(Debug)]
pub enum Credential {
    None,
    Secret {
        /// As people write it: `Secret tools/gitlab`.
        title: String,
        value: Arc<Secret>,
    },
    /// One sentence, which callers read.
    Problem(String),
}

/// A kind of tool; its own API is a destination itself.
#[derive(Debug)]
pub struct Class<R> {
    pub operations: Operations,
    pub auth: BTreeMap<String, AuthType>,
    /// Of Connectors that give none of that name.
    pub extensions: BTreeMap<String, R>,
    pub direct: BTreeMap<String, R>,
    pub proxy: Proxy<R>,
    /// In Rego: what a request counts as when rights are asked for.
    pub permissions: Option<String>,
}

#[derive(Debug)]
pub enum Proxy<R> {
    None,
    BuiltIn,
    Own {
        destination: R,
        /// Of the host that names the Connector; absent: the path names it.
        host_suffix: Option<String>,
    },
}

/// Everything that requests for this API are decided by. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connectors<R> {
    connectors: HashTrieMapSync<String, HashTrieMapSync<String, R>>,
    classes: HashTrieMapSync<String, R>,
    /// Methods that write are served.
    pub writes: bool,
    /// A second review asks for the operation.
    pub reviews_operations: bool,
    /// Names of all switches that are on.
    pub flags: Arc<[String]>,
}

// === impl Connectors ===

impl<R> Default for Connectors<R> {
    fn default() -> Self {
        Self {
            connectors: HashTrieMapSync::new_sync(),
            classes: HashTrieMapSync::new_sync(),
            writes: false,
            reviews_operations: false,
            flags: Arc::default(),
        }
    }
}

impl<R> Connectors<R> {
    pub fn get(&self, path: &ApiPath<'_>) -> Option<&R> {
        self.connectors.get(path.namespace)?.get(path.name)
    }

    pub fn class(&self, name: &str) -> Option<&R> {
        self.classes.get(name)
    }

    /// Puts switches in force.
    pub fn switch(&mut self, flags: &FeatureFlags) {
        self.writes = flags.is_on(WRITES);
        self.reviews_operations = flags.is_on(OPERATION_REVIEW);
        self.flags = flags.0.clone().into();
    }
}

impl<R: Clone> Connectors<R> {
    /// What stood there before comes back.
    pub fn insert(&mut self, namespace: &str, name: &str, object: R) -> Option<R> {
        let mut all = self
            .connectors
            .get(namespace)
            .cloned()
            .unwrap_or_else(HashTrieMapSync::new_sync);
        let before = all.get(name).cloned();
        all.insert_mut(name.to_owned(), object);
        self.connectors.insert_mut(namespace.to_owned(), all);
        before
    }

    pub fn remove(&mut self, namespace: &str, name: &str) -> Option<R> {
        let mut all = self.connectors.get(namespace)?.clone();
        let before = all.get(name).cloned();
        all.remove_mut(name);
        if all.is_empty() {
            self.connectors.remove_mut(namespace);
        } else {
            self.connectors.insert_mut(namespace.to_owned(), all);
        }
        before
    }

    pub fn insert_class(&mut self, name: &str, class: R) -> Option<R> {
        let before = self.classes.get(name).cloned();
        self.classes.insert_mut(name.to_owned(), class);
        before
    }

    pub fn remove_class(&mut self, name: &str) -> Option<R> {
        let before = self.classes.get(name).cloned();
        self.classes.remove_mut(name);
        before
    }
}

// === impl Class ===

impl<R> Class<R> {
    /// Where requests go for it, beside its own API.
    pub fn destinations(&self) -> impl Iterator<Item = &R> {
        let own = match &self.proxy {
            Proxy::Own { destination, .. } => Some(destination),
            Proxy::None | Proxy::BuiltIn => None,
        };
        self.extensions.values().chain(self.direct.values()).chain(own)
    }
}

// === impl Role ===

impl<R> Role<R> {
    pub fn connector(&self) -> Option<&Connector<R>> {
        match self {
            Self::Connector(connector) => Some(connector),
            Self::None | Self::Class(_) => None,
        }
    }

    pub fn class(&self) -> Option<&Class<R>> {
        match self {
            Self::Class(class) => Some(class),
            Self::None | Self::Connector(_) => None,
        }
    }
}
