//! Which proxies count, and what each of them serves.
//!
//! Counted are the Pods of the data-plane Service that are not being deleted, and every connected process. A process
//! without a Pod stays counted for [`FORGET_AFTER`] after its stream ended. What a proxy acknowledged counts while its
//! stream lives, and for [`GRACE`] after, so that a reconnect does not flip every object.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use genkan_routing::model::{Health, ObjectKey, ObjectRef, Objection};
use tokio::time::Instant;

use crate::snapshot::Scope;

/// How long a proxy may be behind before objects say so.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a proxy without a Pod is still expected back.
pub const FORGET_AFTER: Duration = Duration::from_secs(30);

/// One per stream; never used twice.
pub type SessionId = u64;

#[derive(Debug)]
struct Proxy {
    instance: String,
    /// `None`: no stream since `changed`.
    session: Option<SessionId>,
    /// When the stream began or ended, or the Pod was first seen.
    changed: Instant,
    acked: Option<u64>,
    objections: HashMap<ObjectKey, Objection>,
    reports: HashMap<ObjectKey, Health>,
}

#[derive(Debug, Default)]
pub struct Fleet {
    proxies: BTreeMap<String, Proxy>,
    pods: BTreeSet<String>,
}

/// How far one resource has come.
#[derive(Debug, PartialEq, Eq)]
pub struct Rollout {
    pub ready: usize,
    pub counted: usize,
    /// Names of counted proxies that have not acknowledged it.
    pub waiting: Vec<String>,
    /// Since when the longest of them is behind.
    pub behind_since: Option<Instant>,
    /// Proxies that cannot build it.
    pub rejected: Option<(String, Objection)>,
}

// === impl Proxy ===

impl Proxy {
    /// What it acknowledged and reported still counts.
    fn lives(&self, now: Instant) -> bool {
        self.session.is_some() || now.duration_since(self.changed) < GRACE
    }
}

// === impl Fleet ===

impl Fleet {
    /// A proxy opened a stream. Returns the name under which it counts.
    pub fn connect(&mut self, name: &str, instance: &str, session: SessionId, now: Instant) -> String {
        let taken = self
            .proxies
            .get(name)
            .is_some_and(|p| p.session.is_some() && p.instance != instance);
        let name = if taken {
            format!("{name} ({instance})")
        } else {
            name.to_string()
        };
        let returning = self.proxies.remove(&name).filter(|p| p.instance == instance);
        let (acked, objections, reports) =
            returning.map_or_else(Default::default, |p| (p.acked, p.objections, p.reports));
        // The same process under the other name it may have had is not a second one.
        self.proxies.retain(|_, p| p.instance != instance);
        let instance = instance.to_string();
        self.proxies.insert(
            name.clone(),
            Proxy {
                instance,
                session: Some(session),
                changed: now,
                acked,
                objections,
                reports,
            },
        );
        name
    }

    /// The stream ended. Ignored if another one of the same proxy took its place.
    pub fn disconnect(&mut self, name: &str, session: SessionId, now: Instant) {
        if let Some(proxy) = self.proxies.get_mut(name).filter(|p| p.session == Some(session)) {
            proxy.session = None;
            proxy.changed = now;
        }
    }

    /// It has a stream, and has acknowledged nothing yet.
    pub fn is_starting(&self, name: &str) -> bool {
        self.proxies.get(name).is_some_and(|p| p.acked.is_none())
    }

    /// The proxy serves this sequence, but for what it objects to. Returns the objects to which it objects otherwise than
    /// before; `None` if the stream is not the proxy's. `scope`: what `objections` are all there are of.
    pub fn acknowledge(
        &mut self,
        name: &str,
        session: SessionId,
        sequence: u64,
        scope: &Scope,
        objections: Vec<Objection>,
    ) -> Option<Vec<ObjectKey>> {
        let proxy = self
            .proxies
            .get_mut(name)
            .filter(|p| p.session == Some(session))?;
        proxy.acked = Some(sequence);
        let before: HashMap<ObjectKey, Objection> = match scope {
            Scope::Everything => std::mem::take(&mut proxy.objections),
            Scope::Only(keys) => keys
                .iter()
                .filter_map(|key| proxy.objections.remove_entry(key))
                .collect(),
        };
        let mut concerned = Vec::new();
        for objection in objections {
            let key = objection.object.key.clone();
            if before.get(&key) != Some(&objection) {
                concerned.push(key.clone());
            }
            proxy.objections.insert(key, objection);
        }
        let went = before
            .into_keys()
            .filter(|key| !proxy.objections.contains_key(key));
        concerned.extend(went);
        Some(concerned)
    }

    /// Takes note of a report; false if the stream is not the proxy's, or it told of a newer version of the object.
    pub fn report(&mut self, name: &str, session: SessionId, health: Health) -> bool {
        match self.proxies.get_mut(name).filter(|p| p.session == Some(session)) {
            // A late failure of the generation before must not take the place of news about this one.
            Some(proxy) => {
                let held = proxy.reports.get(&health.object.key).map(|held| &held.object);
                let is_late = held.is_some_and(|held| {
                    held.uid == health.object.uid && held.generation > health.object.generation
                });
                if !is_late {
                    proxy.reports.insert(health.object.key.clone(), health);
                }
                !is_late
            }
            None => false,
        }
    }

    /// What was said about an object that exists no longer is forgotten.
    pub fn forget_object(&mut self, key: &ObjectKey) {
        for proxy in self.proxies.values_mut() {
            proxy.objections.remove(key);
            proxy.reports.remove(key);
        }
    }

    /// The names of the Pods that are not being deleted. Returns true if that changes who is counted.
    pub fn set_pods(&mut self, pods: BTreeSet<String>, now: Instant) -> bool {
        if pods == self.pods {
            return false;
        }
        for name in &pods {
            self.proxies.entry(name.clone()).or_insert_with(|| Proxy {
                instance: String::new(),
                session: None,
                changed: now,
                acked: None,
                objections: HashMap::new(),
                reports: HashMap::new(),
            });
        }
        self.pods = pods;
        self.prune(now);
        true
    }

    /// Drops who no longer counts. Returns true if anyone left.
    pub fn prune(&mut self, now: Instant) -> bool {
        let before = self.proxies.len();
        let (pods, has_pods) = (&self.pods, !self.pods.is_empty());
        self.proxies.retain(|name, p| {
            p.session.is_some()
                || pods.contains(name)
                || (!has_pods && now.duration_since(p.changed) < FORGET_AFTER)
        });
        before != self.proxies.len()
    }

    /// When time alone next changes an answer of this fleet.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let of = |p: &Proxy| {
            let grace =
                Some(p.changed + GRACE).filter(|at| *at > now && (p.session.is_none() || p.acked.is_none()));
            let forget = Some(p.changed + FORGET_AFTER).filter(|at| *at > now && p.session.is_none());
            [grace, forget].into_iter().flatten().min()
        };
        self.proxies.values().filter_map(of).min()
    }

    pub fn connected(&self) -> usize {
        self.proxies.values().filter(|p| p.session.is_some()).count()
    }

    pub fn counted(&self) -> usize {
        self.proxies.len()
    }

    /// Who must serve a resource that changed at `since`.
    ///
    /// A proxy that is just starting beside others that have served for a while is kept from traffic by its own
    /// readiness, not by the status of every object that is older than its stream.
    fn counted_for(&self, since: Instant, now: Instant) -> impl Iterator<Item = (&str, &Proxy)> {
        let young = move |p: &Proxy| now.duration_since(p.changed) < GRACE;
        let settled = self
            .proxies
            .values()
            .any(|p| p.acked.is_some() && p.session.is_some() && !young(p));
        let spared = move |p: &Proxy| settled && p.acked.is_none() && young(p) && since <= p.changed;
        self.proxies
            .iter()
            .filter(move |(_, p)| !spared(p))
            .map(|(name, p)| (name.as_str(), p))
    }

    /// How far a version of an object, changed at `since`, has come.
    pub fn progress(&self, object: &ObjectRef, since: crate::snapshot::Since, now: Instant) -> Rollout {
        let objection = |proxy: &Proxy| {
            let held = proxy.objections.get(&object.key);
            held.filter(|held| held.object == *object).cloned()
        };
        self.progress_but_for(objection, since, now)
    }

    /// How far something to which nobody objects, changed at `since`, has come.
    pub fn taken(&self, since: crate::snapshot::Since, now: Instant) -> Rollout {
        self.progress_but_for(|_| None, since, now)
    }

    fn progress_but_for(
        &self,
        objection: impl Fn(&Proxy) -> Option<Objection>,
        since: crate::snapshot::Since,
        now: Instant,
    ) -> Rollout {
        let mut out = Rollout {
            ready: 0,
            counted: 0,
            waiting: Vec::new(),
            behind_since: None,
            rejected: None,
        };
        for (name, proxy) in self.counted_for(since.at, now) {
            out.counted += 1;
            let lives = proxy.lives(now);
            if lives && proxy.acked.is_some_and(|acked| acked >= since.sequence) {
                match objection(proxy) {
                    None => out.ready += 1,
                    Some(o) => out.rejected = out.rejected.or_else(|| Some((name.to_string(), o))),
                }
            } else {
                let behind = if lives {
                    proxy.changed.max(since.at)
                } else {
                    proxy.changed
                };
                let behind = if proxy.acked.is_none() {
                    proxy.changed.max(since.at)
                } else {
                    behind
                };
                out.behind_since = Some(out.behind_since.map_or(behind, |b| b.min(behind)));
                out.waiting.push(name.to_string());
            }
        }
        out
    }

    /// What counted proxies say about the backend of an object.
    pub fn reports<'a>(
        &'a self,
        object: &'a ObjectRef,
        since: crate::snapshot::Since,
        now: Instant,
    ) -> impl Iterator<Item = (&'a str, Option<&'a Health>)> {
        self.counted_for(since.at, now)
            .filter(move |(_, p)| p.lives(now))
            .map(move |(name, p)| {
                let report = p.reports.get(&object.key);
                (name, report.filter(|report| report.object == *object))
            })
    }
}

#[cfg(test)]
mod tests;
