//! Policies that routes are served with: what there is of them, and what of it is active here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use genkan_policies::{
    Alias, Aliases, EntryFacts, Limiters, NamedHook, NamedOverride, ObjectFacts, World, link,
};
use genkan_proto::codec;
use genkan_proto::v1alpha1::Verdict;
use genkan_routing::model::policy::{PolicyDefinition, RevisionEntry, SecretAlias};
use genkan_routing::model::{
    self, DefinedPolicy, EntryKey, ExtensionEntry, ExtensionRevision, Objection, SecretKey, Unavailable,
};

use super::{Builder, Place};
use crate::tables::{Linked, Route};

#[derive(Debug, Default)]
pub(super) struct Policies {
    /// Those that can be used, by the name of the object.
    definitions: BTreeMap<String, Arc<PolicyDefinition>>,
    entries: HashMap<EntryKey, Arc<ExtensionEntry>>,
    revisions: BTreeMap<String, ExtensionRevision>,
    /// The revision of each extension that is active here.
    active: BTreeMap<String, String>,
    world: Arc<World>,
    limiters: Limiters,
    /// Something of the above came or went.
    is_dirty: bool,
}

// === impl Policies ===

impl Policies {
    pub(super) fn define(&mut self, policy: DefinedPolicy) {
        let name = policy.object.key.name;
        match policy.definition {
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

    pub(super) fn leave(&mut self, key: &EntryKey) {
        self.is_dirty |= self.entries.remove(key).is_some();
    }

    pub(super) fn revise(&mut self, revision: ExtensionRevision) {
        let extension = revision.object.key.name.clone();
        let restored = match (&revision.stable, revision.restores_stable) {
            (Some(stable), true) => stable,
            (_, _) => &revision.target,
        };
        let known = [Some(&revision.target), revision.stable.as_ref()];
        let is_known = |id: &String| known.iter().flatten().any(|revision| revision.id == *id);
        // What a data plane that begins has not yet, it takes at once.
        if !self.active.get(&extension).is_some_and(is_known) {
            self.active.insert(extension.clone(), restored.id.clone());
        }
        self.revisions.insert(extension, revision);
        self.is_dirty = true;
    }

    pub(super) fn retire(&mut self, extension: &str) {
        self.active.remove(extension);
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
        for (extension, revision) in &self.revisions {
            world
                .allow_fail_open
                .extend(revision.allow_fail_open.iter().cloned());
            world
                .secrets
                .insert(extension.clone(), aliases(&revision.secrets, &secret).0);
            for entry in self.acting(extension, revision) {
                let key = EntryKey {
                    extension: extension.clone(),
                    entry: entry.entry.clone(),
                    digest: entry.digest.clone(),
                };
                if let Some(content) = self.entries.get(&key) {
                    enter(&mut world, &key, content);
                }
            }
        }
        self.world = Arc::new(world);
        true
    }

    /// The entries of an extension that act here: those that are immediate, and the deferred ones of the revision that is
    /// active.
    fn acting<'r>(&self, extension: &str, revision: &'r ExtensionRevision) -> Vec<&'r RevisionEntry> {
        let active = self.active.get(extension);
        let is_active = |id: &String| active == Some(id);
        let stable = revision.stable.as_ref().filter(|stable| is_active(&stable.id));
        let deferred = stable.unwrap_or(&revision.target).entries.iter();
        let deferred = deferred.filter(|entry| !entry.is_immediate);
        let immediate = revision.target.entries.iter().filter(|entry| entry.is_immediate);
        let immediate: Vec<&RevisionEntry> = immediate.collect();
        let replaced: BTreeSet<&str> = immediate.iter().map(|entry| entry.entry.as_str()).collect();
        let mut all: Vec<&RevisionEntry> = deferred
            .filter(|entry| !replaced.contains(entry.entry.as_str()))
            .collect();
        all.extend(immediate);
        all
    }
}

fn enter(world: &mut World, key: &EntryKey, content: &ExtensionEntry) {
    let title = format!("{}/{}", key.extension, key.entry);
    let facts = EntryFacts {
        mode: content.mode,
        failure_policy: content.failure_policy,
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
    for (path, bytes) in content.files() {
        world.files.insert(format!("{}/{path}", key.entry), bytes.into());
    }
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
        if route.action.unavailable().is_some() || (wanted.steps.is_empty() && world.hooks.is_empty()) {
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
        match link(&facts, world, &self.policies.limiters) {
            Ok(plan) if plan.is_empty() => (None, None),
            Ok(plan) => (Some(Linked::new(Ok(plan))), None),
            Err(problem) => {
                // Whoever answers with it says whose it is.
                let title = format!("{}: ", route.title);
                let message = problem
                    .message
                    .strip_prefix(&title)
                    .unwrap_or(&problem.message)
                    .to_owned();
                let reason = problem.reason.as_str();
                let objection = Objection {
                    object: route.object.clone(),
                    reason: reason.to_owned(),
                    message: message.clone(),
                };
                (
                    Some(Linked::new(Err(Unavailable::new(reason, message)))),
                    Some(objection),
                )
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
