//! Which revision of each extension is active here, and what acts of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use genkan_policies::Tally;
use genkan_routing::model::policy::{ActiveRevisions, RevisionEntries, RevisionEntry};
use genkan_routing::model::{EntryKey, ExtensionEntry, ExtensionRevision};

/// By extension.
#[derive(Debug, Default)]
pub(super) struct Active {
    all: BTreeMap<String, ActiveRevision>,
    /// What was active in an earlier process, for what begins in this one.
    kept: ActiveRevisions,
}

/// It stays what it was when nobody sends it any more, until another is made active.
#[derive(Debug, Default)]
pub(super) struct ActiveRevision {
    /// Without a name: no deferred entry acts.
    revision: RevisionEntries,
    /// Of its entries.
    pub(super) contents: HashMap<EntryKey, Arc<ExtensionEntry>>,
    pub(super) tally: Arc<Tally>,
    /// Objects whose policies could be linked when it was made active.
    pub(super) served_before: BTreeSet<String>,
}

// === impl Active ===

impl Active {
    /// What an earlier process had.
    pub(super) fn keep(&mut self, kept: ActiveRevisions) {
        self.kept = kept;
    }

    /// The revisions by name.
    pub(super) fn revisions(&self) -> ActiveRevisions {
        let all = self.all.iter();
        all.map(|(extension, active)| (extension.clone(), active.revision.id.clone()))
            .collect()
    }

    pub(super) fn get(&self, extension: &str) -> Option<&ActiveRevision> {
        self.all.get(extension)
    }

    pub(super) fn get_mut(&mut self, extension: &str) -> Option<&mut ActiveRevision> {
        self.all.get_mut(extension)
    }

    /// What there is of an extension is this now. `begins`: with the first configuration of this process, which is taken
    /// whole before anybody is served.
    pub(super) fn revise(&mut self, revision: &ExtensionRevision, begins: bool) {
        let extension = &revision.object.key.name;
        if let Some(active) = self.all.get_mut(extension) {
            if let Some(known) = named(revision, &active.revision.id) {
                active.revision = known;
            }
            return;
        }
        let kept = self.kept.remove(extension).filter(|_| begins);
        let taken = kept.and_then(|id| named(revision, &id));
        let taken = taken.unwrap_or_else(|| match begins {
            true => restored(revision),
            false => RevisionEntries::default(),
        });
        self.all.insert(extension.clone(), ActiveRevision::of(taken));
    }

    /// Makes a revision active; whether it was not.
    ///
    /// # Errors
    /// When it is not here, in one sentence.
    pub(super) fn activate(&mut self, revision: &ExtensionRevision, id: &str) -> Result<bool, String> {
        let extension = &revision.object.key.name;
        if self
            .all
            .get(extension)
            .is_some_and(|active| active.revision.id == id)
        {
            return Ok(false);
        }
        let Some(wanted) = named(revision, id) else {
            return Err(format!(
                "there is no revision {id} in the configuration that is served"
            ));
        };
        self.all.insert(extension.clone(), ActiveRevision::of(wanted));
        Ok(true)
    }

    /// Forgets the extensions that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&String) -> bool) {
        self.all.retain(|extension, _| is_there(extension));
    }
}

// === impl ActiveRevision ===

impl ActiveRevision {
    fn of(revision: RevisionEntries) -> Self {
        Self {
            revision,
            ..Self::default()
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.revision.id
    }

    /// What acts: the immediate entries of the target, and the deferred ones of the active revision.
    pub(super) fn acting(&self, target: &RevisionEntries) -> Vec<RevisionEntry> {
        let immediate: Vec<&RevisionEntry> =
            target.entries.iter().filter(|entry| entry.is_immediate).collect();
        let replaced: BTreeSet<&str> = immediate.iter().map(|entry| entry.entry.as_str()).collect();
        let deferred = self.revision.entries.iter();
        let deferred =
            deferred.filter(|entry| !entry.is_immediate && !replaced.contains(entry.entry.as_str()));
        deferred.chain(immediate.iter().copied()).cloned().collect()
    }
}

/// The revision of this name; without one, that of no deferred entry.
fn named(revision: &ExtensionRevision, id: &str) -> Option<RevisionEntries> {
    if id.is_empty() {
        return Some(RevisionEntries::default());
    }
    let known = [Some(&revision.target), revision.stable.as_ref()];
    known.into_iter().flatten().find(|known| known.id == id).cloned()
}

/// What one takes that begins with nothing.
fn restored(revision: &ExtensionRevision) -> RevisionEntries {
    match (&revision.stable, revision.restores_stable) {
        (Some(stable), true) => stable.clone(),
        (None, true) => RevisionEntries::default(),
        (_, false) => revision.target.clone(),
    }
}
