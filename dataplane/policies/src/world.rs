mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use genkan_routing::model::Secret;
use genkan_routing::model::policy::{
    EntryLimits, FailurePolicy, Hook, Mode, Override, PolicyDefinition, PolicyStep,
};

use crate::meters::{Meters, Tally};
pub use files::Files;

/// What plans are linked with.
#[derive(Debug, Default)]
pub struct World {
    /// By name of the policy; its versions in any order.
    pub definitions: BTreeMap<String, Vec<Arc<PolicyDefinition>>>,
    /// Of entries that are accepted and active.
    pub hooks: Vec<NamedHook>,
    pub overrides: Vec<NamedOverride>,
    /// Of `EXTENSION/ENTRY`, for the definitions that name it.
    pub entries: BTreeMap<String, EntryFacts>,
    /// By extension.
    pub secrets: BTreeMap<String, Aliases>,
    /// Protective built-ins that may fail open.
    pub allow_fail_open: BTreeSet<String>,
    pub files: Files,
    /// Nobody's object is of every catalog.
    pub ignores_catalogs: bool,
    /// Where policies are counted; absent: nowhere.
    pub meters: Option<Arc<dyn Meters>>,
    /// By extension; one that has none is not counted.
    pub tallies: BTreeMap<String, Arc<Tally>>,
}

/// A hook, and whose it is.
#[derive(Clone, Debug)]
pub struct NamedHook {
    pub extension: String,
    pub entry: String,
    pub hook: Arc<Hook>,
    pub facts: EntryFacts,
}

/// Settings, and whose they are.
#[derive(Clone, Debug)]
pub struct NamedOverride {
    pub extension: String,
    pub entry: String,
    pub order: i32,
    pub settings: Arc<Override>,
}

/// What an entry says about all its steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryFacts {
    pub mode: Mode,
    pub failure_policy: FailurePolicy,
    pub limits: EntryLimits,
}

/// Secrets by the names that steps know.
pub type Aliases = BTreeMap<String, Alias>;

/// A Secret, or one key of it.
#[derive(Clone)]
pub struct Alias {
    pub secret: Arc<Secret>,
    /// The one that is meant.
    pub key: Option<String>,
}

/// The object that a plan is for.
#[derive(Clone, Copy, Debug)]
pub struct ObjectFacts<'a> {
    /// `ReverseProxy`, `APIService` or `Connector`.
    pub kind: &'a str,
    /// Empty for cluster-wide ones.
    pub namespace: &'a str,
    pub name: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    pub policies: &'a [PolicyStep],
    pub secrets: &'a Aliases,
}

// === impl World ===

impl World {
    /// Everything of an object would run without any.
    pub fn is_empty(&self) -> bool {
        self.hooks.is_empty() && self.definitions.is_empty()
    }
}

// === impl NamedHook ===

impl NamedHook {
    /// `EXT/ENTRY`.
    pub fn title(&self) -> String {
        format!("{}/{}", self.extension, self.entry)
    }
}

// === impl Alias ===

impl Alias {
    /// The one value that is meant: of the key that is named, else of the first of these names, else of the only one.
    pub(crate) fn value(&self, names: &[&str]) -> Option<&[u8]> {
        let data = &self.secret.data;
        if let Some(key) = &self.key {
            return data.get(key).map(|value| value.as_slice());
        }
        let named = names.iter().find_map(|name| data.get(*name));
        let only = || data.values().next().filter(|_| data.len() == 1);
        named.or_else(only).map(|value| value.as_slice())
    }
}

/// Nothing of a Secret, not even which.
impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alias(..)")
    }
}

// === impl ObjectFacts ===

impl ObjectFacts<'_> {
    /// As hooks select it: Connectors with their namespace.
    pub(crate) fn selected_name(&self) -> String {
        if self.namespace.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}/{}", self.namespace, self.name)
        }
    }

    /// `ReverseProxy shop`, `Connector team-a/board`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kind, self.selected_name())
    }
}
