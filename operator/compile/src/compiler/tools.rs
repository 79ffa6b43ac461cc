//! What objects name beside addresses: classes and Secrets, and so what has to be judged again when one of these changes.

use std::collections::{BTreeMap, BTreeSet};

use genkan_routing::model::policy::SecretAlias;
use genkan_routing::model::{ObjectKey, Published, Resource, ResourceBody, ResourceKey, Secret, SecretKey};

use super::ProbeChange;
use crate::index::{Dirty, Index, Probe};
use crate::kinds::Tool;
use crate::object::{Key, SecretState};

/// In place of a namespace, which has no such name.
const CLUSTER: &str = "#";

#[derive(Debug, Default)]
pub struct Tools {
    named: BTreeMap<ObjectKey, Named>,
    of_class: BTreeMap<String, BTreeSet<ObjectKey>>,
    of_secret: BTreeMap<Key, BTreeSet<ObjectKey>>,
    /// The Secrets that routes are served with, by route.
    served: BTreeMap<ObjectKey, Vec<Serves>>,
    /// Who is served with each, and what it held when that was last told.
    values: BTreeMap<SecretKey, Value>,
    wanted: Vec<(Key, bool)>,
    /// What each tool is asked now, and under which key that travels.
    plans: BTreeMap<(ObjectKey, Probe), (SecretKey, Secret)>,
    /// The number of the next plan.
    next: u64,
    changed: (Vec<(SecretKey, Option<Secret>)>, Vec<ProbeChange>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    class: String,
    secrets: BTreeSet<Key>,
}

/// A Secret, and the one key of it that is referred to; `None`: any.
type Serves = (SecretKey, Option<String>);

#[derive(Debug, Default)]
struct Value {
    /// How many refer to each key; `None`: to any.
    users: BTreeMap<Option<String>, usize>,
    told: Option<Secret>,
}

// === impl Value ===

impl Value {
    /// What those who are served may see of it.
    fn of(&self, secret: &Secret) -> Secret {
        if self.users.contains_key(&None) {
            return secret.clone();
        }
        let mut secret = secret.clone();
        secret
            .data
            .retain(|key, _| self.users.contains_key(&Some(key.clone())));
        secret
    }

    fn leave(&mut self, key: &Option<String>) {
        if let Some(count) = self.users.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(key);
            }
        }
    }
}

// === impl Tools ===

impl Tools {
    /// Takes in what changed. Returns the objects that this concerns.
    pub fn note(&mut self, index: &Index, dirty: &Dirty) -> BTreeSet<ObjectKey> {
        let mut concerned = BTreeSet::new();
        for key in &dirty.published {
            if key.kind == Published::ConnectorClass {
                concerned.extend(self.of_class.get(&key.name).into_iter().flatten().cloned());
            } else {
                self.name(key, index);
            }
        }
        for secret in &dirty.secrets {
            concerned.extend(self.of_secret.get(secret).into_iter().flatten().cloned());
        }
        if dirty.flags || dirty.authorities {
            let connectors = self.named.keys().filter(|key| key.kind == Published::Connector);
            concerned.extend(connectors.cloned());
        }
        concerned
    }

    /// What is wanted now and was not, and what is not any more, since the last time.
    pub fn take_wanted(&mut self) -> Vec<(Key, bool)> {
        std::mem::take(&mut self.wanted)
    }

    fn name(&mut self, key: &ObjectKey, index: &Index) {
        let spec = index
            .published
            .get(key)
            .and_then(|record| record.spec.as_ref().ok());
        let mut named = spec.and_then(|spec| match &spec.tool {
            Tool::Connector(spec) => {
                let auth = spec.auth.as_ref().and_then(|auth| auth.secret_ref.as_ref());
                let auth = auth.filter(|secret| secret.stays_in(&key.namespace));
                let auth = auth.and_then(|secret| secret.named());
                let authority = spec
                    .ca_cert_secret_ref
                    .as_ref()
                    .map(|secret| secret.name.as_str());
                let secrets = auth.into_iter().chain(authority).filter(|name| !name.is_empty());
                Some(Named {
                    class: spec.connector_class_name.clone(),
                    secrets: secrets
                        .map(|name| (key.namespace.clone(), name.to_owned()))
                        .collect(),
                })
            }
            Tool::None | Tool::Class(_) | Tool::Policy(_) | Tool::Extension(_) => None,
        });
        if let Some(Tool::Extension(extension)) = spec.map(|spec| &spec.tool) {
            for secret in &extension.secrets {
                let key = (secret.namespace.clone(), secret.name.clone());
                named.get_or_insert_default().secrets.insert(key);
            }
        }
        let policies = spec.and_then(|spec| spec.policies.as_ref());
        for secret in policies.into_iter().flat_map(|policies| &policies.secrets) {
            let key = (secret.namespace.clone(), secret.name.clone());
            named.get_or_insert_default().secrets.insert(key);
        }
        if self.named.get(key) == named.as_ref() {
            return;
        }
        if let Some(before) = self.named.remove(key) {
            if !before.class.is_empty() {
                leave(&mut self.of_class, &before.class, key);
            }
            for secret in &before.secrets {
                leave(&mut self.of_secret, secret, key);
                if !self.of_secret.contains_key(secret) {
                    self.wanted.push((secret.clone(), false));
                }
            }
        }
        if let Some(named) = named {
            if !named.class.is_empty() {
                let connectors = self.of_class.entry(named.class.clone()).or_default();
                connectors.insert(key.clone());
            }
            for secret in &named.secrets {
                let users = self.of_secret.entry(secret.clone()).or_default();
                if users.is_empty() {
                    self.wanted.push((secret.clone(), true));
                }
                users.insert(key.clone());
            }
            self.named.insert(key.clone(), named);
        }
    }

    /// Values that are needed now and were not, that changed, or that nobody needs any more.
    pub fn settle(
        &mut self,
        index: &Index,
        upserts: &[Resource],
        removals: &[ResourceKey],
    ) -> Vec<(SecretKey, Option<Secret>)> {
        let mut touched = BTreeSet::new();
        for resource in upserts {
            if let (ResourceKey::Object(key), ResourceBody::Route(route)) = (&resource.key, &resource.body) {
                let aliases = route.policies.iter().flat_map(|policies| &policies.secrets);
                let aliases: Vec<Serves> = aliases.map(serves).collect();
                let is_of_policies = |secret: &&SecretKey| {
                    key.kind != Published::Connector && aliases.iter().any(|(of, _)| of == *secret)
                };
                // What a tool takes of a Secret is its own affair.
                let whole = route.secrets.iter().filter(|secret| !is_of_policies(secret));
                let mut now: Vec<Serves> = whole.map(|secret| (secret.clone(), None)).collect();
                let named = |(of, _): &&Serves| route.secrets.contains(of);
                now.extend(aliases.iter().filter(named).cloned());
                self.serve(key, now, &mut touched);
            }
            if let (ResourceKey::Object(key), ResourceBody::Revision(revision)) =
                (&resource.key, &resource.body)
            {
                self.serve(key, revision.secrets.iter().map(serves).collect(), &mut touched);
            }
        }
        for key in removals {
            if let ResourceKey::Object(key) = key {
                self.serve(key, Vec::new(), &mut touched);
            }
        }
        let mut out = Vec::new();
        for key in touched {
            let Some(value) = self.values.get_mut(&key) else {
                continue;
            };
            let held = index.secrets.get(&(key.namespace.clone(), key.name.clone()));
            let found = match held {
                Some(SecretState::Found { secret, .. }) if !value.users.is_empty() => Some(value.of(secret)),
                Some(SecretState::Found { .. } | SecretState::Missing | SecretState::NotPermitted) | None => {
                    None
                }
            };
            if value.told != found {
                value.told.clone_from(&found);
                out.push((key.clone(), found));
            }
            if value.users.is_empty() {
                self.values.remove(&key);
            }
        }
        out
    }

    /// Under which key a plan travels, if it is the one that is in force.
    pub fn plan_key(&self, object: &ObjectKey, probe: Probe, plan: &Secret) -> Option<&SecretKey> {
        let (key, known) = self.plans.get(&(object.clone(), probe))?;
        (known == plan).then_some(key)
    }

    /// Notes what a tool is asked from now on.
    pub fn plan(&mut self, object: &ObjectKey, plans: &[(Probe, Secret)]) {
        for probe in Probe::ALL {
            let at = (object.clone(), probe);
            let now = plans.iter().find(|(of, _)| *of == probe).map(|(_, plan)| plan);
            if self.plans.get(&at).map(|(_, known)| known) == now {
                continue;
            }
            let (secrets, probes) = &mut self.changed;
            if let Some((key, _)) = self.plans.remove(&at) {
                secrets.push((key, None));
            }
            let plan = now.map(|plan| {
                self.next += 1;
                // No Secret of Kubernetes has such a name.
                let name = format!("{}#{}.{}", object.name, probe.word(), self.next);
                let namespace = match object.namespace.as_str() {
                    "" => CLUSTER,
                    namespace => namespace,
                };
                let key = SecretKey::new(namespace, name);
                secrets.push((key.clone(), Some(plan.clone())));
                self.plans.insert(at, (key.clone(), plan.clone()));
                key
            });
            probes.push(ProbeChange {
                object: object.clone(),
                probe,
                plan,
            });
        }
    }

    /// Plans that came and went since the last time, and the probes that this concerns.
    pub fn take_plans(&mut self) -> (Vec<(SecretKey, Option<Secret>)>, Vec<ProbeChange>) {
        std::mem::take(&mut self.changed)
    }

    fn serve(&mut self, key: &ObjectKey, now: Vec<Serves>, touched: &mut BTreeSet<SecretKey>) {
        let before = self.served.remove(key).unwrap_or_default();
        for (secret, of) in &before {
            if let Some(value) = self.values.get_mut(secret) {
                value.leave(of);
            }
        }
        for (secret, of) in &now {
            let value = self.values.entry(secret.clone()).or_default();
            *value.users.entry(of.clone()).or_default() += 1;
        }
        let all = before.iter().chain(&now);
        touched.extend(all.map(|(secret, _)| secret.clone()));
        if !now.is_empty() {
            self.served.insert(key.clone(), now);
        }
    }
}

fn serves(alias: &SecretAlias) -> Serves {
    let secret = SecretKey::new(alias.namespace.as_str(), alias.name.as_str());
    (secret, alias.key.clone())
}

fn leave<K: Ord>(all: &mut BTreeMap<K, BTreeSet<ObjectKey>>, of: &K, key: &ObjectKey) {
    if let Some(users) = all.get_mut(of) {
        users.remove(key);
        if users.is_empty() {
            all.remove(of);
        }
    }
}
