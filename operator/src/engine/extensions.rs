//! Roll-outs of extensions, between the compiler, the data planes and the statuses.

use std::collections::BTreeSet;

use genkan_compile::index::{Change, Remembered};
use genkan_compile::kinds::Tool;
use genkan_compile::verdict::ExtensionVerdict;
use genkan_crds::gateway::{APPROVE, PolicyDefinition};
use genkan_extensions::Deploy;
use genkan_routing::model::{ObjectKey, Objection, Published};
use tokio::time::Instant;

use super::Engine;
use crate::definitions;
use crate::extensions::{Room, Settings, Todo};

// === impl Engine ===

impl Engine {
    /// Takes up what is meant of extensions that were compiled.
    pub(super) fn mean_extensions(&mut self, compiled: &BTreeSet<ObjectKey>, now: Instant) {
        if !self.leading {
            return;
        }
        // Whoever edits what shows a policy of an extension finds it put back.
        let edited = compiled.iter().filter_map(|key| self.shown_by(key));
        let extensions = compiled
            .iter()
            .filter(|key| key.kind == Published::GatewayExtension)
            .cloned();
        let extensions: BTreeSet<ObjectKey> = extensions.chain(edited).collect();
        for key in &extensions {
            let record = self.index.published.get(key);
            let said = self
                .compiler
                .verdict(key)
                .and_then(|verdict| verdict.extension.as_ref());
            let (Some(record), Some(said)) = (record, said) else {
                continue;
            };
            let Some(Tool::Extension(spec)) = record.spec.as_ref().ok().map(|spec| &spec.tool) else {
                continue;
            };
            if said.is_pending || said.history.is_empty() {
                continue;
            }
            let settings = Settings::of(spec, record.annotations.get(APPROVE));
            let kept = match self.extensions.kept(&key.name) {
                Some(_) => None,
                None => {
                    let status = record.status.read();
                    let memory = status["rollout"]["memory"].as_str();
                    memory.and_then(|memory| serde_json::from_str(memory).ok())
                }
            };
            let keep = Remembered {
                uid: record.uid.clone(),
                revisions: said.history.clone(),
            };
            self.keeping.say(&key.name, keep);
            if let Some(verdict) = self.compiler.verdict(key) {
                self.shown.say(&key.name, definitions::of(&verdict.object, said));
            }
            let history = said.history.clone();
            let created = record.created;
            let todo = self
                .extensions
                .mean(&key.name, created, &history, settings, kept, now);
            self.roll(todo, now);
        }
    }

    /// What a data plane says about the first snapshot with an immediate entry takes that back everywhere. Of one that all
    /// have taken, something else is the cause later.
    pub(super) fn take_back(&mut self, proxy: &str, sequence: u64, objections: &[Objection], now: Instant) {
        let mut changes = Vec::new();
        for objection in objections {
            let named = objection.entry.as_deref().and_then(|entry| entry.split_once('/'));
            let Some((extension, entry)) = named else { continue };
            // What the operator finds wrong itself is the fault of the object.
            let judged = self.compiler.verdict(&objection.object.key);
            if !judged.is_some_and(|verdict| verdict.accepted.ok && verdict.resolved.ok) {
                continue;
            }
            let key = ObjectKey::cluster(Published::GatewayExtension, extension);
            let said = self
                .compiler
                .verdict(&key)
                .and_then(|verdict| verdict.extension.as_deref());
            let entries = said
                .and_then(ExtensionVerdict::target)
                .map(|target| &target.entries);
            let form = entries
                .into_iter()
                .flatten()
                .find(|one| one.name == entry && one.deploy == Deploy::Immediate);
            let Some(form) = form else { continue };
            // What it was sent before says nothing about the form that is meant now.
            let since = self.feed.resources().since(&key.into());
            if since.is_none_or(|since| sequence < since.sequence) {
                continue;
            }
            let digest = form.digest.as_str().to_owned();
            let settled = self.settled.get(extension);
            if settled.is_some_and(|settled| settled.contains(&digest)) {
                continue;
            }
            changes.push(Change::Refused {
                extension: extension.to_owned(),
                digest,
                why: format!("data plane {proxy} cannot serve it: {}", objection.message),
            });
        }
        if !changes.is_empty() {
            self.take_changes(changes, now);
        }
    }

    /// Whoever deletes what shows a policy of an extension finds it put back.
    pub(super) fn show_again(&self, gone: &str) {
        if !self.leading {
            return;
        }
        for (key, verdict) in self.compiler.verdicts() {
            let Some(said) = &verdict.extension else { continue };
            let shown = definitions::of(&verdict.object, said);
            let is_it = |definition: &PolicyDefinition| definition.metadata.name.as_deref() == Some(gone);
            if shown.iter().any(is_it) {
                self.shown.say(&key.name, shown);
            }
        }
    }

    /// The extension whose policy a PolicyDefinition shows.
    fn shown_by(&self, key: &ObjectKey) -> Option<ObjectKey> {
        let record = self
            .index
            .published
            .get(key)
            .filter(|_| key.kind == Published::PolicyDefinition)?;
        match &record.spec.as_ref().ok()?.tool {
            Tool::Policy(definition) => {
                let extension = definition.entry.as_ref()?.split('/').next()?;
                Some(ObjectKey::cluster(Published::GatewayExtension, extension))
            }
            Tool::None | Tool::Connector(_) | Tool::Class(_) | Tool::Extension(_) => None,
        }
    }

    /// Whether data planes may be taken now.
    pub(super) fn make_room(&mut self, now: Instant) {
        let pods = self.index.pods_of(&self.service);
        let labels = self.index.pods.iter();
        let labels =
            labels.filter(|((namespace, name), _)| *namespace == self.service.0 && pods.contains(name));
        let room = Room {
            held: self.budgets.held(labels.map(|(_, pod)| &pod.labels)),
            missing: self.fleet.counted() - self.fleet.connected(),
            pods: pods.clone(),
        };
        let todo = self.extensions.make_room(room, now);
        self.roll(todo, now);
    }

    /// One operator alone rolls out.
    pub(super) fn lead_extensions(&mut self, leading: bool, now: Instant) {
        self.extensions = self.extensions.anew();
        self.make_room(now);
        if !leading {
            return;
        }
        let seen: Vec<_> = self
            .rollouts
            .seen()
            .iter()
            .map(|(name, seen)| (name.clone(), seen.active.clone()))
            .collect();
        for (name, active) in seen {
            let is_fresh = self.fleet.is_starting(&name);
            let todo = self.extensions.connected(&name, active, is_fresh, now);
            self.roll(todo, now);
        }
        // Of those that were deleted while nobody looked.
        for name in self.index.revisions.iter().flat_map(|all| all.keys()) {
            if !self
                .index
                .published
                .contains_key(&ObjectKey::cluster(Published::GatewayExtension, name.as_str()))
            {
                self.keeping.say(name, Remembered::default());
            }
        }
        let all: BTreeSet<ObjectKey> = self.compiler.verdicts().map(|(key, _)| key.clone()).collect();
        self.mean_extensions(&all, now);
    }

    /// Does what a roll-out asks for.
    pub(super) fn roll(&mut self, todo: Todo, now: Instant) {
        for (proxy, rollout) in todo.send {
            self.rollouts.send(&proxy, rollout);
        }
        let mut changes = Vec::new();
        let completed: BTreeSet<&String> = todo.completed.iter().map(|(name, _)| name).collect();
        for name in todo.changed.iter().filter(|name| !completed.contains(name)) {
            let has_failed = self.extensions.restores_stable(name);
            if self.index.failed.contains(name) != has_failed {
                let stable = self.index.stable.get(name).cloned().map(Box::new);
                changes.push(Change::Completed(name.clone(), stable, has_failed));
            }
        }
        for (name, revision) in &todo.completed {
            let has_failed = self.extensions.restores_stable(name);
            let revision = Some(Box::new((**revision).clone()));
            changes.push(Change::Completed(name.clone(), revision, has_failed));
        }
        if !changes.is_empty() {
            self.take_changes(changes, now);
        }
        let changed = todo.changed.into_iter();
        let changed = changed.map(|name| ObjectKey::cluster(Published::GatewayExtension, name));
        self.assess_each(changed.collect::<Vec<_>>(), now);
    }
}
