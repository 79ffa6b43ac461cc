use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use genkan_crds::gateway::GatewayExtensionSpec;
use genkan_extensions::Deploy;
use genkan_extensions::diff::{Known, diff};
use genkan_extensions::join::Next;
use genkan_extensions::revision::{Revised, Revision};
use genkan_extensions::status::Unresolved;
use genkan_routing::model::ObjectRef;
use genkan_routing::model::policy::SecretAlias;

use super::{reading, view};
use crate::verdict::ExtensionVerdict;

/// One extension, as it was read last.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) created: i64,
    /// Accepted ones, the newest first: that is what is meant.
    pub(super) history: VecDeque<Arc<Revision>>,
    /// What was complete everywhere.
    pub(super) stable: Option<Revision>,
    pub(super) secrets: Vec<SecretAlias>,
    pub(super) allow_fail_open: Vec<String>,
    /// Names of the policies that its entries use or provide, also of those that are rejected.
    pub(super) mentions: BTreeSet<String>,
    pub(super) verdict: ExtensionVerdict,
    pub(super) object: Option<ObjectRef>,
}

// === impl Held ===

impl Held {
    /// What is meant.
    pub(super) fn target(&self) -> Option<&Revision> {
        self.history.front().map(AsRef::as_ref)
    }

    /// What is meant, with an earlier form of entries of which data planes refuse the last.
    pub(super) fn last_good(&self, refused: Option<&BTreeMap<String, String>>) -> Option<Revision> {
        let target = self.target()?;
        let is_good = |entry: &Revised| {
            entry.deploy == Deploy::Deferred
                || refused.is_none_or(|refused| !refused.contains_key(entry.digest.as_str()))
        };
        let good = |entry: &Revised| {
            let earlier = self.history.iter().flat_map(|revision| &revision.entries);
            let mut forms = earlier.filter(|form| form.name == entry.name);
            forms.find(|form| is_good(form)).cloned()
        };
        Some(Revision {
            id: target.id.clone(),
            entries: target.entries.iter().filter_map(good).collect(),
        })
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Revised> {
        self.target().into_iter().flat_map(|target| &target.entries)
    }

    /// An entry uses or provides one of these policies, also one that stays only because it is used.
    pub(super) fn mentions_any(&self, policies: &BTreeSet<String>) -> bool {
        self.all_mentions().any(|name| policies.contains(&name))
    }

    pub(super) fn all_mentions(&self) -> impl Iterator<Item = String> {
        let provided = self.entries().flat_map(|entry| entry.running.content.provides());
        let provided = provided.map(|policy| policy.split('@').next().unwrap_or_default().to_owned());
        self.mentions.iter().cloned().chain(provided)
    }

    /// What was complete everywhere, with the immediate entries that it had last.
    pub(super) fn note_stable(&mut self, stable: Option<&Revision>) {
        let deferred = stable.map(Revision::deferred);
        let same = |revision: &&Arc<Revision>| Some(revision.deferred()) == deferred;
        let last = self.history.iter().find(same).map(|last| last.as_ref().clone());
        self.stable = last.or_else(|| stable.cloned());
    }

    /// A revision that was accepted before is what is meant, whatever its source says now.
    pub(super) fn roll_back(&mut self, id: &str, verdict: &mut ExtensionVerdict) {
        match self.history.iter().position(|revision| revision.id == id) {
            Some(at) => {
                if let Some(revision) = self.history.remove(at) {
                    self.history.push_front(revision);
                }
            }
            None => verdict.unresolved.push(Unresolved {
                reason: "Invalid".to_owned(),
                message: format!(
                    "spec.rollbackTo: there is no revision {id}; status.revisions has those that are kept"
                ),
            }),
        }
    }

    /// A revision that is another one than before becomes what is meant, or is only told. `most`: revisions that are kept.
    pub(super) fn take(
        &mut self,
        spec: &GatewayExtensionSpec,
        next: Next,
        verdict: &mut ExtensionVerdict,
        most: usize,
    ) {
        if spec.dry_run == Some(true) {
            verdict.plan = plan(self.target(), &next.revision);
            return;
        }
        if spec.rollback_to.is_some() || self.target().is_some_and(|last| last.id == next.revision.id) {
            return;
        }
        // What cannot be kept could not be gone back to.
        if let Err(refused) = next.revision.pack() {
            verdict.archive_error = Some(refused);
            return;
        }
        self.history.retain(|revision| revision.id != next.revision.id);
        self.history.push_front(Arc::new(next.revision));
        // The one that a failure goes back to is kept however old it is.
        let stable = self.stable.as_ref().map(Revision::deferred);
        let mut all = self.history.iter();
        let last = all.position(|revision| Some(revision.deferred()) == stable);
        let mut places = 0..;
        self.history.retain(|_| {
            let place = places.next();
            place.is_some_and(|place| place < most) || place == last
        });
    }

    /// What a status says where nothing new was read, or nothing of it is meant.
    pub(super) fn last_entries(&self) -> Vec<crate::verdict::EntryVerdict> {
        self.target().map(view::kept).unwrap_or_default()
    }

    /// Bytes of the files that are sent.
    pub(super) fn file_bytes(&self) -> usize {
        reading::file_bytes(self.target().into_iter().chain(&self.stable))
    }
}

/// What a revision would change, a line each.
fn plan(before: Option<&Revision>, next: &Revision) -> Vec<String> {
    let known = |revision: &Revision| revision.entries.iter().map(Known::from).collect::<Vec<_>>();
    let old = before.map(known).unwrap_or_default();
    let changes = diff(&old, &known(next), &BTreeMap::new());
    view::lines(&changes)
}
