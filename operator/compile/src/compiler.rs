//! From objects to resources and verdicts. Pure: no clock, no client, no randomness; the cost of a compile is that of
//! what changed and its neighbours.

mod budget;
mod bundle;
mod bundles;
mod endpoints;
mod expressions;
mod groups;
mod paths;
mod published;
mod room;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};

use genkan_routing::model::{
    Blob, BlobKey, EndpointSet, ObjectKey, Resource, ResourceKey, Route, Secret, SecretKey, SetKey,
    Unavailable,
};
use genkan_routing::precedence::Claims;

use crate::index::{Dirty, Index};
use crate::object::Key;
use crate::verdict::{Finding, Verdict};

pub use room::{DEFAULT_BUDGET, MAX_OBJECT};

use bundles::{Bundles, Touched};
use expressions::Expressions;
use groups::Groups;
use room::{Part, Room};

/// Remembers what depends on what between compiles.
#[derive(Debug)]
pub struct Compiler {
    claims: Claims,
    expressions: Expressions,
    groups: Groups,
    /// What of all that is sent.
    room: Room,
    /// The endpoint set that each object asks for, and the objects that name each Service.
    uses: BTreeMap<ObjectKey, Use>,
    users: BTreeMap<Key, BTreeSet<ObjectKey>>,
    sets: BTreeMap<SetKey, usize>,
    bundles: Bundles,
    verdicts: BTreeMap<ObjectKey, Verdict>,
}

/// What one object needs of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    service: Key,
    /// Absent if the Service, or its port, does not exist.
    set: Option<SetKey>,
}

/// What a compile changed.
#[derive(Debug, Default)]
pub struct Output {
    pub upserts: Vec<Resource>,
    pub removals: Vec<ResourceKey>,
    /// Objects whose verdict was made again.
    pub judged: BTreeSet<ObjectKey>,
    /// Objects that exist no longer.
    pub gone: BTreeSet<ObjectKey>,
    /// Endpoint sets that were made again, and whether an endpoint is in them.
    pub sets: Vec<(SetKey, bool)>,
    /// Values of the Secrets that objects refer to, where they changed; `None`: nobody refers to it any more, or it is gone.
    /// No kind refers to a Secret yet.
    pub secrets: Vec<(SecretKey, Option<Secret>)>,
}

/// What the compile of one kind gives.
struct Compiled {
    verdict: Verdict,
    /// What proxies are sent; `None` if the object is absent for them.
    route: Option<Route>,
    needs: Option<Use>,
    /// What its route trusts, to be sent beside it.
    bundle: Option<(BlobKey, Blob)>,
}

/// What one compile has made so far; nothing of it is sent before there is room for it.
#[derive(Default)]
struct Made {
    objects: BTreeMap<ObjectKey, Option<Compiled>>,
    sets: BTreeMap<SetKey, Option<EndpointSet>>,
    blobs: Vec<(BlobKey, Option<Blob>)>,
}

// === impl Compiler ===

impl Default for Compiler {
    fn default() -> Self {
        Self::new(DEFAULT_BUDGET)
    }
}

impl Compiler {
    /// `budget`: bytes of everything that is sent, before compression.
    pub fn new(budget: usize) -> Self {
        Self {
            claims: Claims::default(),
            expressions: Expressions::default(),
            groups: Groups::default(),
            room: Room::new(budget),
            uses: BTreeMap::new(),
            users: BTreeMap::new(),
            sets: BTreeMap::new(),
            bundles: Bundles::default(),
            verdicts: BTreeMap::new(),
        }
    }

    pub fn compile(&mut self, index: &Index, dirty: &Dirty) -> Output {
        let mut todo = self.claim(index, &dirty.published);
        for key in &dirty.published {
            todo.extend(self.weigh(index, key));
        }
        todo.extend(self.groups.contend(index, &dirty.published));
        for service in &dirty.services {
            todo.extend(self.users.get(service).into_iter().flatten().cloned());
        }
        let mut sets: BTreeSet<SetKey> = (dirty.services.union(&dirty.endpoints))
            .flat_map(|(namespace, name)| self.sets.range(SetKey::range(namespace, name)))
            .map(|(set, _)| set.clone())
            .collect();
        let mut made = Made::default();
        let (mut claims, mut touched) = (Vec::new(), Touched::default());
        for key in todo {
            let compiled = self.judge(index, &key);
            let needs = compiled.as_ref().and_then(|c| c.needs.clone());
            self.depend(&key, needs, &mut sets);
            let created = index.created(&key);
            claims.extend(self.room.claims(&key, compiled.as_ref(), created));
            let bundle = compiled.as_ref().and_then(|c| self.room.bundle(c));
            self.bundles.note(&key, created, bundle, &mut touched);
            made.objects.insert(key, compiled);
        }
        for key in sets {
            let set = self.collect(index, &key);
            claims.push(self.room.set_claim(&key, set.as_ref()));
            made.sets.insert(key, set);
        }
        let owners = self.bundles.owners(&touched).into_iter();
        claims.extend(owners.map(|(owner, owned)| self.room.bundle_claim(owner, owned)));
        let moved = self.room.settle(claims);
        self.turn(index, touched, &moved, &mut made);
        for part in moved {
            self.make(index, part, &mut made);
        }
        self.emit(made)
    }

    /// CA bundles that have room now, or have none any more, concern all who use them.
    fn turn(&mut self, index: &Index, touched: Touched, moved: &BTreeSet<Part>, made: &mut Made) {
        let owner = |part: &Part| match part {
            Part::Bundle(owner) => Some(owner.clone()),
            Part::Stub(_) | Part::Rest(_) | Part::Set(_) => None,
        };
        let owners: Vec<ObjectKey> = moved.iter().filter_map(owner).collect();
        let room = &self.room;
        let turned = self
            .bundles
            .turn(touched, &owners, |owner| room.takes_bundle(owner));
        for (key, blob) in turned {
            for user in self.bundles.users(&key) {
                if !made.objects.contains_key(user) {
                    made.objects.insert(user.clone(), self.judge(index, user));
                }
            }
            made.blobs.push((key, blob));
        }
    }

    /// Bytes that count of what is sent, and how many objects and sets have no room.
    pub fn room(&self) -> (usize, usize) {
        (self.room.used(), self.room.refused())
    }

    pub fn verdict(&self, key: &ObjectKey) -> Option<&Verdict> {
        self.verdicts.get(key)
    }

    pub fn verdicts(&self) -> impl Iterator<Item = (&ObjectKey, &Verdict)> {
        self.verdicts.iter()
    }

    /// The objects that send requests to a Service.
    pub fn users_of_set(&self, set: &SetKey) -> Vec<ObjectKey> {
        let service = (set.namespace.clone(), set.service.clone());
        self.users.get(&service).into_iter().flatten().cloned().collect()
    }

    /// `None`: there is no such object.
    fn judge(&self, index: &Index, key: &ObjectKey) -> Option<Compiled> {
        let record = index.published.get(key)?;
        Some(self.published(record, index))
    }

    /// Makes again what did not change by itself, but has room now, or has none any more.
    fn make(&self, index: &Index, part: Part, made: &mut Made) {
        let mut object = |key: &ObjectKey| {
            if !made.objects.contains_key(key) {
                made.objects.insert(key.clone(), self.judge(index, key));
            }
        };
        match part {
            Part::Stub(key) | Part::Rest(key) => object(&key),
            // Why it has none may be another reason now; of one that is sent nothing has to be said.
            Part::Bundle(key) if self.bundles.is_refused_to(&key) => object(&key),
            Part::Bundle(_) => {}
            Part::Set(set) => {
                let service = (set.namespace.clone(), set.service.clone());
                let users = self.users.get(&service).into_iter().flatten();
                users
                    .filter(|user| self.uses.get(user).is_some_and(|u| u.set.as_ref() == Some(&set)))
                    .for_each(object);
                let collected = || self.collect(index, &set);
                made.sets.entry(set.clone()).or_insert_with(collected);
            }
        }
    }

    fn emit(&mut self, made: Made) -> Output {
        let mut out = Output::default();
        for (key, blob) in made.blobs {
            match blob {
                Some(blob) => out.upserts.push(Resource::blob(key, blob)),
                None => out.removals.push(key.into()),
            }
        }
        for (key, compiled) in made.objects {
            let Some(mut compiled) = compiled else {
                out.removals.push(key.clone().into());
                self.verdicts.remove(&key);
                out.gone.insert(key);
                continue;
            };
            self.room.fit(&key, &mut compiled, &self.bundles);
            match compiled.route {
                Some(route) => out.upserts.push(Resource::route(route)),
                None => out.removals.push(key.clone().into()),
            }
            self.verdicts.insert(key.clone(), compiled.verdict);
            out.judged.insert(key);
        }
        for (key, set) in made.sets {
            match set.filter(|_| self.room.takes(&key)) {
                Some(set) => {
                    out.sets.push((key.clone(), !set.endpoints.is_empty()));
                    out.upserts.push(Resource::endpoints(key, set));
                }
                None => out.removals.push(key.into()),
            }
        }
        out
    }

    /// Notes what an object needs now instead of what it needed before.
    fn depend(&mut self, key: &ObjectKey, needs: Option<Use>, sets: &mut BTreeSet<SetKey>) {
        let before = self.uses.remove(key);
        if let Some(old) = &before {
            if let Some(users) = self.users.get_mut(&old.service) {
                users.remove(key);
                if users.is_empty() {
                    self.users.remove(&old.service);
                }
            }
            if let Some(set) = &old.set {
                self.release(set);
                sets.insert(set.clone());
            }
        }
        let Some(needs) = needs else { return };
        self.users
            .entry(needs.service.clone())
            .or_default()
            .insert(key.clone());
        if let Some(set) = &needs.set {
            *self.sets.entry(set.clone()).or_default() += 1;
            sets.insert(set.clone());
        }
        self.uses.insert(key.clone(), needs);
    }

    fn release(&mut self, set: &SetKey) {
        if let Some(count) = self.sets.get_mut(set) {
            *count -= 1;
            if *count == 0 {
                self.sets.remove(set);
            }
        }
    }

    /// `None`: nobody asks for it.
    fn collect(&self, index: &Index, set: &SetKey) -> Option<EndpointSet> {
        self.sets
            .contains_key(set)
            .then(|| endpoints::collect(index, set))
    }
}

/// What is wrong with an endpoint by itself: one sentence each, behind the path of its field.
pub fn endpoint_problems(spec: &genkan_crds::Endpoint, path: &str) -> Vec<String> {
    upstream::validate(spec, path).err().unwrap_or_default()
}

/// The stub of a broken object answers with the condition that is false.
fn unavailable(finding: &Finding) -> Unavailable {
    Unavailable::new(finding.reason, finding.message.as_str())
}

#[cfg(test)]
mod tests;
