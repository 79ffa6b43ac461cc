//! Gateway extensions: from sources to entries, from entries to revisions, and what of them acts.

mod held;
mod reading;
mod sending;
mod sources;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use genkan_crds::gateway::GatewayExtensionSpec;
use genkan_extensions::join::{Joined, Provider, revision};
use genkan_extensions::revision::{Revised, Revision};
use genkan_extensions::status::EntryState;
use genkan_policies::{Aliases, World};
use genkan_routing::model::{ObjectKey, ObjectRef, Published, Resource, ResourceKey};

use super::policies::Policies;
use crate::fetched::Fetch;
use crate::index::{Dirty, Index};
use crate::kinds::Tool;
use crate::object::{Key, Record};
use crate::verdict::ExtensionVerdict;
use held::Held;

/// GatewayExtensions of a cluster.
const MOST_EXTENSIONS: usize = 32;
/// Bytes of the files of all of them, as they are sent.
const MOST_FILES: usize = 32 << 20;
/// Revisions that are kept where nobody says how many.
const HISTORY: usize = 5;
/// So often extensions are read again because of what others provide: what goes round in circles is left as it is.
const ROUNDS: usize = 4;

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

/// What there is beside an extension that is read.
pub(super) struct Others {
    /// Policies of people and of the other extensions, with what those say.
    pub(super) world: World,
    /// Entries of older ones.
    pub(super) providers: Vec<Provider>,
    /// `POLICY@VERSION` of people, and the names of their PolicyDefinitions.
    pub(super) written: BTreeMap<String, String>,
}

/// What a compile of extensions changed.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) concerned: BTreeSet<String>,
    pub(super) upserts: Vec<Resource>,
    pub(super) removals: Vec<ResourceKey>,
    /// All files of web servers that are wanted now, if those are others.
    pub(super) fetches: Option<Vec<Fetch>>,
    /// Something else of extensions acts now.
    pub(super) acts_otherwise: bool,
    /// Policies that those which were read use or provide, or did before.
    pub(super) mentioned: BTreeSet<String>,
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

    /// The extensions whose entries use or provide one of these policies.
    pub(super) fn mentioning(&self, policies: &BTreeSet<String>) -> BTreeSet<String> {
        let all = self.held.iter().filter(|(_, held)| held.mentions_any(policies));
        all.map(|(name, _)| name.clone()).collect()
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

    /// Reads extensions anew, and says what proxies are sent for them. Those that depend on what others provide are read
    /// again where that is something else now.
    pub(super) fn read(&mut self, index: &Index, names: &BTreeSet<String>, policies: &Policies) -> Extended {
        let acted = self.acting(index);
        let mut concerned = names.clone();
        let mut mentioned = BTreeSet::new();
        let mut todo = names.clone();
        for _ in 0..ROUNDS {
            if todo.is_empty() {
                break;
            }
            let before = self.provided();
            let mut ages: Vec<(i64, &String)> =
                todo.iter().map(|name| (created(index, name), name)).collect();
            ages.sort_unstable();
            for (_, name) in ages {
                mentioned.extend(self.held.get(name).into_iter().flat_map(Held::all_mentions));
                self.renew(index, name, policies);
                mentioned.extend(self.held.get(name).into_iter().flat_map(Held::all_mentions));
            }
            let after = self.provided();
            let changed: BTreeSet<String> = (before.symmetric_difference(&after))
                .map(|(policy, ..)| policy.split('@').next().unwrap_or_default().to_owned())
                .collect();
            let others = self.held.iter().filter(|(_, held)| held.mentions_any(&changed));
            todo = others.map(|(name, _)| name.clone()).collect();
            concerned.extend(todo.iter().cloned());
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
        let mut extended = self.send();
        extended.concerned = concerned;
        extended.mentioned = mentioned;
        extended.fetches = is_another.then(|| self.fetches.iter().cloned().collect());
        extended.acts_otherwise = acted != self.acting(index);
        extended
    }

    /// Tells anew who uses extensions. Returns those that have to be read again: what nobody uses any more may go.
    pub(super) fn count_users(&mut self, names: &BTreeSet<String>, policies: &Policies) -> BTreeSet<String> {
        let mut freed = BTreeSet::new();
        for name in names {
            let Some(mut held) = self.held.remove(name) else {
                continue;
            };
            let is_blocked = held
                .verdict
                .entries
                .iter()
                .any(|entry| entry.state == EntryState::Blocked);
            held.verdict.used_by = self.used_by(name, &held, policies);
            self.held.insert(name.clone(), held);
            if is_blocked {
                freed.insert(name.clone());
            }
        }
        freed
    }

    fn renew(&mut self, index: &Index, name: &str, policies: &Policies) {
        let key = ObjectKey::cluster(Published::GatewayExtension, name);
        let held = self.held.remove(name);
        let Some(record) = index.published.get(&key) else {
            return;
        };
        let is_same = |held: &Held| {
            held.object
                .as_ref()
                .is_some_and(|object| object.uid == record.uid)
        };
        let mut held = held.filter(is_same).unwrap_or_default();
        held.created = record.created;
        held.object = Some(ObjectRef::new(key, record.uid.as_str(), record.generation));
        let remembered = index.revisions.as_ref().and_then(|all| all.get(name));
        if held.history.is_empty() {
            let own = remembered.filter(|kept| kept.uid.is_empty() || kept.uid == record.uid);
            held.history
                .extend(own.into_iter().flat_map(|kept| &kept.revisions).cloned());
        }
        held.note_stable(index.stable.get(name));
        held.verdict.restores_stable = index.failed.contains(name);
        match spec_of(record) {
            Some(spec) => {
                held.secrets = spec.secrets.iter().map(reading::alias).collect();
                held.allow_fail_open.clone_from(&spec.allow_fail_open);
                held.verdict.is_suspended = spec.suspend == Some(true);
                if !held.verdict.is_suspended {
                    self.read_one(index, record, spec, policies, &mut held);
                } else if held.verdict.entries.is_empty() {
                    held.verdict.entries = held.last_entries();
                }
            }
            None => {
                let problem = record.spec.as_ref().err().cloned().unwrap_or_default();
                held.verdict = ExtensionVerdict {
                    archive_error: Some(reading::invalid(problem)),
                    restores_stable: held.verdict.restores_stable,
                    entries: held.last_entries(),
                    ..ExtensionVerdict::default()
                };
            }
        }
        self.held.insert(name.to_owned(), held);
    }

    fn read_one(
        &self,
        index: &Index,
        record: &Record,
        spec: &GatewayExtensionSpec,
        policies: &Policies,
        held: &mut Held,
    ) {
        let name = record.key.name.as_str();
        let mut verdict = ExtensionVerdict {
            restores_stable: held.verdict.restores_stable,
            ..ExtensionVerdict::default()
        };
        let most = spec
            .revision_history_limit
            .and_then(|most| usize::try_from(most).ok());
        let most = most.unwrap_or(HISTORY).clamp(1, 10);
        let secrets = reading::secrets(spec, index);
        verdict.unresolved.extend(secrets.unresolved);
        verdict.is_pending = secrets.is_pending;
        if let Some(id) = &spec.rollback_to {
            held.roll_back(id, &mut verdict);
        }
        // Older ones are there already.
        let all = index.published_of(Published::GatewayExtension);
        let older = all.filter(|one| (one.created, &one.key.name) < (record.created, &record.key.name));
        let place = older.count() + 1;
        if place > MOST_EXTENSIONS {
            verdict.archive_error = Some(reading::exceeded(format!(
                "it is number {place} of the GatewayExtensions, the limit is {MOST_EXTENSIONS}"
            )));
        }
        if index.revisions.is_none() {
            verdict.is_pending = true;
        }
        if verdict.archive_error.is_none() && !verdict.is_pending {
            self.take(
                index,
                record,
                spec,
                policies,
                secrets.aliases,
                most,
                &mut verdict,
                held,
            );
        }
        // What is only planned, or not meant, is not told as if it were there.
        let is_meant =
            spec.dry_run != Some(true) && spec.rollback_to.is_none() && verdict.archive_error.is_none();
        if verdict.entries.is_empty() || !is_meant {
            verdict.entries = held.last_entries();
        }
        verdict.used_by = self.used_by(name, held, policies);
        held.verdict = verdict;
    }

    #[allow(clippy::too_many_arguments, reason = "all of it is looked at")]
    fn take(
        &self,
        index: &Index,
        record: &Record,
        spec: &GatewayExtensionSpec,
        policies: &Policies,
        aliases: Aliases,
        most: usize,
        verdict: &mut ExtensionVerdict,
        held: &mut Held,
    ) {
        let name = record.key.name.as_str();
        let others = self.others(name, record.created, policies);
        let before = held.last_good(index.refused.get(name));
        let before = before.map(|before| others.without_taken(&before));
        let read = match reading::read(name, spec, index, &others, aliases, before.as_ref()) {
            Ok(read) => read,
            Err(reading::Problem::Refused(refused)) => {
                verdict.archive_error = Some(refused);
                return;
            }
            Err(reading::Problem::Unresolved(unresolved)) => {
                verdict.unresolved.push(unresolved);
                return;
            }
            Err(reading::Problem::Pending) => {
                verdict.is_pending = true;
                return;
            }
        };
        verdict.warnings = read.warnings;
        verdict.skipped = read.skipped;
        verdict.unresolved.extend(read.unresolved);
        verdict.is_from_legacy = read.is_from_legacy;
        held.mentions = read.mentions;
        let in_use = self.in_use(name, before.as_ref(), &read.joined, policies);
        let next = revision(name, &read.joined, before.as_ref(), &in_use);
        let bytes: usize = self.held.values().map(Held::file_bytes).sum();
        let bytes = bytes + reading::file_bytes(held.stable.iter().chain([&next.revision]));
        if bytes > MOST_FILES {
            verdict.archive_error = Some(reading::exceeded(format!(
                "with it the files of all extensions have {bytes} bytes, the limit is {MOST_FILES}"
            )));
            return;
        }
        verdict.entries = view::entries(&read.joined, &next, &read.waiting);
        held.take(spec, next, verdict, most);
    }

    /// Who provides what: `POLICY@VERSION`, extension, digest.
    fn provided(&self) -> BTreeSet<(String, String, String)> {
        let mut all = BTreeSet::new();
        for (name, held) in &self.held {
            for entry in held.entries() {
                let policies = reading::policies_of(&entry.running.content).into_iter();
                all.extend(policies.map(|policy| (policy, name.clone(), entry.digest.as_str().to_owned())));
            }
        }
        all
    }

    /// What there is beside an extension. `created`: when it was.
    fn others(&self, name: &str, created: i64, policies: &Policies) -> Others {
        let mut others = Others {
            world: policies.of_people(),
            providers: Vec::new(),
            written: policies.written_by_people(),
        };
        for (other, held) in self.by_age() {
            if other == name {
                continue;
            }
            let is_older = (held.created, other.as_str()) < (created, name);
            for entry in held.entries() {
                let title = format!("{other}/{}", entry.name);
                let running = &entry.running;
                let (is_private, catalogs) = (running.is_private, &running.catalogs);
                view::provide(&mut others.world, &title, &running.content, is_private, catalogs);
                others.world.entries.insert(title, view::facts(entry));
                if is_older {
                    others.providers.push(Provider {
                        extension: other.clone(),
                        entry: entry.name.clone(),
                        provides: reading::policies_of(&entry.running.content),
                    });
                }
            }
            others
                .world
                .allow_fail_open
                .extend(held.allow_fail_open.iter().cloned());
        }
        let theirs = policies.world();
        let overrides = theirs.overrides.iter().filter(|one| one.extension != name);
        others.world.overrides.extend(overrides.cloned());
        others
    }

    /// The users of each entry of a revision: objects, and other entries.
    fn in_use(
        &self,
        name: &str,
        before: Option<&Revision>,
        joined: &[Joined],
        policies: &Policies,
    ) -> BTreeMap<String, Vec<String>> {
        // Those of this extension that stay as they were accepted last.
        let stays = |entry: &&Revised| {
            joined
                .iter()
                .any(|one| one.name == entry.name && one.outcome.is_err())
        };
        let entries = before.into_iter().flat_map(|before| &before.entries);
        let staying: Vec<&Revised> = entries.clone().filter(stays).collect();
        let used = entries.map(|entry| {
            let mut users = self.users_of(name, entry, policies);
            let provided = entry.running.content.provides();
            let uses = |other: &&&Revised| {
                other.name != entry.name && policies.comes_to(&view::uses(&other.running.content), &provided)
            };
            users.extend(
                staying
                    .iter()
                    .filter(uses)
                    .map(|other| format!("entry {}", other.name)),
            );
            (entry.name.clone(), users)
        });
        used.filter(|(_, users)| !users.is_empty()).collect()
    }

    fn used_by(&self, name: &str, held: &Held, policies: &Policies) -> Vec<String> {
        let mut all: Vec<String> = held
            .entries()
            .flat_map(|entry| self.users_of(name, entry, policies))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// Objects, and other extensions, that use a policy of an entry, directly or by others.
    fn users_of(&self, name: &str, entry: &Revised, policies: &Policies) -> Vec<String> {
        let provided = entry.running.content.provides();
        let identities = provided.iter().filter_map(|policy| policy.split_once('@'));
        let mut users: BTreeSet<ObjectKey> = identities
            .flat_map(|(policy, version)| policies.all_users_of(policy, version))
            .collect();
        for (other, held) in &self.held {
            let uses = |entry: &Revised| policies.comes_to(&view::uses(&entry.running.content), &provided);
            if other != name && held.entries().any(uses) {
                users.insert(ObjectKey::cluster(Published::GatewayExtension, other.as_str()));
            }
        }
        users.iter().map(ObjectKey::title).collect()
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

pub(super) fn spec_of(record: &Record) -> Option<&GatewayExtensionSpec> {
    match &record.spec.as_ref().ok()?.tool {
        Tool::Extension(spec) => Some(spec),
        Tool::None | Tool::Connector(_) | Tool::Class(_) | Tool::Policy(_) => None,
    }
}

fn created(index: &Index, name: &str) -> i64 {
    index.created(&ObjectKey::cluster(Published::GatewayExtension, name))
}

// === impl Others ===

impl Others {
    /// A revision without the entries whose policies are somebody else's by now.
    fn without_taken(&self, revision: &Revision) -> Revision {
        let taken = self.providers.iter().flat_map(|provider| &provider.provides);
        let taken: BTreeSet<&String> = taken.chain(self.written.keys()).collect();
        let is_free = |entry: &&Revised| {
            let provided = entry.running.content.provides();
            !provided.iter().any(|policy| taken.contains(policy))
        };
        Revision {
            id: revision.id.clone(),
            entries: revision.entries.iter().filter(is_free).cloned().collect(),
        }
    }
}
