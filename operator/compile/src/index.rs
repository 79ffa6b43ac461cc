//! Everything that was seen, by kind. One writer; the compiler reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use genkan_extensions::Limits;
use genkan_extensions::revision::Revision;
use genkan_routing::model::{FeatureFlags, ObjectKey, Probed, Published, Secret, SecretKey};

use crate::fetched::{Fetch, Fetched};
use crate::object::{
    FLAGS_NAME, Key, Kind, MapState, Object, Pod, Record, SecretState, Service, Slice, Watched,
};

/// What of a tool is found out by asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// It answers.
    Liveness,
    /// It accepts the credential.
    Auth,
    /// The API of a class takes connections.
    Api,
    /// The proxy of a class does.
    Proxy,
}

/// One thing that happened to the objects of a kind.
#[derive(Clone, Debug)]
pub enum Change {
    Apply(Box<Object>),
    Delete(Kind, Key),
    /// What a tool answered to a probe.
    Probed(ObjectKey, Probe, SecretKey, Probed),
    /// A revision of a GatewayExtension is complete everywhere; `None`: nothing of it is. And whether what is meant has failed.
    Completed(String, Option<Box<Revision>>, bool),
    /// What came of a file of a web server.
    Fetched(Fetch, Fetched),
    /// Revisions of GatewayExtensions that were kept from before, the newest first.
    Remembered(BTreeMap<String, Remembered>),
    /// A data plane cannot serve this form of an immediate entry.
    Refused {
        extension: String,
        digest: String,
        why: String,
    },
    /// The whole list, after a start or a gap: what is not in it exists no longer.
    Reset(Kind, Vec<Object>),
}

/// What has to be compiled again.
#[derive(Debug, Default)]
pub struct Dirty {
    pub published: BTreeSet<ObjectKey>,
    /// Services of which the object changed.
    pub services: BTreeSet<Key>,
    /// Services of which a slice changed: no route is compiled for that.
    pub endpoints: BTreeSet<Key>,
    /// Objects of which only the status, or something that is not compiled, changed.
    pub touched: BTreeSet<ObjectKey>,
    pub pods: bool,
    /// Secrets of which something became known.
    pub secrets: BTreeSet<Key>,
    pub flags: bool,
    /// ConfigMaps of which something became known.
    pub config_maps: BTreeSet<Key>,
    /// GatewayExtensions of which another revision is complete.
    pub stable: BTreeSet<String>,
    /// A file of a web server came, or did not.
    pub fetched: bool,
    /// It is known which revisions were kept.
    pub remembered: bool,
    /// A Secret that holds authorities for all came, changed or went.
    pub authorities: bool,
    /// Connectors of which a probe has come to another result.
    pub probed: BTreeSet<ObjectKey>,
}

/// Revisions of one GatewayExtension that were kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    /// Of the object; empty where that is not known. Another one of the same name is not meant.
    pub uid: String,
    /// The newest first.
    pub revisions: Vec<Arc<Revision>>,
}

#[derive(Debug, Default)]
pub struct Index {
    pub published: BTreeMap<ObjectKey, Arc<Record>>,
    pub services: BTreeMap<Key, Service>,
    /// By Service, then by the name of the slice.
    pub slices: BTreeMap<Key, BTreeMap<String, Slice>>,
    pub pods: BTreeMap<Key, Pod>,
    /// What is known of Secrets that somebody asks for.
    pub secrets: BTreeMap<Key, SecretState>,
    /// What is known of ConfigMaps that extensions name.
    pub config_maps: BTreeMap<Key, MapState>,
    /// The revisions of GatewayExtensions that are complete everywhere.
    pub stable: BTreeMap<String, Revision>,
    /// Files of web servers are fetched.
    pub fetches: bool,
    /// What archives and files of extensions may have.
    pub limits: Limits,
    /// Files of web servers, as far as somebody has looked.
    pub fetched: BTreeMap<Fetch, Fetched>,
    /// Forms of immediate entries that a data plane cannot serve, by extension and digest, and why.
    pub refused: BTreeMap<String, BTreeMap<String, String>>,
    /// GatewayExtensions of which what is meant has failed.
    pub failed: BTreeSet<String>,
    /// Revisions of GatewayExtensions that were kept from before; absent until that is known.
    pub revisions: Option<BTreeMap<String, Remembered>>,
    /// Somebody brings deferred entries to data planes; else what is meant is all there is.
    pub deploys: bool,
    /// Switches of Connectors that are on.
    pub flags: FeatureFlags,
    /// The last result of each probe, and of which plan it is.
    pub probes: BTreeMap<(ObjectKey, Probe), (SecretKey, Probed)>,
    /// The Service that each slice belongs to.
    slice_owners: BTreeMap<Key, Key>,
    synced: BTreeSet<Kind>,
}

// === impl Probe ===

impl Probe {
    pub const ALL: [Self; 4] = [Self::Liveness, Self::Auth, Self::Api, Self::Proxy];
    /// Those that a Connector has.
    pub const OF_CONNECTOR: [Self; 2] = [Self::Liveness, Self::Auth];

    /// In names of duties and plans.
    pub fn word(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Auth => "auth",
            Self::Api => "api",
            Self::Proxy => "proxy",
        }
    }
}

// === impl Dirty ===

impl Dirty {
    pub fn is_empty(&self) -> bool {
        self.published.is_empty()
            && self.services.is_empty()
            && self.endpoints.is_empty()
            && self.touched.is_empty()
            && !self.pods
            && self.secrets.is_empty()
            && !self.flags
            && self.config_maps.is_empty()
            && self.stable.is_empty()
            && !self.remembered
            && !self.fetched
            && !self.authorities
            && self.probed.is_empty()
    }
}

// === impl Index ===

impl Index {
    /// Takes in a change and says what it concerns.
    pub fn take(&mut self, change: Change, dirty: &mut Dirty) {
        match change {
            Change::Apply(object) => self.apply(*object, dirty),
            Change::Delete(kind, key) => self.delete(kind, &key, dirty),
            Change::Reset(kind, objects) => self.reset(kind, objects, dirty),
            Change::Fetched(fetch, fetched) => {
                let same = self.fetched.get(&fetch) == Some(&fetched);
                self.fetched.insert(fetch, fetched);
                dirty.fetched |= !same;
            }
            Change::Refused {
                extension,
                digest,
                why,
            } => {
                let refused = self.refused.entry(extension.clone()).or_default();
                refused.entry(digest).or_insert(why);
                dirty.stable.insert(extension);
            }
            Change::Remembered(all) => {
                self.revisions = Some(all);
                dirty.remembered = true;
            }
            Change::Completed(name, revision, has_failed) => {
                let same = self.stable.get(&name) == revision.as_deref()
                    && self.failed.contains(&name) == has_failed;
                match has_failed {
                    true => self.failed.insert(name.clone()),
                    false => self.failed.remove(&name),
                };
                match revision {
                    Some(revision) => self.stable.insert(name.clone(), *revision),
                    None => self.stable.remove(&name),
                };
                if !same {
                    dirty.stable.insert(name);
                }
            }
            Change::Probed(key, probe, plan, probed) => {
                let result = (plan, probed);
                let at = (key.clone(), probe);
                if self.published.contains_key(&key) && self.probes.get(&at) != Some(&result) {
                    self.probes.insert(at, result);
                    dirty.probed.insert(key);
                }
            }
        }
    }

    /// Has every watched kind been listed once?
    pub fn is_synced(&self) -> bool {
        Kind::all().all(|kind| self.synced.contains(&kind))
    }

    /// Of somebody who brings deferred entries to data planes.
    pub fn of_operator() -> Self {
        Self {
            deploys: true,
            ..Self::default()
        }
    }

    /// It is known what has to be known before anything is sent: of GatewayExtensions what was accepted of them before.
    pub fn is_complete(&self) -> bool {
        let has_extensions = || self.published_of(Published::GatewayExtension).next().is_some();
        self.is_synced() && (self.revisions.is_some() || !has_extensions())
    }

    /// What is known of a Secret; `None` where nobody has looked yet.
    pub fn secret(&self, key: &Key) -> Option<&SecretState> {
        let all_are_known = self.synced.contains(&Kind::Watched(Watched::Secret));
        self.secrets
            .get(key)
            .or(all_are_known.then_some(&SecretState::Missing))
    }

    /// What is known of a ConfigMap; `None` where nobody has looked yet.
    pub fn config_map(&self, key: &Key) -> Option<&MapState> {
        let all_are_known = self.synced.contains(&Kind::Watched(Watched::ConfigMap));
        self.config_maps
            .get(key)
            .or(all_are_known.then_some(&MapState::Missing))
    }

    /// The Secrets of a namespace that hold authorities for all Connectors.
    pub fn authorities(&self, namespace: &str) -> impl Iterator<Item = (&Key, &Secret)> {
        let from = (namespace.to_owned(), String::new());
        let all = self
            .secrets
            .range(from..)
            .take_while(move |((of, _), _)| of == namespace);
        all.filter_map(|(key, state)| match state {
            SecretState::Found {
                secret,
                is_authority: true,
                ..
            } => Some((key, secret)),
            SecretState::Found { .. } | SecretState::Missing | SecretState::NotPermitted => None,
        })
    }

    /// When a published object was created, in seconds since 1970; 0 if it does not exist or does not say.
    pub fn created(&self, key: &ObjectKey) -> i64 {
        self.published.get(key).map_or(0, |r| r.created)
    }

    /// What has not been listed yet, for people who wait.
    pub fn missing(&self) -> Vec<&'static str> {
        let kinds = Kind::all().filter(|k| !self.synced.contains(k));
        let mut missing: Vec<&'static str> = kinds.map(|k| k.name()).collect();
        if missing.is_empty() && !self.is_complete() {
            missing.push("kept revisions of GatewayExtensions");
        }
        missing
    }

    fn apply(&mut self, object: Object, dirty: &mut Dirty) {
        let key = object.key();
        match object {
            Object::Published(record) => self.apply_record(record, dirty),
            Object::Service(s) => {
                if self.services.get(&key) != Some(&s) {
                    dirty.services.insert(key.clone());
                    self.services.insert(key, s);
                }
            }
            Object::EndpointSlice(s) => self.apply_slice(key, s, dirty),
            Object::Pod(p) => {
                dirty.pods |= self.pods.get(&key) != Some(&p);
                self.pods.insert(key, p);
            }
            Object::Secret(s) => {
                if self.secrets.get(&key) != Some(&s.state) {
                    dirty.secrets.insert(key.clone());
                    let is_authority = s.state.is_authority();
                    let before = self.secrets.insert(key, s.state);
                    dirty.authorities |= is_authority || before.is_some_and(|before| before.is_authority());
                }
            }
            Object::ConfigMap(map) => {
                if self.config_maps.get(&key) != Some(&map.state) {
                    dirty.config_maps.insert(key.clone());
                    self.config_maps.insert(key, map.state);
                }
            }
            Object::Flags(flags) => {
                dirty.flags |= self.flags != flags;
                self.flags = flags;
            }
        }
    }

    fn apply_record(&mut self, mut record: Record, dirty: &mut Dirty) {
        let key = record.key.clone();
        let before = self.published.get(&key).map(AsRef::as_ref);
        record.keep_status(before);
        if before.is_some_and(|before| before.uid != record.uid) {
            self.forget_extension(&key);
        }
        let before = self.published.get(&key).map(AsRef::as_ref);
        let same = before.is_some_and(|before| before.compiles_as(&record));
        let concerned = if same {
            &mut dirty.touched
        } else {
            &mut dirty.published
        };
        concerned.insert(key.clone());
        self.published.insert(key, Arc::new(record));
    }

    /// Another one of its name has nothing of it.
    fn forget_extension(&mut self, key: &ObjectKey) {
        if key.kind == Published::GatewayExtension {
            self.stable.remove(&key.name);
            self.failed.remove(&key.name);
            self.refused.remove(&key.name);
            if let Some(all) = &mut self.revisions {
                all.remove(&key.name);
            }
        }
    }

    /// Files of web servers that nobody wants any more are not kept.
    pub fn keep_fetched(&mut self, wanted: &[Fetch]) {
        self.fetched.retain(|fetch, _| wanted.contains(fetch));
    }

    fn apply_slice(&mut self, key: Key, slice: Slice, dirty: &mut Dirty) {
        let owner = (slice.namespace.clone(), slice.service.clone());
        if self.slice_owners.get(&key).is_some_and(|old| *old != owner) {
            self.delete(Kind::Watched(Watched::EndpointSlice), &key, dirty);
        }
        self.slice_owners.insert(key.clone(), owner.clone());
        let slices = self.slices.entry(owner.clone()).or_default();
        if slices.get(&key.1) != Some(&slice) {
            slices.insert(key.1, slice);
            dirty.endpoints.insert(owner);
        }
    }

    fn delete(&mut self, kind: Kind, key: &Key, dirty: &mut Dirty) {
        match kind {
            Kind::Published(kind) => {
                let key = ObjectKey {
                    kind,
                    namespace: key.0.clone(),
                    name: key.1.clone(),
                };
                if self.published.remove(&key).is_some() {
                    self.forget_extension(&key);
                    for probe in Probe::ALL {
                        self.probes.remove(&(key.clone(), probe));
                    }
                    dirty.published.insert(key);
                }
            }
            Kind::Watched(Watched::Service) => {
                if self.services.remove(key).is_some() {
                    dirty.services.insert(key.clone());
                }
            }
            Kind::Watched(Watched::EndpointSlice) => {
                if let Some(owner) = self.slice_owners.remove(key) {
                    if let Some(slices) = self.slices.get_mut(&owner) {
                        slices.remove(&key.1);
                        if slices.is_empty() {
                            self.slices.remove(&owner);
                        }
                    }
                    dirty.endpoints.insert(owner);
                }
            }
            Kind::Watched(Watched::Pod) => dirty.pods |= self.pods.remove(key).is_some(),
            Kind::Watched(Watched::Secret) => {
                if let Some(before) = self.secrets.remove(key) {
                    dirty.secrets.insert(key.clone());
                    dirty.authorities |= before.is_authority();
                }
            }
            Kind::Watched(Watched::ConfigMap) if key.1 != FLAGS_NAME => {
                if self.config_maps.remove(key).is_some() {
                    dirty.config_maps.insert(key.clone());
                }
            }
            Kind::Watched(Watched::ConfigMap) => {
                dirty.flags |= self.flags != FeatureFlags::default();
                self.flags = FeatureFlags::default();
            }
        }
    }

    fn reset(&mut self, kind: Kind, objects: Vec<Object>, dirty: &mut Dirty) {
        let listed: BTreeSet<Key> = objects.iter().map(Object::key).collect();
        for gone in self.keys(kind).into_iter().filter(|key| !listed.contains(key)) {
            self.delete(kind, &gone, dirty);
        }
        objects.into_iter().for_each(|object| self.apply(object, dirty));
        self.synced.insert(kind);
    }

    /// Notes what a status write of our own made of an object, unless a newer one has been seen.
    pub fn written(
        &mut self,
        key: &ObjectKey,
        uid: &str,
        before: &str,
        after: &str,
        status: &serde_json::Value,
    ) {
        if let Some(record) = self.published.get_mut(key) {
            Arc::make_mut(record).written(uid, before, after, status);
        }
    }

    fn keys(&self, kind: Kind) -> Vec<Key> {
        match kind {
            Kind::Published(kind) => self
                .published_of(kind)
                .map(|record| (record.key.namespace.clone(), record.key.name.clone()))
                .collect(),
            Kind::Watched(Watched::Service) => self.services.keys().cloned().collect(),
            Kind::Watched(Watched::EndpointSlice) => self.slice_owners.keys().cloned().collect(),
            Kind::Watched(Watched::Pod) => self.pods.keys().cloned().collect(),
            Kind::Watched(Watched::Secret) => self.secrets.keys().cloned().collect(),
            Kind::Watched(Watched::ConfigMap) => self.config_maps.keys().cloned().collect(),
        }
    }

    /// The objects of a kind, in the order of their names.
    pub fn published_of(&self, kind: Published) -> impl Iterator<Item = &Record> {
        let first = ObjectKey::cluster(kind, "");
        self.published
            .range(first..)
            .map(|(_, record)| record.as_ref())
            .take_while(move |record| record.key.kind == kind)
    }

    /// Names of the Pods that a Service selects and that are not being deleted.
    pub fn pods_of(&self, service: &Key) -> BTreeSet<String> {
        let Some(selector) = self
            .services
            .get(service)
            .map(|s| &s.selector)
            .filter(|s| !s.is_empty())
        else {
            return BTreeSet::new();
        };
        let chosen = |p: &&Pod| {
            p.namespace == service.0
                && !p.leaving
                && selector
                    .iter()
                    .all(|(name, value)| p.labels.get(name) == Some(value))
        };
        self.pods
            .values()
            .filter(chosen)
            .map(|p| p.name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests;
