//! From objects to resources and verdicts. Pure: no clock, no client, no randomness; the cost of a compile is that of
//! what changed and its neighbours.

mod budget;
mod bundle;
mod bundles;
mod class;
mod connector;
mod endpoints;
mod expressions;
mod extensions;
mod groups;
mod paths;
mod policies;
mod probes;
mod published;
mod room;
mod tool;
mod tools;
mod upstream;
mod urls;

use std::collections::{BTreeMap, BTreeSet};

use genkan_crds::condition::reason;
use genkan_routing::model::{
    Action, Blob, BlobKey, DefinedPolicy, EndpointSet, ObjectKey, ObjectRef, Published, Resource,
    ResourceKey, Route, Secret, SecretKey, SetKey, Unavailable,
};
use genkan_routing::precedence::Claims;
use genkan_routing::public::Front;

use crate::fetched::Fetch;
use crate::index::{Dirty, Index, Probe};
use crate::kinds::Tool;
use crate::object::{Key, Record};
use crate::verdict::{Backend, ExtensionVerdict, Finding, Verdict};

pub use bundle::of_secret as certificates_of;
pub use room::{DEFAULT_BUDGET, MAX_OBJECT};

use bundles::{Bundles, Touched};
use expressions::Expressions;
use extensions::{Extended, Extensions};
use groups::Groups;
use policies::Policies;
use room::{Part, Room};
use tools::Tools;

/// Of a cluster that was given no other.
const DOMAIN: &str = "cluster.local";
/// Where the Secrets stand that hold authorities for all Connectors.
pub const COMPONENTS: &str = "genkan-system";

/// Remembers what depends on what between compiles.
#[derive(Debug)]
pub struct Compiler {
    claims: Claims,
    expressions: Expressions,
    groups: Groups,
    /// What of all that is sent.
    room: Room,
    /// The endpoint set that each object asks for, and the objects that name each Service.
    uses: BTreeMap<ObjectKey, Vec<Use>>,
    users: BTreeMap<Key, BTreeSet<ObjectKey>>,
    sets: BTreeMap<SetKey, usize>,
    bundles: Bundles,
    verdicts: BTreeMap<ObjectKey, Verdict>,
    /// What objects name beside addresses.
    tools: Tools,
    policies: Policies,
    extensions: Extensions,
    /// How people reach what is published.
    front: Front,
    /// Of the cluster, for names of Services.
    domain: String,
    components: String,
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
    pub secrets: Vec<(SecretKey, Option<Secret>)>,
    /// Secrets that somebody names now and nobody did, and those that nobody names any more, in order.
    pub wanted: Vec<(Key, bool)>,
    /// The same of ConfigMaps.
    pub wanted_maps: Vec<(Key, bool)>,
    /// All files of web servers that are wanted from now on, if those are others.
    pub fetches: Option<Vec<Fetch>>,
    /// Probes whose plan is another one than before.
    pub probes: Vec<ProbeChange>,
}

/// A probe that begins, ends, or asks something else from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeChange {
    pub object: ObjectKey,
    pub probe: Probe,
    /// The plan; `None` if it ends.
    pub plan: Option<SecretKey>,
}

/// What the compile of one kind gives.
struct Compiled {
    verdict: Verdict,
    /// What proxies are sent; `None` if the object is absent for them, or no route.
    route: Option<Route>,
    /// The policy that it is.
    policy: Option<DefinedPolicy>,
    needs: Vec<Use>,
    /// What its route trusts, to be sent beside it.
    bundle: Option<(BlobKey, Blob)>,
    /// What its tool is asked.
    plans: Vec<(Probe, Secret)>,
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
            tools: Tools::default(),
            policies: Policies::default(),
            extensions: Extensions::default(),
            front: Front::default(),
            domain: DOMAIN.to_owned(),
            components: COMPONENTS.to_owned(),
        }
    }

    /// Gives it another domain of the cluster than `cluster.local`.
    #[must_use]
    pub fn with_domain(self, domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            ..self
        }
    }

    /// How people reach the data planes, for the status of what is published.
    #[must_use]
    pub fn with_front(self, front: Front) -> Self {
        Self { front, ..self }
    }

    /// Gives it another namespace for the Secrets that hold authorities for all Connectors than [`COMPONENTS`].
    #[must_use]
    pub fn with_components(self, namespace: impl Into<String>) -> Self {
        Self {
            components: namespace.into(),
            ..self
        }
    }

    pub fn compile(&mut self, index: &Index, dirty: &Dirty) -> Output {
        let mut todo = self.claim(index, &dirty.published);
        for key in &dirty.published {
            todo.extend(self.weigh(index, key));
        }
        todo.extend(self.groups.contend(index, &dirty.published));
        todo.extend(self.tools.note(index, dirty));
        let extended = self.extend(index, dirty, &mut todo);
        todo.extend(dirty.probed.iter().cloned());
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
            let needs = compiled.as_ref().map(|c| c.needs.clone()).unwrap_or_default();
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
        let mut out = self.emit(made);
        out.upserts.extend(extended.upserts);
        out.removals.extend(extended.removals);
        out.fetches = extended.fetches;
        out.wanted = self.tools.take_wanted();
        out.wanted_maps = self.extensions.take_wanted();
        out.secrets = self.tools.settle(index, &out.upserts, &out.removals);
        let (plans, probes) = self.tools.take_plans();
        out.secrets.extend(plans);
        out.probes = probes;
        if dirty.flags {
            out.upserts.push(Resource::feature_flags(index.flags.clone()));
        }
        out
    }

    /// Takes in policies and extensions, which objects are linked with: they come before all others.
    fn extend(&mut self, index: &Index, dirty: &Dirty, todo: &mut BTreeSet<ObjectKey>) -> Extended {
        todo.extend(self.policies.note(index, dirty));
        let mut names = self.extensions.concerned(index, dirty);
        names.extend(self.extensions.mentioning(self.policies.defined()));
        // Who uses a policy of an extension is part of what is said of it.
        let used = self.extensions.mentioning(&self.policies.used());
        let used: BTreeSet<String> = used.difference(&names).cloned().collect();
        names.extend(self.extensions.count_users(&used, &self.policies));
        let key = |name: &String| ObjectKey::cluster(Published::GatewayExtension, name.as_str());
        todo.extend(used.iter().map(key));
        if names.is_empty() {
            return Extended::default();
        }
        let mut extended = self.extensions.read(index, &names, &self.policies);
        // Who comes to a policy is known when it acts, and what is in a Secret is looked at when steps are linked.
        if extended.acts_otherwise || !dirty.secrets.is_empty() {
            todo.extend(self.policies.act(index, &self.extensions));
        }
        let mut counted = self.extensions.mentioning(&extended.mentioned);
        counted.extend(extended.concerned.iter().cloned());
        let freed = self.extensions.count_users(&counted, &self.policies);
        if !freed.is_empty() {
            let again = self.extensions.read(index, &freed, &self.policies);
            if again.acts_otherwise {
                todo.extend(self.policies.act(index, &self.extensions));
            }
            let comes_back = |key: &ResourceKey| again.upserts.iter().any(|resource| resource.key == *key);
            extended.removals.retain(|key| !comes_back(key));
            extended.upserts.extend(again.upserts);
            extended.removals.extend(again.removals);
        }
        let is_known = |name: &&String| index.published.contains_key(&key(name));
        todo.extend(
            counted
                .iter()
                .chain(&extended.concerned)
                .filter(is_known)
                .map(key),
        );
        extended
    }

    /// A policy that lacks may be one that is being rolled out.
    fn await_extension(&self, record: &Record, index: &Index, compiled: &mut Compiled) {
        let verdict = &mut compiled.verdict;
        let lacks = |finding: &Finding| !finding.ok && finding.reason == reason::POLICY_NOT_FOUND;
        let finding = match (lacks(&verdict.accepted), lacks(&verdict.resolved)) {
            (true, _) => &mut verdict.accepted,
            (false, true) => &mut verdict.resolved,
            (false, false) => return,
        };
        let mut names = self.policies.names_of(&record.key);
        let found = names.find_map(|name| Some((name, self.extensions.coming(index, name)?)));
        let Some((name, extension)) = found else {
            return;
        };
        let what = format!(
            "policy {name} comes with GatewayExtension {extension}, which is not deployed on every data plane yet"
        );
        if let Some(route) = &mut compiled.route {
            route.action =
                Action::Unavailable(Unavailable::new(reason::WAITING_FOR_EXTENSION, what.as_str()));
        }
        let message = format!("{}: {what}", record.key.title());
        *finding = Finding::no(reason::WAITING_FOR_EXTENSION, message);
    }

    /// What is said of a GatewayExtension; what is sent of it is sent by itself.
    fn extension(&self, record: &Record) -> Compiled {
        let object = ObjectRef::new(record.key.clone(), record.uid.as_str(), record.generation);
        let (object, verdict) = self
            .extensions
            .verdict(&record.key.name)
            .unwrap_or_else(|| (object, ExtensionVerdict::default()));
        let is_sent = verdict.target().is_some();
        Compiled {
            verdict: Verdict {
                object,
                accepted: Finding::yes(reason::ACCEPTED, ""),
                resolved: Finding::yes(reason::RESOLVED_REFS, ""),
                sent: is_sent,
                backend: Backend::None,
                columns: Vec::new(),
                members: serde_json::Map::new(),
                tool: None,
                extension: Some(Box::new(verdict)),
            },
            route: None,
            policy: None,
            needs: Vec::new(),
            bundle: None,
            plans: Vec::new(),
        }
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

    /// What is done to the requests of an object, as it was compiled last; `None` where that is nothing.
    pub fn plan(&self, index: &Index, route: &Route) -> Option<genkan_policies::Plan> {
        let record = index.published.get(&route.object.key)?;
        self.policies.plan(record, route.policies.as_deref(), index)
    }

    /// What policies do to the requests of an object, whatever else becomes of it; `None`: it takes none, or cannot be read.
    pub fn policies_of(
        &self,
        index: &Index,
        key: &ObjectKey,
    ) -> Option<Result<genkan_policies::Plan, Finding>> {
        let record = index.published.get(key)?;
        let spec = record.spec.as_ref().ok()?;
        match spec.tool {
            Tool::None | Tool::Connector(_) => Some(self.policies.judged(record, index)),
            Tool::Class(_) | Tool::Policy(_) | Tool::Extension(_) => None,
        }
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
        let mut compiled = match record.spec.as_ref().map(|spec| &spec.tool) {
            Ok(Tool::Connector(spec)) => self.connector(record, spec, index),
            Ok(Tool::Class(spec)) => return Some(self.class(record, spec, index)),
            Ok(Tool::Policy(definition)) => return Some(self.policies.definition(record, definition)),
            _ if key.kind == Published::GatewayExtension => return Some(self.extension(record)),
            Ok(Tool::Extension(_) | Tool::None) | Err(_) => self.published(record, index),
        };
        self.policies.apply(record, index, &mut compiled);
        self.await_extension(record, index, &mut compiled);
        Some(compiled)
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
                    .filter(|user| {
                        let uses = self.uses.get(user).into_iter().flatten();
                        uses.filter_map(|one| one.set.as_ref()).any(|used| *used == set)
                    })
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
            let plans = compiled
                .as_ref()
                .map(|compiled| compiled.plans.as_slice())
                .unwrap_or_default();
            self.tools.plan(&key, plans);
            let Some(mut compiled) = compiled else {
                if key.kind != Published::GatewayExtension {
                    out.removals.push(key.clone().into());
                }
                self.verdicts.remove(&key);
                out.gone.insert(key);
                continue;
            };
            self.room.fit(&key, &mut compiled, &self.bundles);
            match (compiled.route, compiled.policy) {
                (Some(route), _) => out.upserts.push(Resource::route(route)),
                (None, Some(policy)) => out.upserts.push(Resource::policy(policy)),
                (None, None) if key.kind == Published::GatewayExtension => {}
                (None, None) => out.removals.push(key.clone().into()),
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
    fn depend(&mut self, key: &ObjectKey, needs: Vec<Use>, sets: &mut BTreeSet<SetKey>) {
        for old in &self.uses.remove(key).unwrap_or_default() {
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
        for one in &needs {
            self.users
                .entry(one.service.clone())
                .or_default()
                .insert(key.clone());
            if let Some(set) = &one.set {
                *self.sets.entry(set.clone()).or_default() += 1;
                sets.insert(set.clone());
            }
        }
        if !needs.is_empty() {
            self.uses.insert(key.clone(), needs);
        }
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
