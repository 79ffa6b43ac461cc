//! What changes from one list of entries to another, by digest.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::Digest;
use crate::kind::Deploy;
use crate::revision::Revised;

/// Users that a sentence names.
const NAMED: usize = 3;

/// An entry, as far as changes are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub name: String,
    pub digest: Digest,
    pub deploy: Deploy,
}

/// What changes, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    pub added: Vec<Change>,
    pub changed: Vec<Change>,
    /// With the mode that they had.
    pub removed: Vec<Change>,
    pub untouched: Vec<String>,
    /// Removed, in use, and so still in service.
    pub blocked: Vec<Blocked>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub name: String,
    pub deploy: Deploy,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocked {
    pub name: String,
    pub message: String,
}

// === impl Known ===

impl From<&Revised> for Known {
    fn from(entry: &Revised) -> Self {
        Self {
            name: entry.name.clone(),
            digest: entry.digest.clone(),
            deploy: entry.deploy,
        }
    }
}

/// Compares two lists; `in_use` has the users of entries, such as `ReverseProxy shop`.
pub fn diff(old: &[Known], new: &[Known], in_use: &BTreeMap<String, Vec<String>>) -> Diff {
    let by_name = |entries: &'_ [Known]| -> BTreeMap<String, Known> {
        let pairs = entries.iter().map(|entry| (entry.name.clone(), entry.clone()));
        pairs.collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let mut diff = Diff::default();
    for (name, entry) in &new {
        let change = || Change {
            name: name.clone(),
            deploy: entry.deploy,
        };
        match old.get(name) {
            None => diff.added.push(change()),
            Some(before) if before.digest != entry.digest => diff.changed.push(change()),
            Some(_) => diff.untouched.push(name.clone()),
        }
    }
    for (name, entry) in &old {
        if new.contains_key(name) {
            continue;
        }
        match in_use.get(name).filter(|users| !users.is_empty()) {
            Some(users) => diff.blocked.push(Blocked {
                name: name.clone(),
                message: sentence(name, users),
            }),
            None => diff.removed.push(Change {
                name: name.clone(),
                deploy: entry.deploy,
            }),
        }
    }
    diff
}

fn sentence(name: &str, users: &[String]) -> String {
    let mut users: Vec<_> = users.iter().map(String::as_str).collect();
    users.sort_unstable();
    users.dedup();
    let more = users.len().saturating_sub(NAMED);
    users.truncate(NAMED);
    let mut text = format!(
        "entry {name} cannot be removed: it is used by {}",
        users.join(", ")
    );
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
