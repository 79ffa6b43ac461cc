mod active;
mod build;
mod files;
mod parts;
mod policies;
mod sets;
mod tool;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use genkan_callers::login::FleetKey;
use genkan_proto::codec::{self, Content, DecodeError};
use genkan_proto::v1alpha1::Verdict;
use genkan_proto::{Buckets, Hash, Hashed, resource_hash};
use genkan_routing::Table;
use genkan_routing::model::{self, BlobKey, ChunkKey, EntryKey, ObjectRef, SecretKey, SetKey};

use super::{Route, Routes, Tables};
use crate::endpoints::Endpoints;
use crate::metrics::Metrics;
use crate::names::Names;
use crate::upstream::Target;
use build::Made;
use parts::Parts;
pub use parts::Value;
use policies::Policies;
use sets::Sets;

/// Owns what the tables are made of and builds new ones beside those that are served. What did not change is shared, so
/// that the cost of a change is that of what it holds.
#[derive(Debug)]
pub struct Builder {
    names: Arc<Names>,
    metrics: Arc<Metrics>,
    built: Buckets<Built>,
    /// Keys of those that have a verdict.
    objected: BTreeSet<String>,
    sets: Sets,
    parts: Parts,
    policies: Policies,
    table: Table<Arc<Route>, Arc<Route>>,
    routes: Routes,
    hosts: Routes,
    sequence: u64,
}

#[derive(Debug)]
struct Built {
    hash: [u8; 32],
    place: Place,
    /// Of a route that is built with what other resources hold: it is built again when they change.
    model: Option<Box<model::Route>>,
    /// It is a stub, or has a reservation.
    verdict: Option<Box<Verdict>>,
}

/// Where a resource stands in the tables.
#[derive(Debug)]
enum Place {
    Route(Arc<Route>),
    Endpoints(SetKey),
    Blob(BlobKey),
    Chunk(ChunkKey),
    Secret(SecretKey),
    /// A PolicyDefinition, by its name.
    Policy(String),
    Entry(EntryKey),
    /// Of a GatewayExtension, by its name.
    Revision(String),
    FeatureFlags,
    /// It is not built yet, or its kind is not known.
    Nowhere,
}

/// A message from the operator, joined and decompressed.
#[derive(Debug, Clone, Copy)]
pub struct Change<'c> {
    /// What it is a change to; `None`: it is everything.
    pub base: Option<Hash>,
    pub upserts: &'c [Bytes],
    pub removals: &'c [String],
    /// What the operator says the hash is afterwards.
    pub announced: &'c [u8],
}

/// The result of a change that was taken over.
#[derive(Debug)]
pub struct Applied {
    pub tables: Tables,
    /// About what the change held.
    pub verdicts: Vec<Verdict>,
    /// Routes that were built anew.
    pub fresh: Vec<Arc<Route>>,
    /// Versions of objects that are served no longer.
    pub gone: Vec<ObjectRef>,
    /// The change concerned routes that it did not hold, by what they are built with.
    pub concerns_others: bool,
    /// To be put in force together with the tables.
    endpoints: Vec<(Arc<Endpoints>, Vec<SocketAddr>)>,
}

/// Why a message is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the snapshot's hash is {announced} but its content has {computed}")]
    Hash { announced: String, computed: Hash },
    #[error("the change is one to {base}, and what is served is {held}")]
    Base { base: Hash, held: Hash },
    #[error("the snapshot holds {0} twice")]
    Twice(String),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// What stood at each key that a change concerns.
type Old = Vec<(String, Option<Built>)>;

/// A resource of a change that differs from what is served.
struct Fresh {
    key: String,
    content: Content,
}

impl Hashed for Built {
    fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

// === impl Builder ===

impl Builder {
    pub fn new(names: Arc<Names>, metrics: Arc<Metrics>) -> Self {
        Self {
            sets: Sets::new(Arc::clone(names.check())),
            names,
            policies: Policies::counting(metrics.policies()),
            metrics,
            built: Buckets::default(),
            objected: BTreeSet::new(),
            parts: Parts::default(),
            table: Table::default(),
            routes: Routes::new_sync(),
            hosts: Routes::new_sync(),
            sequence: 0,
        }
    }

    /// Takes over a message; nothing has changed when it is refused.
    ///
    /// # Errors
    /// When the message as such is wrong. A resource that is wrong becomes a stub and a verdict.
    pub fn apply(&mut self, change: Change<'_>) -> Result<Applied, ApplyError> {
        let held = self.built.hash();
        let exchanged = match change.base.filter(|base| *base != held) {
            Some(base) => Err(ApplyError::Base { base, held }),
            None => self.exchange(change),
        };
        let (fresh, old) = exchanged.inspect_err(|_| self.parts.secrets.forget_expected())?;
        self.sequence += 1;
        Ok(self.build_all(fresh, old))
    }

    /// Takes values of secrets for the change that is applied next.
    pub fn expect(&mut self, values: Vec<Value>) {
        self.parts.secrets.expect(values);
    }

    /// Whether a secret that is named has not come.
    pub fn lacks_secrets(&self) -> bool {
        !self.parts.secrets.is_complete()
    }

    /// The value of a secret, if it is named and has come.
    pub fn secret(&self, key: &SecretKey) -> Option<Arc<model::Secret>> {
        self.parts.secrets.get(key).cloned()
    }

    /// What is wrong with everything that is served.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let objected = self.objected.iter().filter_map(|key| self.built.get(key));
        let verdicts = objected.filter_map(|built| built.verdict.as_deref());
        verdicts.cloned().collect()
    }

    /// What came of a resource.
    fn note(&mut self, key: &str, place: Place, verdict: Option<&Verdict>) {
        match verdict {
            Some(_) => self.objected.insert(key.to_owned()),
            None => self.objected.remove(key),
        };
        if let Some(built) = self.built.amend(key) {
            built.place = place;
            built.verdict = verdict.cloned().map(Box::new);
        }
    }

    /// Puts entries that are to be built in the place of the old ones, which come back; takes that back when the hash is
    /// not the one that was announced.
    fn exchange(&mut self, change: Change<'_>) -> Result<(Vec<Fresh>, Old), ApplyError> {
        let mut fresh = Vec::new();
        let mut old: Old = Vec::new();
        let mut named = std::collections::HashSet::new();
        let mut decoded = Vec::with_capacity(change.upserts.len());
        for bytes in change.upserts {
            let resource = codec::decode(bytes)?;
            if !named.insert(resource.key.clone()) {
                return Err(ApplyError::Twice(resource.key));
            }
            decoded.push((resource, resource_hash(bytes)));
        }
        let removals: Vec<String> = match change.base {
            Some(_) => change.removals.to_vec(),
            None => {
                let keys = self.built.iter().map(|(key, _)| key);
                keys.filter(|key| !named.contains(*key))
                    .map(str::to_owned)
                    .collect()
            }
        };
        for key in removals {
            let before = self.built.remove(&key);
            old.push((key, before));
        }
        for (resource, hash) in decoded {
            if self
                .built
                .get(&resource.key)
                .is_some_and(|built| built.hash == hash)
            {
                continue;
            }
            let entry = Built {
                hash,
                place: Place::Nowhere,
                model: None,
                verdict: None,
            };
            let before = self.built.insert(&resource.key, entry);
            old.push((resource.key.clone(), before));
            fresh.push(Fresh {
                key: resource.key,
                content: resource.content,
            });
        }
        let computed = self.built.hash();
        if computed.0 == *change.announced {
            return Ok((fresh, old));
        }
        for (key, before) in old.into_iter().rev() {
            match before {
                Some(before) => drop(self.built.insert(&key, before)),
                None => drop(self.built.remove(&key)),
            }
        }
        let announced = change
            .announced
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Err(ApplyError::Hash { announced, computed })
    }

    fn build_all(&mut self, fresh: Vec<Fresh>, old: Old) -> Applied {
        let mut gone = Vec::new();
        // What goes is taken out before what comes is put in: both may stand in the same place.
        for (key, built) in old.iter().filter_map(|(key, built)| Some((key, built.as_ref()?))) {
            self.objected.remove(key);
            match &built.place {
                Place::Route(route) => {
                    self.take_out(route);
                    self.parts.leave(key, built.model.as_deref());
                    gone.push(route.object.clone());
                }
                Place::Endpoints(key) => self.sets.remove(key),
                Place::Blob(key) => self.parts.remove(key),
                Place::Chunk(key) => self.policies.drop_chunk(key),
                Place::Secret(key) => {
                    self.parts.secrets.remove(key);
                    self.parts.touch(key.clone());
                    self.policies.touch();
                }
                Place::Policy(name) => self.policies.forget(name),
                Place::Entry(key) => self.policies.leave(key),
                Place::Revision(extension) => self.policies.retire(extension),
                Place::FeatureFlags => self.switch(&model::FeatureFlags::default()),
                Place::Nowhere => {}
            }
        }
        // What routes are built with comes before them.
        let (fresh, parts): (Vec<_>, Vec<_>) =
            (fresh.into_iter()).partition(|fresh| fresh.content.is_route());
        let mut made: Vec<Made> = parts.into_iter().map(|fresh| self.build(fresh)).collect();
        let again = self.parts.settle();
        let is_another_world = self.settle_policies();
        let mut anew: BTreeSet<String> = again.clone();
        anew.extend(fresh.iter().map(|fresh| fresh.key.clone()));
        made.extend(fresh.into_iter().map(|fresh| self.build(fresh)));
        made.extend(again.iter().filter_map(|key| self.rebuild(key)));
        let is_objected = is_another_world && self.relink(&anew);
        if is_another_world {
            self.metrics.prune_policies();
        }
        let routes = made.iter().filter_map(|made| made.route.clone()).collect();
        let verdicts = made.into_iter().filter_map(|made| made.verdict).collect();
        gone.retain(|object| {
            let served = self.routes.get(&object.key);
            if served.is_none() {
                self.metrics.forget(&object.key);
            }
            served.is_none_or(|route| route.object != *object)
        });
        Applied {
            verdicts,
            gone,
            ..self.applied(routes, !again.is_empty() || is_objected)
        }
    }

    /// What is to be served now.
    fn applied(&mut self, fresh: Vec<Arc<Route>>, concerns_others: bool) -> Applied {
        let tables = Tables {
            hash: self.built.hash(),
            sequence: self.sequence,
            table: self.table.clone(),
            routes: self.routes.clone(),
            hosts: self.hosts.clone(),
            extensions: Arc::clone(&self.policies.extensions),
            fleet_key: self.fleet_key(),
        };
        Applied {
            tables,
            verdicts: Vec::new(),
            fresh,
            gone: Vec::new(),
            concerns_others,
            endpoints: self.sets.settle(),
        }
    }

    fn fleet_key(&self) -> Option<Arc<FleetKey>> {
        let secret = self.parts.secrets.get(&SecretKey::of_login())?;
        FleetKey::read(secret).map(Arc::new)
    }

    fn put_in(&mut self, route: &Arc<Route>) {
        self.table.insert(&route.matcher, Arc::clone(route));
        let key = &route.object.key;
        self.routes.insert_mut(key.clone(), Arc::clone(route));
        for upstream in route.upstreams() {
            match &upstream.target {
                Target::Set { key, .. } => self.sets.lead(key),
                // Whether tools answer is what probes find out.
                Target::Address(_) | Target::Named(_) if route.is_of_connectors() => {}
                Target::Address(_) | Target::Named(_) => {
                    self.hosts.insert_mut(key.clone(), Arc::clone(route));
                }
            }
        }
    }

    /// Two resources in one place would be the operator's mistake; the other one stays then.
    fn take_out(&mut self, route: &Arc<Route>) {
        let is_other = |stands: &Arc<Route>| !Arc::ptr_eq(stands, route);
        let stands = self.table.remove(&route.matcher);
        if let Some(other) = stands.filter(is_other) {
            self.table.insert(&route.matcher, other);
        }
        self.routes.remove_mut(&route.object.key);
        self.hosts.remove_mut(&route.object.key);
        for upstream in route.upstreams() {
            if let Target::Set { key, .. } = &upstream.target {
                self.sets.leave(key);
            }
        }
    }
}

// === impl Applied ===

impl Applied {
    /// Puts everything in force and gives back the tables that were. Endpoints first: the new tables must not meet a set
    /// that is not filled yet.
    pub fn publish(self, current: &super::Current) -> Arc<Tables> {
        let (gone, filled): (Vec<_>, Vec<_>) = self
            .endpoints
            .into_iter()
            .partition(|(_, addresses)| addresses.is_empty());
        for (set, addresses) in filled {
            set.replace(addresses);
        }
        let old = current.publish(self.tables, self.fresh);
        for (set, _) in gone {
            set.replace([]);
        }
        old
    }
}

#[cfg(test)]
mod tests;
