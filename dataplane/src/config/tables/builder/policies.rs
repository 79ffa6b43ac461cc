//! Policies that routes are served with: what there is of them, and what of it is active here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use genkan_policies::{
    Alias, Aliases, EntryFacts, Limiters, Meters, NamedHook, NamedOverride, ObjectFacts, Problem,
    ProblemReason, World, check, check_hook, claims_authorization, link, link_stub,
};
use genkan_proto::codec;
use genkan_proto::v1alpha1::Verdict;
use genkan_routing::model::policy::{ActiveRevisions, PolicyDefinition, SecretAlias};
use genkan_routing::model::{
    self, Blob, ChunkKey, DefinedPolicy, EntryKey, ExtensionEntry, ExtensionRevision, Objection, SecretKey,
    Unavailable,
};

use super::active::Active;
use super::files::{Chunks, Held};
use super::{Applied, Builder, Place};
use crate::tables::{Entry, EntryState, Extension, Linked, Route};

#[derive(Debug, Default)]
pub(super) struct Policies {
    /// Those that can be used, by the name of the object.
    definitions: BTreeMap<String, Arc<PolicyDefinition>>,
    entries: HashMap<EntryKey, Arc<ExtensionEntry>>,
    chunks: Chunks,
    revisions: BTreeMap<String, ExtensionRevision>,
    active: Active,
    world: Arc<World>,
    /// What people and the operator are shown.
    pub(super) extensions: Arc<[Extension]>,
    meters: Option<Arc<dyn Meters>>,
    limiters: Limiters,
    /// Something of the above came or went.
    is_dirty: bool,
}

// === impl Policies ===

impl Policies {
    pub(super) fn counting(meters: Arc<dyn Meters>) -> Self {
        Self {
            meters: Some(meters),
            ..Self::default()
        }
    }

    pub(super) fn define(&mut self, policy: DefinedPolicy) {
        let name = policy.object.key.name;
        match policy.definition {
            // What shows a policy of an extension is none by itself.
            Ok(definition) if definition.entry.is_some() => self.definitions.remove(&name),
            Ok(definition) => self.definitions.insert(name, Arc::new(definition)),
            Err(_) => self.definitions.remove(&name),
        };
        self.is_dirty = true;
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.is_dirty |= self.definitions.remove(name).is_some();
    }

    pub(super) fn enter(&mut self, key: EntryKey, entry: ExtensionEntry) {
        self.entries.insert(key, Arc::new(entry));
        self.is_dirty = true;
    }

    pub(super) fn take_chunk(&mut self, key: ChunkKey, piece: Blob) {
        self.chunks.insert(key, piece);
        self.is_dirty = true;
    }

    /// Who had the file keeps it.
    pub(super) fn drop_chunk(&mut self, key: &ChunkKey) {
        self.chunks.remove(key);
        self.is_dirty = true;
    }

    pub(super) fn leave(&mut self, key: &EntryKey) {
        self.is_dirty |= self.entries.remove(key).is_some();
    }

    /// `begins`: with the first configuration of this process.
    pub(super) fn revise(&mut self, revision: ExtensionRevision, begins: bool) {
        self.active.revise(&revision, begins);
        self.revisions.insert(revision.object.key.name.clone(), revision);
        self.is_dirty = true;
    }

    /// It may come back in the same change: what is active of it is forgotten behind that.
    pub(super) fn retire(&mut self, extension: &str) {
        self.is_dirty |= self.revisions.remove(extension).is_some();
    }

    /// Secrets changed, which steps of entries name.
    pub(super) fn touch(&mut self) {
        self.is_dirty |= !self.revisions.is_empty();
    }

    /// Makes the world anew if something of it changed. Whether plans that named nothing of it may change with it.
    fn settle(&mut self, secret: impl Fn(&SecretKey) -> Option<Arc<model::Secret>>) -> bool {
        if !std::mem::take(&mut self.is_dirty) {
            return false;
        }
        let mut world = World::default();
        for definition in self.definitions.values() {
            let versions = world.definitions.entry(definition.policy.clone()).or_default();
            versions.push(Arc::clone(definition));
        }
        self.active
            .retain(|extension| self.revisions.contains_key(extension));
        world.meters.clone_from(&self.meters);
        let mut extensions = Vec::with_capacity(self.revisions.len());
        for (extension, revision) in &self.revisions {
            world
                .allow_fail_open
                .extend(revision.allow_fail_open.iter().cloned());
            world
                .secrets
                .insert(extension.clone(), aliases(&revision.secrets, &secret).0);
            let Some(active) = self.active.get_mut(extension) else {
                continue;
            };
            world.tallies.insert(extension.clone(), Arc::clone(&active.tally));
            let before = std::mem::take(&mut active.contents);
            let mut shown = Vec::new();
            for entry in active.acting(&revision.target) {
                let key = EntryKey {
                    extension: extension.clone(),
                    entry: entry.entry,
                    digest: entry.digest,
                };
                let held = match (before.get(&key), self.entries.get(&key)) {
                    (Some(held), Some(entry)) if !Arc::ptr_eq(&held.entry, entry) => {
                        self.chunks.complete(entry)
                    }
                    // What nobody sends any more acts on.
                    (Some(held), _) => Ok(Arc::clone(held)),
                    (None, Some(entry)) => self.chunks.complete(entry),
                    (None, None) => Err("its content has not come".to_owned()),
                };
                let state = match &held {
                    Ok(held) => {
                        enter(&mut world, &key, held);
                        EntryState::Active
                    }
                    Err(why) => EntryState::Missing(why.clone()),
                };
                shown.push(Entry {
                    name: key.entry.clone(),
                    digest: key.digest.clone(),
                    state,
                });
                active.contents.extend(held.ok().map(|held| (key, held)));
            }
            let acting: HashSet<(&str, &str)> = (active
                .contents
                .keys()
                .map(|key| (key.entry.as_str(), key.digest.as_str())))
            .collect();
            let waiting = revision.target.entries.iter();
            let waiting = waiting
                .filter(|entry| !entry.is_immediate)
                .filter(|entry| !acting.contains(&(entry.entry.as_str(), entry.digest.as_str())))
                .filter(|_| active.id() != revision.target.id);
            shown.extend(waiting.map(|entry| Entry {
                name: entry.entry.clone(),
                digest: entry.digest.clone(),
                state: EntryState::Waiting,
            }));
            extensions.push(Extension {
                name: extension.clone(),
                revision: active.id().to_owned(),
                entries: shown,
                tally: Arc::clone(&active.tally),
            });
        }
        self.world = Arc::new(world);
        self.extensions = extensions.into();
        true
    }
}

fn enter(world: &mut World, key: &EntryKey, held: &Held) {
    let content = &held.entry;
    let title = format!("{}/{}", key.extension, key.entry);
    let facts = EntryFacts {
        mode: content.mode,
        failure_policy: content.failure_policy,
        limits: content.limits,
    };
    world.entries.insert(title.clone(), facts);
    for definition in &content.policies {
        let mut definition = definition.clone();
        definition.entry = Some(title.clone());
        let versions = world.definitions.entry(definition.policy.clone()).or_default();
        // A hand-written one of this version counts.
        if !versions
            .iter()
            .any(|other| other.version == definition.version && other.entry.is_none())
        {
            versions.retain(|other| other.version != definition.version);
            versions.push(Arc::new(definition));
        }
    }
    for hook in &content.hooks {
        world.hooks.push(NamedHook {
            extension: key.extension.clone(),
            entry: key.entry.clone(),
            hook: Arc::new(hook.clone()),
            facts,
        });
    }
    for (order, settings) in content.overrides.iter().enumerate() {
        world.overrides.push(NamedOverride {
            extension: key.extension.clone(),
            entry: key.entry.clone(),
            order: i32::try_from(order).unwrap_or(i32::MAX),
            settings: Arc::new(settings.clone()),
        });
    }
    for (path, bytes) in &held.files {
        let path = format!("{}/{path}", key.entry);
        let bytes = Bytes::clone(bytes);
        world
            .files
            .insert(&key.extension, path, bytes, content.is_private);
    }
}

/// The entry that stands in the way of the policies of a route, if it is one, and how.
fn broken(route: &Route) -> Option<(Option<String>, Unavailable)> {
    let linked = route.linked.load();
    let why = linked.as_deref()?.plan().err()?.clone();
    let entry = linked.as_deref()?.fault().map(|(entry, _)| entry.to_owned());
    Some((entry, why))
}

/// With the first Secret that is not there.
fn aliases<'a>(
    all: &'a [SecretAlias],
    secret: &impl Fn(&SecretKey) -> Option<Arc<model::Secret>>,
) -> (Aliases, Option<&'a SecretAlias>) {
    let (mut aliases, mut missing) = (Aliases::new(), None);
    for one in all {
        match secret(&SecretKey::new(one.namespace.as_str(), one.name.as_str())) {
            Some(secret) => {
                let alias = Alias {
                    secret,
                    key: one.key.clone(),
                };
                aliases.insert(one.alias.clone(), alias);
            }
            None => missing = missing.or(Some(one)),
        }
    }
    (aliases, missing)
}

// === impl Builder ===

impl Builder {
    /// What is active of extensions.
    pub fn active(&self) -> ActiveRevisions {
        self.policies.active.revisions()
    }

    /// What was active in an earlier process, for the configuration that was kept with it.
    pub fn keep_active(&mut self, kept: ActiveRevisions) {
        self.policies.active.keep(kept);
    }

    /// Makes a revision of an extension the active one, or none of its deferred entries where it has no name. Plans are linked
    /// anew with it; requests in flight keep theirs.
    ///
    /// # Errors
    /// When it is not here, in one sentence; nothing has changed then.
    pub fn activate(&mut self, extension: &str, revision: &str) -> Result<Applied, String> {
        let Some(known) = self.policies.revisions.get(extension) else {
            return Err(format!(
                "there is no extension {extension} in the configuration that is served"
            ));
        };
        if self.policies.active.activate(known, revision)? {
            self.policies.is_dirty = true;
            let routes = self.routes.values();
            let served = routes.filter(|route| broken(route).is_none());
            let served = served.map(|route| route.object.key.to_string()).collect();
            if let Some(active) = self.policies.active.get_mut(extension) {
                active.served_before = served;
            }
        }
        let is_objected = self.settle_policies() && self.relink(&BTreeSet::new());
        self.metrics.prune_policies();
        Ok(self.applied(Vec::new(), is_objected))
    }

    /// Whether everything can be served with what is active of an extension.
    ///
    /// # Errors
    /// The first thing that cannot, in one sentence.
    pub fn verify(&self, extension: &str, revision: &str) -> Result<(), String> {
        let extensions = self.policies.extensions.iter();
        let known = extensions.clone().find(|known| known.name == extension);
        let Some(known) = known.filter(|known| known.revision == revision) else {
            return Err(format!("the revision {revision:?} of {extension} is not active"));
        };
        for entry in &known.entries {
            if let EntryState::Missing(why) = &entry.state {
                return Err(format!("{extension}/{}: {why}", entry.name));
            }
        }
        let active = self.policies.active.get(extension);
        for route in self.routes.values() {
            let Some((entry, why)) = broken(route) else {
                continue;
            };
            let is_its = entry.is_some_and(|entry| entry.split('/').next() == Some(extension));
            let key = route.object.key.to_string();
            // Whatever it is that this revision does not fit.
            if is_its || active.is_some_and(|active| active.served_before.contains(&key)) {
                return Err(format!("{}: {}", route.title, why.message));
            }
        }
        let contents = active.into_iter().flat_map(|active| &active.contents);
        contents
            .into_iter()
            .try_for_each(|(key, held)| self.judge(key, &held.entry))
    }

    /// Whether each policy and each hook of an entry can be used, though nobody may use it yet.
    fn judge(&self, key: &EntryKey, content: &ExtensionEntry) -> Result<(), String> {
        let (title, world) = (format!("{}/{}", key.extension, key.entry), &self.policies.world);
        let said = |problem: Problem| match problem.reason {
            // Whoever uses it is told so.
            ProblemReason::Unsupported => Ok(()),
            ProblemReason::Invalid | ProblemReason::LimitExceeded | ProblemReason::PolicyNotFound => {
                Err(problem.message)
            }
        };
        for policy in &content.policies {
            let definition = PolicyDefinition {
                entry: Some(title.clone()),
                ..policy.clone()
            };
            let name = || format!("{title}: {}@{}", policy.policy, policy.version);
            check(&definition, world)
                .or_else(said)
                .map_err(|why| format!("{}: {why}", name()))?;
        }
        for hook in &content.hooks {
            check_hook(hook, &key.extension, world)
                .or_else(said)
                .map_err(|why| format!("{title}: {why}"))?;
        }
        Ok(())
    }

    /// Makes what plans are linked with anew. Whether other plans may have changed with it.
    pub(super) fn settle_policies(&mut self) -> bool {
        let Self { policies, parts, .. } = self;
        policies.settle(|key| parts.secrets.get(key).cloned())
    }

    /// The plan of a route, and the word about it where it cannot be linked.
    pub(super) fn link(&self, route: &Route) -> (Option<Linked>, Option<Objection>) {
        let world = &self.policies.world;
        let none = model::Policies::default();
        let wanted = route.policies.as_deref().unwrap_or(&none);
        if wanted.steps.is_empty() && world.hooks.is_empty() {
            return (None, None);
        }
        let (secrets, _) = aliases(&wanted.secrets, &|key| self.parts.secrets.get(key).cloned());
        let key = &route.object.key;
        let facts = ObjectFacts {
            kind: key.kind.name(),
            namespace: &key.namespace,
            name: &key.name,
            labels: &wanted.labels,
            policies: &wanted.steps,
            secrets: &secrets,
        };
        let limiters = &self.policies.limiters;
        let made = match route.action.unavailable() {
            Some(_) => link_stub(&facts, world, limiters),
            None => link(&facts, world, limiters),
        };
        match made {
            Ok(plan) if plan.is_empty() && !plan.claims_authorization() => (None, None),
            Ok(plan) => (Some(Linked::new(plan)), None),
            Err(problem) => {
                // Whoever answers with it says whose it is.
                let title = format!("{}: ", route.title);
                let message = problem
                    .message
                    .strip_prefix(&title)
                    .unwrap_or(&problem.message)
                    .to_owned();
                let reason = problem.reason.as_str();
                // What is wrong with the route itself says more.
                let objection = route.action.unavailable().is_none().then(|| Objection {
                    object: route.object.clone(),
                    reason: reason.to_owned(),
                    message: message.clone(),
                    entry: problem.entry.clone(),
                });
                let claims = claims_authorization(&facts, world);
                let linked = Linked::broken(Unavailable::new(reason, message), problem.entry, claims);
                (Some(linked), objection)
            }
        }
    }

    /// Links the plans of all routes anew that the world may have changed, but of those that were just built. Whether the
    /// word about one of them is another one.
    pub(super) fn relink(&mut self, fresh: &BTreeSet<String>) -> bool {
        let routes: Vec<(String, Arc<Route>)> = (self.routes.values())
            .map(|route| (route.object.key.to_string(), Arc::clone(route)))
            .filter(|(key, _)| !fresh.contains(key))
            .collect();
        let mut changed = false;
        for (key, route) in routes {
            let is_linked = route.linked.load().is_some();
            if !is_linked && route.policies.is_none() && self.policies.world.hooks.is_empty() {
                continue;
            }
            let (linked, objection) = self.link(&route);
            route.linked.store(linked.map(Arc::new));
            changed |= self.object(&key, &route, objection);
        }
        changed
    }

    /// Notes what is wrong with the policies of a route; what is wrong with the route itself says more.
    fn object(&mut self, key: &str, route: &Arc<Route>, objection: Option<Objection>) -> bool {
        if route.action.unavailable().is_some() {
            return false;
        }
        let verdict: Option<Verdict> = objection.as_ref().map(codec::objection_to_wire);
        let before = self.built.get(key).and_then(|built| built.verdict.as_deref());
        if before == verdict.as_ref() {
            return false;
        }
        self.note(key, Place::Route(Arc::clone(route)), verdict.as_ref());
        true
    }
}
