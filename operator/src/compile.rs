//! From objects to resources and verdicts. Pure: no clock, no client, no randomness; the cost of a compile is that of
//! what changed and its neighbours.

mod api_service;
mod bundle;
mod endpoints;
mod expressions;
pub mod reverse_proxy;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};

use genkan_proto::v1alpha1::{Resource, ResourceRef, Unavailable, resource};
use genkan_routing::precedence::Claims;

use crate::index::{Dirty, Index};
use crate::object::Key;
use crate::verdict::{Finding, ObjectKey, Verdict};

use endpoints::SetKey;
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
    pub removals: Vec<String>,
    /// Objects whose verdict was made again.
    pub judged: BTreeSet<ObjectKey>,
    /// Objects that exist no longer.
    pub gone: BTreeSet<ObjectKey>,
    /// Endpoint sets that were made again, and whether an endpoint is in them.
    pub sets: Vec<(String, bool)>,
}

/// What the compile of one kind gives.
struct Compiled {
    verdict: Verdict,
    resource: Option<resource::Resource>,
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
            .flat_map(|s| self.sets.range(SetKey::range(s)).map(|(set, _)| set.clone()))
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
    pub fn users_of_set(&self, set: &str) -> Vec<ObjectKey> {
        let Some(service) = SetKey::service_of(set) else {
            return Vec::new();
        };
        self.users.get(&service).into_iter().flatten().cloned().collect()
    }

    fn judge(&mut self, index: &Index, key: ObjectKey, sets: &mut BTreeSet<SetKey>, out: &mut Output) {
        let compiled = match key.kind {
            crate::object::Kind::ReverseProxy => index
                .reverse_proxies
                .get(&key.name)
                .map(|r| reverse_proxy::compile(r, index, &self.claims, self.expressions.refusal(&key.name))),
            _ => index
                .api_services
                .get(&key.name)
                .map(|r| api_service::compile(r, index, &self.rivals(&key.name))),
        };
        self.depend(&key, compiled.as_ref().and_then(|c| c.needs.clone()), sets);
        match compiled {
            Some(Compiled {
                verdict, resource, ..
            }) => {
                match resource {
                    Some(r) => out.upserts.push(Resource {
                        key: key.to_string(),
                        resource: Some(r),
                    }),
                    None => out.removals.push(key.to_string()),
                }
                self.verdicts.insert(key.clone(), verdict);
                out.judged.insert(key);
            }
            None => {
                out.removals.push(key.to_string());
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
        let key = set.to_string();
        if self.sets.contains_key(set) {
            let endpoints = endpoints::collect(index, set);
            out.sets.push((key.clone(), !endpoints.endpoints.is_empty()));
            out.upserts.push(Resource {
                key,
                resource: Some(resource::Resource::EndpointSet(endpoints)),
            });
        } else {
            out.removals.push(key);
        }
    }
}

/// What is wrong with an endpoint by itself: one sentence each, behind the path of its field.
pub fn endpoint_problems(spec: &genkan_crds::Endpoint, path: &str) -> Vec<String> {
    upstream::validate(spec, path).err().unwrap_or_default()
}

/// The object that a resource is made from.
fn reference(key: &ObjectKey, uid: &str, generation: i64) -> ResourceRef {
    ResourceRef {
        kind: key.kind.name().into(),
        namespace: String::new(),
        name: key.name.clone(),
        uid: uid.into(),
        generation,
    }
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
    Unavailable {
        reason: finding.reason.into(),
        message: finding.message.clone(),
    }
}

#[cfg(test)]
mod tests;
