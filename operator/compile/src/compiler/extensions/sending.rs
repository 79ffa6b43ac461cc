//! What proxies are sent of extensions, and what of them acts.

use std::collections::{BTreeMap, BTreeSet};

use genkan_extensions::Deploy;
use genkan_extensions::revision::{Revised, Revision};
use genkan_policies::World;
use genkan_routing::model::policy::{LargeFile, RevisionEntries, RevisionEntry};
use genkan_routing::model::{ChunkKey, EntryKey, ExtensionRevision, Resource, ResourceBody, ResourceKey};

use super::held::Held;
use super::{Extended, Extensions, reading, view};
use crate::index::Index;

/// What acts: of which extension, which entry and form, what it may read, and what may fail open.
pub(super) type Acting = BTreeSet<(String, String, String)>;

// === impl Extensions ===

impl Extensions {
    /// What proxies are to have, beside what they have been sent.
    pub(super) fn send(&mut self) -> Extended {
        let mut now: BTreeMap<String, (ResourceKey, Resource)> = BTreeMap::new();
        for (name, held) in &self.held {
            let (Some(object), Some(target)) = (&held.object, held.target()) else {
                continue;
            };
            let kept = held
                .stable
                .as_ref()
                .filter(|stable| stable.deferred() != target.deferred());
            for revision in [Some(target), kept].into_iter().flatten() {
                for entry in &revision.entries {
                    let key = EntryKey {
                        extension: name.clone(),
                        entry: entry.name.clone(),
                        digest: entry.digest.short().to_owned(),
                    };
                    let text = ResourceKey::Entry(key.clone()).to_string();
                    // Its name says its content, and so do those of its pieces.
                    if let Some((_, sent)) = self.sent.get(&text) {
                        let pieces =
                            pieces(sent).filter_map(|piece| self.sent.get_key_value(&piece.to_string()));
                        now.extend(pieces.map(|(text, piece)| (text.clone(), piece.clone())));
                        now.insert(text, (sent.key.clone(), sent.clone()));
                        continue;
                    }
                    let (content, pieces) = view::content(entry);
                    let pieces = pieces.into_iter().map(|(key, piece)| Resource::chunk(key, piece));
                    now.extend(pieces.map(|piece| (piece.key.to_string(), (piece.key.clone(), piece))));
                    let resource = Resource::entry(key, content);
                    now.insert(text, (resource.key.clone(), resource));
                }
            }
            let resource = Resource::revision(ExtensionRevision {
                object: object.clone(),
                target: entries_of(target),
                stable: kept.map(entries_of),
                restores_stable: held.verdict.restores_stable,
                allow_fail_open: held.allow_fail_open.clone(),
                secrets: held.secrets.clone(),
            });
            now.insert(resource.key.to_string(), (resource.key.clone(), resource));
        }
        let mut extended = Extended::default();
        for (text, (_, resource)) in &now {
            if self.sent.get(text).is_none_or(|(_, before)| before != resource) {
                extended.upserts.push(resource.clone());
            }
        }
        for (text, (key, _)) in &self.sent {
            if !now.contains_key(text) {
                extended.removals.push(key.clone());
            }
        }
        self.sent = now;
        extended
    }

    /// Adds what acts of all extensions to a world that has the policies of people.
    pub(in crate::compiler) fn act(&self, index: &Index, world: &mut World) {
        world.hooks.clear();
        world.overrides.clear();
        world.entries.clear();
        world.files.clear();
        world.secrets.clear();
        world.allow_fail_open.clear();
        for (name, held) in self.by_age() {
            if held.history.is_empty() {
                continue;
            }
            world.allow_fail_open.extend(held.allow_fail_open.iter().cloned());
            world
                .secrets
                .insert(name.clone(), reading::aliases(&held.secrets, index));
            for entry in acting(held, index.deploys) {
                view::act(world, name, entry);
            }
        }
    }

    /// What [`Self::act`] would add, by name.
    pub(super) fn acting(&self, index: &Index) -> Acting {
        let mut all = Acting::new();
        let nothing = String::new;
        for (name, held) in &self.held {
            for entry in acting(held, index.deploys) {
                all.insert((name.clone(), entry.name.clone(), entry.digest.as_str().to_owned()));
            }
            for built_in in &held.allow_fail_open {
                all.insert((name.clone(), nothing(), built_in.clone()));
            }
        }
        all
    }

    /// Policies that are accepted and do not act everywhere yet, and whose they are.
    pub(in crate::compiler) fn coming(&self, index: &Index, policy: &str) -> Option<&str> {
        let is_there = |entry: &&Revised| {
            let provided = entry.running.content.provides();
            provided.iter().any(|one| one.split('@').next() == Some(policy))
        };
        let found = self.held.iter().find(|(_, held)| {
            let acts: BTreeSet<&str> = acting(held, index.deploys)
                .map(|entry| entry.digest.as_str())
                .collect();
            let mut waiting = held
                .entries()
                .filter(|entry| !acts.contains(entry.digest.as_str()));
            waiting.any(|entry| is_there(&entry))
        });
        found.map(|(name, _)| name.as_str())
    }

    /// The oldest first.
    pub(super) fn by_age(&self) -> Vec<(&String, &Held)> {
        let mut all: Vec<(&String, &Held)> = self.held.iter().collect();
        all.sort_by_key(|(name, held)| (held.created, (*name).clone()));
        all
    }
}

/// The immediate entries of the target, and everything else in the form in which it was complete everywhere. `deploys`:
/// somebody rolls out; else what is meant is all there is.
fn acting(held: &Held, deploys: bool) -> impl Iterator<Item = &Revised> {
    let target = held.target();
    let stable = match deploys {
        true => held.stable.as_ref(),
        false => held.stable.as_ref().or(target),
    };
    let of_target = |entry: &Revised| held.entries().find(|one| one.name == entry.name);
    let deferred = stable.into_iter().flat_map(|stable| &stable.entries);
    let deferred = deferred.filter(move |entry| match of_target(entry) {
        // It waits for its turn in the form that it had, whatever that was.
        Some(now) => now.deploy == Deploy::Deferred,
        None => entry.deploy == Deploy::Deferred,
    });
    let immediate = held.entries().filter(|entry| entry.deploy == Deploy::Immediate);
    deferred.chain(immediate)
}

/// Of the large files of an entry.
fn pieces(resource: &Resource) -> impl Iterator<Item = ChunkKey> {
    let files = match &resource.body {
        ResourceBody::Entry(entry) => Some(entry.large_files.values()),
        ResourceBody::Route(_)
        | ResourceBody::Endpoints(_)
        | ResourceBody::Blob(_)
        | ResourceBody::Chunk(_)
        | ResourceBody::Secret(_)
        | ResourceBody::FeatureFlags(_)
        | ResourceBody::Policy(_)
        | ResourceBody::Revision(_) => None,
    };
    files.into_iter().flatten().flat_map(LargeFile::chunks)
}

fn entries_of(revision: &Revision) -> RevisionEntries {
    let entries = revision.entries.iter();
    RevisionEntries {
        id: revision.deferred(),
        entries: entries
            .map(|entry| RevisionEntry {
                entry: entry.name.clone(),
                digest: entry.digest.short().to_owned(),
                is_immediate: entry.deploy == Deploy::Immediate,
            })
            .collect(),
    }
}
