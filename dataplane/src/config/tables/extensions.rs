//! What there is of gateway extensions on this data plane.

use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_policies::Tally;
use genkan_routing::model::policy::ExtensionReport;

use super::Tables;

#[derive(Clone, Debug)]
pub struct Extension {
    pub name: String,
    /// What is active; empty: nothing of its deferred entries.
    pub revision: String,
    /// Those that act, and those of its target that wait.
    pub entries: Vec<Entry>,
    /// Since the revision is active.
    pub tally: Arc<Tally>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// The first 12 digits of it.
    pub digest: String,
    pub state: EntryState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryState {
    Active,
    /// For the roll-out of its revision.
    Waiting,
    /// It should act, and this is why it does not.
    Missing(String),
}

/// By `EXTENSION/ENTRY`: the first sentence about a step of it that cannot be linked.
pub type Objections = BTreeMap<String, String>;

// === impl Tables ===

impl Tables {
    /// What stands in the way of plans.
    pub fn objections(&self) -> Objections {
        let mut objections = Objections::new();
        for route in self.routes.values() {
            let linked = route.linked.load();
            let Some((entry, why)) = linked.as_deref().and_then(|linked| linked.fault()) else {
                continue;
            };
            let sentence = || format!("{}: {}", route.title, why.message);
            objections.entry(entry.to_owned()).or_insert_with(sentence);
        }
        objections
    }
}

// === impl Extension ===

impl Extension {
    /// What people see of an entry: its state, in one word, and why.
    pub fn state<'s>(&self, entry: &'s Entry, objections: &'s Objections) -> (&'static str, Option<&'s str>) {
        let title = format!("{}/{}", self.name, entry.name);
        match &entry.state {
            EntryState::Active => match objections.get(&title) {
                Some(why) => ("objection", Some(why)),
                None => ("active", None),
            },
            EntryState::Waiting => ("waiting", None),
            EntryState::Missing(why) => ("objection", Some(why)),
        }
    }

    /// How it does.
    pub fn report(&self) -> ExtensionReport {
        ExtensionReport {
            extension: self.name.clone(),
            revision: self.revision.clone(),
            requests: self.tally.requests(),
            errors: self.tally.errors(),
        }
    }
}
