//! Gateway extensions: from sources to entries, from entries to revisions, and what of them acts.

mod reading;
mod sources;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use genkan_crds::gateway::GatewayExtensionSpec;
use genkan_extensions::Deploy;
use genkan_extensions::diff::{Known, diff};
use genkan_extensions::join::{Next, Provider, conflicts, revision};
use genkan_extensions::revision::Revision;
use genkan_extensions::status::{EntryState, Unresolved};
use genkan_policies::World;
use genkan_routing::model::policy::{RevisionEntries, RevisionEntry};
use genkan_routing::model::{
    EntryKey, ExtensionRevision, ObjectKey, ObjectRef, Published, Resource, ResourceKey,
};

use super::policies::Policies;
use crate::fetched::Fetch;
use crate::index::{Dirty, Index};
use crate::kinds::Tool;
use crate::object::{Key, Record};
use crate::verdict::ExtensionVerdict;

/// GatewayExtensions of a cluster.
const MOST_EXTENSIONS: usize = 32;
/// Bytes of the files of all of them, as they are sent.
const MOST_FILES: usize = 32 << 20;
/// Revisions that are kept where nobody says how many.
const HISTORY: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Extensions {
    held: BTreeMap<String, Held>,
    /// The ConfigMaps that each names, and the other way round.
    named: BTreeMap<String, BTreeSet<Key>>,
    of_map: BTreeMap<Key, BTreeSet<String>>,
    wanted: Vec<(Key, bool)>,
    fetches: BTreeSet<Fetch>,
    /// What proxies have been sent, by key.
    sent: BTreeMap<String, (ResourceKey, Resource)>,
}

/// One extension, as it was read last.
#[derive(Debug, Default)]
struct Held {
    created: i64,
    /// Accepted ones, the newest first: that is what is meant.
    history: VecDeque<Arc<Revision>>,
    /// What was complete everywhere.
    stable: Option<Revision>,
    secrets: Vec<genkan_routing::model::policy::SecretAlias>,
    allow_fail_open: Vec<String>,
    verdict: ExtensionVerdict,
    object: Option<ObjectRef>,
}

/// What a compile of extensions changed.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) concerned: BTreeSet<String>,
    pub(super) upserts: Vec<Resource>,
    pub(super) removals: Vec<ResourceKey>,
    /// All files of web servers that are wanted now, if those are others.
    pub(super) fetches: Option<Vec<Fetch>>,
}

// === impl Extensions ===

impl Extensions {
    /// The extensions that a change concerns.
    pub(super) fn concerned(&mut self, index: &Index, dirty: &Dirty) -> BTreeSet<String> {
        let mut concerned = BTreeSet::new();
        for key in dirty
            .published
            .iter()
            .filter(|key| key.kind == Published::GatewayExtension)
        {
            self.name(index, key);
            concerned.insert(key.name.clone());
        }
        for map in &dirty.config_maps {
            concerned.extend(self.of_map.get(map).into_iter().flatten().cloned());
        }
        for secret in &dirty.secrets {
            let users = self.held.iter().filter(|(_, held)| {
                let mut secrets = held.secrets.iter();
                secrets.any(|one| one.namespace == secret.0 && one.name == secret.1)
            });
            concerned.extend(users.map(|(name, _)| name.clone()));
        }
        concerned.extend(dirty.stable.iter().cloned());
        if dirty.remembered || dirty.fetched {
            let all = index.published_of(Published::GatewayExtension);
            concerned.extend(all.map(|record| record.key.name.clone()));
        }
        concerned
    }

    /// The extensions that provide a policy which one of these objects uses.
    pub(super) fn providers(&self, policies: &Policies, objects: &BTreeSet<ObjectKey>) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        if self.held.is_empty() {
            return names;
        }
        let used: BTreeSet<&str> = objects
            .iter()
            .flat_map(|object| policies.names_of(object))
            .collect();
        for (name, held) in &self.held {
            let entries = held
                .history
                .front()
                .into_iter()
                .flat_map(|target| &target.entries);
            let mut provided = entries.flat_map(|entry| entry.running.content.provides());
            if provided.any(|policy| {
                policy
                    .split('@')
                    .next()
                    .is_some_and(|policy| used.contains(policy))
            }) {
                names.insert(name.clone());
            }
        }
        names
    }

    /// ConfigMaps that somebody names now and nobody did, and those that nobody names any more.
    pub(super) fn take_wanted(&mut self) -> Vec<(Key, bool)> {
        std::mem::take(&mut self.wanted)
    }

    fn name(&mut self, index: &Index, key: &ObjectKey) {
        let spec = index.published.get(key).and_then(|record| spec_of(record));
        let now: BTreeSet<Key> = spec.into_iter().flat_map(sources::config_maps).collect();
        let before = self.named.remove(&key.name).unwrap_or_default();
        for map in before.difference(&now) {
            if let Some(users) = self.of_map.get_mut(map) {
                users.remove(&key.name);
                if users.is_empty() {
                    self.of_map.remove(map);
                    self.wanted.push((map.clone(), false));
                }
            }
        }
        for map in now.difference(&before) {
            let users = self.of_map.entry(map.clone()).or_default();
            if users.is_empty() {
                self.wanted.push((map.clone(), true));
            }
            users.insert(key.name.clone());
        }
        if !now.is_empty() {
            self.named.insert(key.name.clone(), now);
        }
    }

    /// Reads extensions anew, and says what proxies are sent for them. `users` has the objects that use a policy.
    pub(super) fn read(
        &mut self,
        index: &Index,
        names: &BTreeSet<String>,
        world: &World,
        users: &dyn Fn(&str, &str) -> Vec<ObjectKey>,
    ) -> Extended {
        for name in names {
            let key = ObjectKey::cluster(Published::GatewayExtension, name.as_str());
            let Some(record) = index.published.get(&key) else {
                self.held.remove(name);
                continue;
            };
            let mut held = self.held.remove(name).unwrap_or_default();
            held.created = record.created;
            held.object = Some(ObjectRef::new(key, record.uid.as_str(), record.generation));
            held.stable = index.stable.get(name).cloned();
            held.verdict.restores_stable = index.failed.contains(name);
            let remembered = index.revisions.as_ref().and_then(|all| all.get(name));
            if held.history.is_empty() {
                held.history.extend(remembered.into_iter().flatten().cloned());
            }
            match spec_of(record) {
                Some(spec) if spec.suspend == Some(true) => held.verdict.is_suspended = true,
                Some(spec) => {
                    held.verdict.is_suspended = false;
                    self.read_one(index, record, spec, world, users, &mut held);
                }
                None => {
                    let problem = record.spec.as_ref().err().cloned().unwrap_or_default();
                    held.verdict = ExtensionVerdict {
                        archive_error: Some(reading::invalid(problem)),
                        ..ExtensionVerdict::default()
                    };
                }
            }
            self.held.insert(name.clone(), held);
        }
        let specs = index
            .published_of(Published::GatewayExtension)
            .filter_map(spec_of);
        let fetches: BTreeSet<Fetch> = match index.fetches {
            true => specs.flat_map(|spec| sources::fetches(spec, index)).collect(),
            false => BTreeSet::new(),
        };
        let is_another = fetches != self.fetches;
        self.fetches = fetches;
        self.settle_conflicts(world);
        let mut extended = self.send();
        extended.concerned.extend(names.iter().cloned());
        extended.fetches = is_another.then(|| self.fetches.iter().cloned().collect());
        extended
    }

    fn read_one(
        &self,
        index: &Index,
        record: &Record,
        spec: &GatewayExtensionSpec,
        world: &World,
        users: &dyn Fn(&str, &str) -> Vec<ObjectKey>,
        held: &mut Held,
    ) {
        held.secrets = spec.secrets.iter().map(reading::alias).collect();
        held.allow_fail_open.clone_from(&spec.allow_fail_open);
        let mut verdict = ExtensionVerdict::default();
        let most = spec
            .revision_history_limit
            .and_then(|most| usize::try_from(most).ok());
        let most = most.unwrap_or(HISTORY).clamp(1, 10);
        let count = index.published_of(Published::GatewayExtension).count();
        if count > MOST_EXTENSIONS {
            verdict.archive_error = Some(reading::exceeded(format!(
                "{count} GatewayExtensions, the limit is {MOST_EXTENSIONS}"
            )));
        }
        let secrets = reading::secrets(spec, index);
        verdict.unresolved.extend(secrets.unresolved);
        verdict.is_pending = secrets.is_pending;
        verdict.restores_stable = held.verdict.restores_stable;
        if index.revisions.is_none() {
            verdict.is_pending = true;
            held.verdict = verdict;
            return;
        }
        match reading::read(&record.key.name, spec, index, world, secrets.aliases) {
            Ok(read) => {
                verdict.warnings = read.warnings;
                verdict.skipped = read.skipped;
                verdict.is_from_legacy = read.is_from_legacy;
                let before = held.history.front().map(AsRef::as_ref);
                let in_use = in_use(before, users);
                let next = revision(&record.key.name, &read.joined, before, &in_use);
                verdict.entries = view::entries(&read.joined, &next);
                self.take(spec, next, &mut verdict, held, most);
                verdict.used_by = used_by(held.history.front().map(AsRef::as_ref), users);
            }
            Err(reading::Problem::Refused(refused)) => verdict.archive_error = Some(refused),
            Err(reading::Problem::Unresolved(unresolved)) => verdict.unresolved.push(unresolved),
            Err(reading::Problem::Pending) => verdict.is_pending = true,
        }
        if verdict.entries.is_empty() {
            // What was accepted last goes on.
            verdict.entries = held
                .history
                .front()
                .map(|last| view::kept(last))
                .unwrap_or_default();
        }
        held.verdict = verdict;
    }

    /// A revision that is another one than before becomes what is meant, or is only told.
    fn take(
        &self,
        spec: &GatewayExtensionSpec,
        next: Next,
        verdict: &mut ExtensionVerdict,
        held: &mut Held,
        most: usize,
    ) {
        if spec.dry_run == Some(true) {
            verdict.plan = plan(held.history.front().map(AsRef::as_ref), &next.revision);
            return;
        }
        if let Some(id) = &spec.rollback_to {
            match held.history.iter().position(|revision| revision.id == *id) {
                Some(at) => {
                    if let Some(revision) = held.history.remove(at) {
                        held.history.push_front(revision);
                    }
                }
                None => verdict.unresolved.push(Unresolved {
                    reason: "Invalid".to_owned(),
                    message: format!(
                        "spec.rollbackTo: there is no revision {id}; status.revisions has those that are kept"
                    ),
                }),
            }
            return;
        }
        if held
            .history
            .front()
            .is_none_or(|last| last.id != next.revision.id)
        {
            held.history.retain(|revision| revision.id != next.revision.id);
            held.history.push_front(Arc::new(next.revision));
            held.history.truncate(most);
        }
    }

    /// Of two entries that provide one policy the older extension's counts, and PolicyDefinitions of people always.
    fn settle_conflicts(&mut self, world: &World) {
        let mut ages: Vec<(i64, &String)> = self
            .held
            .iter()
            .map(|(name, held)| (held.created, name))
            .collect();
        ages.sort_unstable();
        let names: Vec<String> = ages.into_iter().map(|(_, name)| name.clone()).collect();
        let mut providers = Vec::new();
        for name in &names {
            let target = self.held.get(name).and_then(|held| held.history.front());
            for entry in target.into_iter().flat_map(|target| &target.entries) {
                providers.push(Provider {
                    extension: name.clone(),
                    entry: entry.name.clone(),
                    provides: entry.running.content.provides(),
                });
            }
        }
        let of_policies = |provider: &mut Provider| provider.provides.retain(|policy| policy.contains('@'));
        providers.iter_mut().for_each(of_policies);
        let written = world.definitions.iter().flat_map(|(policy, versions)| {
            let own = versions.iter().filter(|definition| definition.entry.is_none());
            own.map(move |definition| {
                (
                    format!("{policy}@{}", definition.version),
                    definition.policy.clone(),
                )
            })
        });
        let losers = conflicts(&providers, &written.collect());
        for (index, refused) in losers {
            let Some(provider) = providers.get(index) else {
                continue;
            };
            let held = self.held.get_mut(&provider.extension);
            let entry = held.and_then(|held| {
                held.verdict
                    .entries
                    .iter_mut()
                    .find(|entry| entry.name == provider.entry)
            });
            if let Some(entry) = entry {
                entry.state = EntryState::Rejected;
                entry.reason = Some(refused.reason.as_str().to_owned());
                entry.message = Some(refused.message);
            }
        }
    }

    /// What proxies are to have, beside what they have been sent.
    fn send(&mut self) -> Extended {
        let mut now: BTreeMap<String, (ResourceKey, Resource)> = BTreeMap::new();
        let mut bytes = 0;
        for (name, held) in &self.held {
            let (Some(object), Some(target)) = (&held.object, held.history.front()) else {
                continue;
            };
            let kept = held
                .stable
                .as_ref()
                .filter(|stable| stable.deferred() != target.deferred());
            for revision in [Some(target.as_ref()), kept].into_iter().flatten() {
                for entry in &revision.entries {
                    let key = EntryKey {
                        extension: name.clone(),
                        entry: entry.name.clone(),
                        digest: entry.digest.short().to_owned(),
                    };
                    let content = view::content(entry);
                    bytes += content.files.values().map(String::len).sum::<usize>();
                    let resource = Resource::entry(key, content);
                    now.insert(resource.key.to_string(), (resource.key.clone(), resource));
                }
            }
            let rejected: BTreeSet<&str> = (held.verdict.entries.iter())
                .filter(|entry| entry.reason.as_deref() == Some("Conflicted"))
                .map(|entry| entry.name.as_str())
                .collect();
            let resource = Resource::revision(ExtensionRevision {
                object: object.clone(),
                target: entries_of(target, &rejected),
                stable: kept.map(|stable| entries_of(stable, &rejected)),
                restores_stable: held.verdict.restores_stable,
                allow_fail_open: held.allow_fail_open.clone(),
                secrets: held.secrets.clone(),
            });
            now.insert(resource.key.to_string(), (resource.key.clone(), resource));
        }
        let mut extended = Extended::default();
        if bytes > MOST_FILES {
            for held in self.held.values_mut() {
                held.verdict.archive_error = Some(reading::exceeded(format!(
                    "the files of all extensions have {bytes} bytes, the limit is {MOST_FILES}"
                )));
            }
            return extended;
        }
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
    pub(super) fn act(&self, index: &Index, world: &mut World) {
        world.hooks.clear();
        world.overrides.clear();
        world.entries.clear();
        world.files.clear();
        world.secrets.clear();
        world.allow_fail_open.clear();
        let mut all: Vec<(&String, &Held)> = self.held.iter().collect();
        all.sort_by_key(|(name, held)| (held.created, (*name).clone()));
        for (name, held) in all {
            let Some(target) = held.history.front() else {
                continue;
            };
            world.allow_fail_open.extend(held.allow_fail_open.iter().cloned());
            world
                .secrets
                .insert(name.clone(), reading::aliases(&held.secrets, index));
            let stable = held.stable.as_ref().unwrap_or(target.as_ref());
            let rejected: BTreeSet<&str> = (held.verdict.entries.iter())
                .filter(|entry| entry.reason.as_deref() == Some("Conflicted"))
                .map(|entry| entry.name.as_str())
                .collect();
            let immediate = target
                .entries
                .iter()
                .filter(|entry| entry.deploy == Deploy::Immediate);
            let replaced: BTreeSet<&str> = immediate.clone().map(|entry| entry.name.as_str()).collect();
            let deferred = stable.entries.iter();
            let deferred = deferred
                .filter(|entry| entry.deploy == Deploy::Deferred && !replaced.contains(entry.name.as_str()));
            for entry in deferred
                .chain(immediate)
                .filter(|entry| !rejected.contains(entry.name.as_str()))
            {
                view::act(world, name, entry);
            }
        }
    }

    /// What is said of an extension.
    pub(super) fn verdict(&self, name: &str) -> Option<(ObjectRef, ExtensionVerdict)> {
        let held = self.held.get(name)?;
        let mut verdict = held.verdict.clone();
        verdict.stable = held.stable.as_ref().map(|stable| stable.id.clone());
        verdict.history = held.history.iter().cloned().collect();
        Some((held.object.clone()?, verdict))
    }
}

fn entries_of(revision: &Revision, rejected: &BTreeSet<&str>) -> RevisionEntries {
    let entries = revision.entries.iter();
    let entries = entries.filter(|entry| !rejected.contains(entry.name.as_str()));
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

pub(super) fn spec_of(record: &Record) -> Option<&GatewayExtensionSpec> {
    match &record.spec.as_ref().ok()?.tool {
        Tool::Extension(spec) => Some(spec),
        Tool::None | Tool::Connector(_) | Tool::Class(_) | Tool::Policy(_) => None,
    }
}

/// The users of each entry of a revision.
fn in_use(
    revision: Option<&Revision>,
    users: &dyn Fn(&str, &str) -> Vec<ObjectKey>,
) -> BTreeMap<String, Vec<String>> {
    let entries = revision.into_iter().flat_map(|revision| &revision.entries);
    let used = entries.map(|entry| {
        let provided = entry.running.content.provides();
        let policies = provided.iter().filter_map(|policy| policy.split_once('@'));
        let mut all: Vec<ObjectKey> = policies
            .flat_map(|(policy, version)| users(policy, version))
            .collect();
        all.sort();
        all.dedup();
        (
            entry.name.clone(),
            all.iter().map(ObjectKey::title).collect::<Vec<_>>(),
        )
    });
    used.filter(|(_, users)| !users.is_empty()).collect()
}

fn used_by(revision: Option<&Revision>, users: &dyn Fn(&str, &str) -> Vec<ObjectKey>) -> Vec<String> {
    let mut all: Vec<String> = in_use(revision, users).into_values().flatten().collect();
    all.sort();
    all.dedup();
    all
}

/// What a revision would change, a line each.
fn plan(before: Option<&Revision>, next: &Revision) -> Vec<String> {
    let known = |revision: &Revision| revision.entries.iter().map(Known::from).collect::<Vec<_>>();
    let old = before.map(known).unwrap_or_default();
    let changes = diff(&old, &known(next), &BTreeMap::new());
    view::lines(&changes)
}
