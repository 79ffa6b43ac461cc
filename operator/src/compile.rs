//! From objects to resources and verdicts. Pure: no clock, no client, no randomness; the cost of a compile is that of
//! what changed and its neighbours.

mod api_service;
mod bundle;
mod endpoints;
mod expressions;
pub mod reverse_proxy;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};

use genkan_routing::model::{ObjectKey, Published, Resource, ResourceKey, Route, SetKey, Unavailable};
use genkan_routing::precedence::Claims;

use crate::index::{Dirty, Index};
use crate::object::Key;
use crate::verdict::{Finding, Verdict};

use expressions::Expressions;

/// Remembers what depends on what between compiles.
#[derive(Debug, Default)]
pub struct Compiler {
    claims: Claims,
    expressions: Expressions,
    /// Contenders for each `group/version`, the winner first.
    groups: BTreeMap<String, BTreeSet<(i64, String)>>,
    group_of: BTreeMap<String, (String, i64)>,
    /// The endpoint set that each object asks for, and the objects that name each Service.
    uses: BTreeMap<ObjectKey, Use>,
    users: BTreeMap<Key, BTreeSet<ObjectKey>>,
    sets: BTreeMap<SetKey, usize>,
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
}

/// What the compile of one kind gives.
struct Compiled {
    verdict: Verdict,
    /// What proxies are sent; `None` if the object is absent for them.
    route: Option<Route>,
    needs: Option<Use>,
}

// === impl Compiler ===

impl Compiler {
    pub fn compile(&mut self, index: &Index, dirty: &Dirty) -> Output {
        let mut out = Output::default();
        let mut todo = BTreeSet::new();
        for name in &dirty.reverse_proxies {
            todo.extend(self.claim(index, name));
            todo.extend(self.weigh(index, name));
        }
        for name in &dirty.api_services {
            todo.extend(self.contend(index, name));
        }
        for service in &dirty.services {
            todo.extend(self.users.get(service).into_iter().flatten().cloned());
        }
        let mut sets: BTreeSet<SetKey> = (dirty.services.iter())
            .flat_map(|(namespace, name)| self.sets.range(SetKey::range(namespace, name)))
            .map(|(set, _)| set.clone())
            .collect();
        for key in todo {
            self.judge(index, key, &mut sets, &mut out);
        }
        for set in sets {
            self.collect(index, &set, &mut out);
        }
        out
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

    fn judge(&mut self, index: &Index, key: ObjectKey, sets: &mut BTreeSet<SetKey>, out: &mut Output) {
        let compiled = match key.kind {
            Published::ReverseProxy => index
                .reverse_proxies
                .get(&key.name)
                .map(|r| reverse_proxy::compile(r, index, &self.claims, self.expressions.refusal(&key.name))),
            Published::ApiService => index
                .api_services
                .get(&key.name)
                .map(|r| api_service::compile(r, index, &self.rivals(&key.name))),
        };
        self.depend(&key, compiled.as_ref().and_then(|c| c.needs.clone()), sets);
        match compiled {
            Some(Compiled { verdict, route, .. }) => {
                match route {
                    Some(route) => out.upserts.push(Resource::route(route)),
                    None => out.removals.push(key.clone().into()),
                }
                self.verdicts.insert(key.clone(), verdict);
                out.judged.insert(key);
            }
            None => {
                out.removals.push(key.clone().into());
                self.verdicts.remove(&key);
                out.gone.insert(key);
            }
        }
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

    fn collect(&self, index: &Index, set: &SetKey, out: &mut Output) {
        if self.sets.contains_key(set) {
            let endpoints = endpoints::collect(index, set);
            out.sets.push((set.clone(), !endpoints.endpoints.is_empty()));
            out.upserts.push(Resource::endpoints(set.clone(), endpoints));
        } else {
            out.removals.push(set.clone().into());
        }
    }
}

/// What is wrong with an endpoint by itself: one sentence each, behind the path of its field.
pub fn endpoint_problems(spec: &genkan_crds::Endpoint, path: &str) -> Vec<String> {
    upstream::validate(spec, path).err().unwrap_or_default()
}

/// The winner of a conflict learns of it as well.
fn won(losers: &[String], kind: &str) -> Option<String> {
    let (first, more) = losers.split_first()?;
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(" and {} more", more.len())
    };
    Some(format!(
        "it wins over {kind} {first}{more}, which asks for the same requests"
    ))
}

/// Adds what is worth saying although nothing is wrong.
fn remark(finding: &mut Finding, told: [Option<String>; 2]) {
    for sentence in told.into_iter().flatten() {
        finding.message = format!("{}; {sentence}", finding.message);
    }
}

/// The stub of a broken object answers with the condition that is false.
fn unavailable(finding: &Finding) -> Unavailable {
    Unavailable::new(finding.reason, finding.message.as_str())
}

#[cfg(test)]
mod tests;
