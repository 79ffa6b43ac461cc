//! Which revision of each extension is active here, and what acts of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use genkan_policies::Tally;
use genkan_routing::model::policy::{ActiveRevisions, RevisionEntries, RevisionEntry};
use genkan_routing::model::{EntryKey, ExtensionRevision};

use super::files::Held;

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
    pub(super) contents: HashMap<EntryKey, Arc<Held>>,
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

    /// What acts: the immediate entries of the target, and those that are deferred there, or were, as the active revision
    /// has them: also one that was immediate and waits for its turn from now on.
    pub(super) fn acting(&self, target: &RevisionEntries) -> Vec<RevisionEntry> {
        let meant: BTreeMap<&str, bool> = (target.entries.iter())
            .map(|entry| (entry.entry.as_str(), entry.is_immediate))
            .collect();
        let waits = |entry: &&RevisionEntry| match meant.get(entry.entry.as_str()) {
            Some(is_immediate) => !is_immediate,
            None => !entry.is_immediate,
        };
        let deferred = self.revision.entries.iter().filter(waits);
        let immediate = target.entries.iter().filter(|entry| entry.is_immediate);
        deferred.chain(immediate).cloned().collect()
    }
}

/// The revision of this name. Without one it is that of no deferred entry, which is always there.
fn named(revision: &ExtensionRevision, id: &str) -> Option<RevisionEntries> {
    let known = [Some(&revision.target), revision.stable.as_ref()];
    let known = known.into_iter().flatten().find(|known| known.id == id).cloned();
    known.or_else(|| id.is_empty().then(RevisionEntries::default))
}

/// What one takes that begins with nothing.
fn restored(revision: &ExtensionRevision) -> RevisionEntries {
    match (&revision.stable, revision.restores_stable) {
        (Some(stable), true) => stable.clone(),
        (None, true) => RevisionEntries::default(),
        (_, false) => revision.target.clone(),
    }
}

#[cfg(test)]
mod tests {
    use genkan_routing::model::{ObjectKey, ObjectRef, Published};

    use super::*;

    fn mk_entries(id: &str, entries: &[(&str, &str, bool)]) -> RevisionEntries {
        let mk = |(entry, digest, is_immediate): &(&str, &str, bool)| RevisionEntry {
            entry: (*entry).to_owned(),
            digest: (*digest).to_owned(),
            is_immediate: *is_immediate,
        };
        RevisionEntries {
            id: id.to_owned(),
            entries: entries.iter().map(mk).collect(),
        }
    }

    fn mk_revision(target: RevisionEntries, stable: Option<RevisionEntries>) -> ExtensionRevision {
        ExtensionRevision {
            object: ObjectRef::new(ObjectKey::cluster(Published::GatewayExtension, "corp"), "u", 1),
            target,
            stable,
            restores_stable: false,
            allow_fail_open: Vec::new(),
            secrets: Vec::new(),
        }
    }

    fn acting(active: &Active, revision: &ExtensionRevision) -> Vec<String> {
        let acting = active.all["corp"].acting(&revision.target);
        acting
            .iter()
            .map(|entry| format!("{}@{}", entry.entry, entry.digest))
            .collect()
    }

    /// It would be gone from every data plane until its turn comes.
    #[test]
    fn what_becomes_deferred_acts_as_it_did_until_its_turn() {
        let mut active = Active::default();
        let before = mk_entries("", &[("guard", "1", true), ("other", "1", true)]);
        active.revise(&mk_revision(before.clone(), None), true);
        let after = mk_entries("corp-2", &[("guard", "2", false), ("other", "2", true)]);
        let revision = mk_revision(after, Some(before));
        active.revise(&revision, false);
        assert_eq!(acting(&active, &revision), ["guard@1", "other@2"]);
        active.activate(&revision, "corp-2").unwrap();
        assert_eq!(acting(&active, &revision), ["guard@2", "other@2"]);
        active.activate(&revision, "").unwrap();
        assert_eq!(acting(&active, &revision), ["guard@1", "other@2"]);
    }

    #[test]
    fn what_is_removed_goes_as_it_came() {
        let mut active = Active::default();
        let before = mk_entries("corp-1", &[("now", "1", true), ("later", "1", false)]);
        active.revise(&mk_revision(before.clone(), None), true);
        let revision = mk_revision(mk_entries("", &[]), Some(before));
        active.revise(&revision, false);
        assert_eq!(acting(&active, &revision), ["later@1"]);
        active.activate(&revision, "").unwrap();
        assert!(acting(&active, &revision).is_empty());
    }
}
