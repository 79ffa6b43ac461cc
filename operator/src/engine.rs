//! The one task that owns the index, the compiler, the world and the fleet.
//!
//! Changes are gathered for a few milliseconds, compiled together, published as one snapshot, and the objects that
//! they concern are assessed; acknowledgements and time only lead to assessments.

mod extensions;
mod status;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use genkan_compile::Compiler;
use genkan_compile::index::{Change, Dirty, Index, Remembered};
use genkan_compile::object::Key;
use genkan_extensions::Limits;
use genkan_routing::model::{Escape, ObjectKey, Published, ResourceKey, SetKey, Use};
use genkan_routing::public::Front;
use parking_lot::RwLock;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::assess::SetState;
use crate::budgets::Budgets;
use crate::definitions::Shown;
use crate::duties::{Duties, Told};
use crate::extensions::Extensions;
use crate::fetching::Wishes;
use crate::fleet::Fleet;
use crate::input::{Absence, Input, Pods};
use crate::metrics::Metrics;
use crate::revisions::Keeping;
use crate::rollouts::{self, Rollouts};
use crate::snapshot::{Feed, Since};
use crate::status::Queue;
use crate::wanted::Wanted;
use waiting::Waiting;

/// What is told of escapes stays so long, and nothing else is told meanwhile.
const ESCAPES: Duration = Duration::from_secs(60 * 60);
/// Quiet time that ends a batch, and the longest that a batch may take to gather.
const QUIET: Duration = Duration::from_millis(3);
const LONGEST: Duration = Duration::from_millis(100);
/// So long the first Secrets and ConfigMaps are looked at before anything is sent without them.
const LOOKING: Duration = Duration::from_secs(10);

/// What other tasks may read of the engine.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The hash in hexadecimal and the local sequence of what is published.
    pub hash: String,
    pub sequence: u64,
    pub synced: bool,
    pub leading: bool,
    /// Kinds that have not been listed yet.
    pub missing: Vec<&'static str>,
    /// Kinds that cannot be read now, by name.
    pub absent: BTreeMap<&'static str, Absence>,
}

#[derive(Debug)]
pub struct Engine {
    index: Index,
    compiler: Compiler,
    fleet: Fleet,
    duties: Duties,
    rollouts: Rollouts,
    /// Roll-outs of extensions; nothing of them while another operator leads.
    extensions: Extensions,
    budgets: Budgets,
    /// Forms of immediate entries that every data plane took, by extension and digest.
    settled: BTreeMap<String, BTreeSet<String>>,
    keeping: Arc<Keeping>,
    shown: Arc<Shown>,
    wishes: Arc<Wishes>,
    dirty: Dirty,
    batch: Option<Batch>,
    sets: BTreeMap<SetKey, SetState>,
    /// When requests last carried the credentials of objects; seconds since 1970.
    used: BTreeMap<ObjectKey, u64>,
    /// What pages of web UIs asked for outside of their prefix, as a data plane told last.
    escaped: BTreeMap<ObjectKey, (Escape, Instant)>,
    /// Objects that not every proxy has acknowledged.
    waiting: Waiting,
    /// What is waited for before anything is sent.
    beginning: Option<Beginning>,
    /// The next moment at which time alone changes who is counted.
    fleet_due: Option<Instant>,
    leading: bool,
    service: Key,
    feed: Arc<Feed>,
    /// Uids of the Pods that exist: a stream ends with its Pod.
    pods: watch::Sender<Pods>,
    /// The Secrets that are asked for.
    wanted: Arc<Wanted>,
    wanted_maps: Arc<Wanted>,
    view: Arc<RwLock<View>>,
    queue: Arc<Queue>,
    metrics: Arc<Metrics>,
}

#[derive(Clone, Copy, Debug)]
struct Batch {
    began: Instant,
    due: Instant,
}

/// Secrets and ConfigMaps that objects name and nobody has looked at yet.
#[derive(Debug)]
struct Beginning {
    secrets: BTreeSet<Key>,
    maps: BTreeSet<Key>,
    /// Nothing is waited for longer.
    until: Instant,
}

// === impl Engine ===

impl Engine {
    /// `service` names the data-plane Service, whose Pods are counted.
    pub fn new(
        service: Key,
        feed: Arc<Feed>,
        view: Arc<RwLock<View>>,
        queue: Arc<Queue>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            index: Index::of_operator(),
            compiler: Compiler::default(),
            fleet: Fleet::default(),
            duties: Duties::default(),
            rollouts: Rollouts::default(),
            extensions: Extensions::default(),
            budgets: Budgets::default(),
            settled: BTreeMap::new(),
            keeping: Arc::default(),
            shown: Arc::default(),
            wishes: Arc::default(),
            dirty: Dirty::default(),
            batch: None,
            sets: BTreeMap::new(),
            used: BTreeMap::new(),
            escaped: BTreeMap::new(),
            waiting: Waiting::default(),
            beginning: None,
            fleet_due: None,
            leading: false,
            service,
            feed,
            pods: watch::Sender::default(),
            wanted: Arc::default(),
            wanted_maps: Arc::default(),
            view,
            queue,
            metrics,
        }
    }

    /// Gives it another budget than the default: bytes of a snapshot before compression.
    #[must_use]
    pub fn with_budget(mut self, budget: usize) -> Self {
        self.metrics
            .snapshot_budget
            .set(i64::try_from(budget).unwrap_or(i64::MAX));
        self.compiler = Compiler::new(budget);
        self
    }

    /// Gives it another domain of the cluster than the default.
    #[must_use]
    pub fn with_domain(mut self, domain: &str) -> Self {
        self.compiler = self.compiler.with_domain(domain);
        self
    }

    /// How people reach the data planes; where web UIs have names, these get a key for those who log in.
    #[must_use]
    pub fn with_front(mut self, front: Front) -> Self {
        if front.apps.is_some() {
            self.feed.resources().admit_logins(Instant::now());
        }
        self.compiler = self.compiler.with_front(front);
        self
    }

    /// Gives it another namespace of the components than the default.
    #[must_use]
    pub fn with_components(mut self, namespace: &str) -> Self {
        self.compiler = self.compiler.with_components(namespace);
        self
    }

    /// Uids of the Pods that exist in the namespace of the data-plane Service.
    pub fn pods(&self) -> watch::Receiver<Pods> {
        self.pods.subscribe()
    }

    /// The Secrets that objects name: nobody else's are read.
    pub fn wanted(&self) -> Arc<Wanted> {
        Arc::clone(&self.wanted)
    }

    /// The revisions of extensions that are to be kept.
    pub fn keeping(&self) -> Arc<Keeping> {
        Arc::clone(&self.keeping)
    }

    /// The PolicyDefinitions that show policies of extensions.
    pub fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// What archives of extensions may have at most.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.index.limits = limits;
        self
    }

    /// Files of web servers are fetched by whoever reads this.
    pub fn fetches(&mut self) -> Arc<Wishes> {
        self.index.fetches = true;
        Arc::clone(&self.wishes)
    }

    /// The ConfigMaps that extensions name.
    pub fn wanted_maps(&self) -> Arc<Wanted> {
        Arc::clone(&self.wanted_maps)
    }

    /// What each stream does for all.
    pub fn duties(&self) -> watch::Receiver<Told> {
        self.duties.told()
    }

    /// What each stream is told about roll-outs.
    pub fn rollouts(&self) -> watch::Receiver<rollouts::Told> {
        self.rollouts.told()
    }

    /// Runs until every sender of inputs is gone.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            let wake = self.wake();
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => self.take(input, Instant::now()),
                    None => return,
                },
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            self.tick(Instant::now());
        }
    }

    /// When time alone next matters.
    fn wake(&self) -> Option<Instant> {
        let batch = self.batch.filter(|_| self.index.is_complete()).map(|b| b.due);
        let beginning = self.beginning.as_ref().map(|beginning| beginning.until);
        [
            batch,
            beginning,
            self.waiting.next(),
            self.fleet_due,
            self.extensions.due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn take(&mut self, input: Input, now: Instant) {
        match input {
            Input::Changes(changes) => self.take_changes(changes, now),
            Input::Absent(kind, absence) => {
                self.metrics.absent(kind, absence);
                let absent = &mut self.view.write().absent;
                match absence {
                    Some(absence) => absent.insert(kind.name(), absence),
                    None => absent.remove(kind.name()),
                };
            }
            Input::Connected {
                name,
                instance,
                session,
                does_duties,
                active,
                reply,
            } => {
                if does_duties {
                    self.duties.join(session);
                    self.duties.tell();
                }
                let name = self.fleet.connect(&name, &instance, session, now);
                info!(proxy = %name, "proxy connected");
                let is_fresh = self.fleet.is_starting(&name);
                self.rollouts.join(&name, session, active.clone());
                let todo = self.extensions.connected(&name, active, is_fresh, now);
                // If the stream ended meanwhile its `Disconnected` follows.
                let _ = reply.send(name);
                self.roll(todo, now);
                self.fleet_changed(now);
            }
            Input::Acknowledged {
                name,
                session,
                sequence,
                scope,
                objections,
            } => {
                let newcomer = self.fleet.is_starting(&name);
                self.take_back(&name, sequence, &objections, now);
                let Some(objected) = self
                    .fleet
                    .acknowledge(&name, session, sequence, &scope, objections)
                else {
                    return;
                };
                debug!(proxy = %name, sequence, "acknowledged");
                if newcomer {
                    let todo = self.extensions.ready(&name, now);
                    self.roll(todo, now);
                    // From now on it counts, for every object.
                    self.fleet_changed(now);
                    return;
                }
                let mut concerned: BTreeSet<ObjectKey> = self.waiting.keys().cloned().collect();
                concerned.extend(objected);
                self.expect(now);
                self.assess_each(concerned, now);
            }
            Input::Reported {
                name,
                session,
                health,
            } => {
                let key = health.object.key.clone();
                let is_known = self.compiler.verdict(&key).is_some();
                if is_known && self.fleet.report(&name, session, health) {
                    self.assess_each([key], now);
                }
            }
            Input::Reports { session, reports } => {
                let reports = reports.into_iter();
                let changes = reports
                    .filter_map(|report| self.duties.report(session, report))
                    .collect();
                self.take_changes(changes, now);
            }
            Input::RolledOut { name, session, state } => {
                info!(proxy = %name, extension = state.extension, stage = ?state.stage, "rolled out");
                if self.rollouts.roll(&name, session, state.clone()) {
                    let todo = self.extensions.told(&name, &state, now);
                    self.roll(todo, now);
                }
            }
            Input::ExtensionReport {
                name,
                session,
                report,
            } => {
                if self.rollouts.report(&name, session, report.clone()) {
                    let todo = self.extensions.reported(&name, &report, now);
                    self.roll(todo, now);
                }
            }
            Input::Budgets(budgets) => {
                self.budgets = budgets;
                self.make_room(now);
            }
            Input::Used(uses) => self.used(uses, now),
            Input::Escaped(escapes) => self.escaped(escapes, now),
            Input::Disconnected { name, session } => {
                self.duties.leave(session);
                self.duties.tell();
                self.rollouts.leave(&name, session);
                // It is missed before anybody takes another in its place.
                self.fleet.disconnect(&name, session, now);
                self.make_room(now);
                if !self.rollouts.seen().contains_key(&name) {
                    let todo = self.extensions.gone(&name, now);
                    self.roll(todo, now);
                }
                warn!(proxy = %name, "proxy disconnected");
                self.fleet_changed(now);
            }
            Input::Written(outcome) => self.written(outcome, now),
            Input::HashKey(key) => {
                let changed = self.feed.resources().rekey(key, now);
                if changed && self.feed.has_begun() {
                    self.publish(now);
                }
            }
            Input::Leading(leading) => {
                self.leading = leading;
                self.view.write().leading = leading;
                self.queue.clear();
                self.lead_extensions(leading, now);
                if leading {
                    self.assess_all(now);
                }
            }
        }
    }

    fn used(&mut self, uses: Vec<Use>, now: Instant) {
        let today = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let mut concerned = BTreeSet::new();
        for used in uses {
            let verdict = self.compiler.verdict(&used.object.key);
            if verdict.is_some_and(|verdict| verdict.object.uid == used.object.uid) {
                let at = self.used.entry(used.object.key.clone()).or_default();
                *at = used.at.min(today).max(*at);
                concerned.insert(used.object.key);
            }
        }
        self.assess_each(concerned, now);
    }

    fn escaped(&mut self, escapes: Vec<Escape>, now: Instant) {
        let mut concerned = BTreeSet::new();
        for escape in escapes {
            let verdict = self.compiler.verdict(&escape.object.key);
            let known = self.escaped.get(&escape.object.key);
            // Each data plane may tell of it, and of another path.
            let is_new =
                known.is_none_or(|(known, at)| known.object != escape.object || *at + ESCAPES <= now);
            if is_new && verdict.is_some_and(|verdict| verdict.object == escape.object) {
                concerned.insert(escape.object.key.clone());
                self.escaped.insert(escape.object.key.clone(), (escape, now));
            }
        }
        self.assess_each(concerned, now);
    }

    fn take_changes(&mut self, changes: Vec<Change>, now: Instant) {
        self.metrics.changes.inc_by(changes.len() as u64);
        changes
            .into_iter()
            .for_each(|change| self.index.take(change, &mut self.dirty));
        let began = self.batch.map_or(now, |b| b.began);
        self.batch = Some(Batch {
            began,
            due: (now + QUIET).min(began + LONGEST),
        });
        if !self.view.read().synced {
            self.view.write().missing = self.index.missing();
        }
    }

    /// Does what is due.
    fn tick(&mut self, now: Instant) {
        if self.batch.is_some_and(|b| b.due <= now) && self.index.is_complete() {
            self.batch = None;
            self.compile(now);
        }
        if self
            .beginning
            .as_ref()
            .is_some_and(|beginning| beginning.until <= now)
        {
            warn!(
                "not every Secret and ConfigMap that objects name could be looked at; beginning without them"
            );
            self.publish_when_known(now);
        }
        if self.fleet_due.is_some_and(|at| at <= now) {
            self.fleet_due = None;
            self.fleet.prune(now);
            self.fleet_changed(now);
        }
        if self.extensions.due().is_some_and(|at| at <= now) {
            let todo = self.extensions.tick(now);
            self.roll(todo, now);
        }
        self.assess_each(self.waiting.due(now), now);
    }

    fn compile(&mut self, now: Instant) {
        let dirty = std::mem::take(&mut self.dirty);
        let mut out = self.compiler.compile(&self.index, &dirty);
        let mut resources = self.feed.resources();
        resources.seal(out.secrets, &mut out.upserts, &mut out.removals);
        let changed = resources.apply(out.upserts, &out.removals, now);
        drop(resources);
        out.probes
            .into_iter()
            .for_each(|change| self.duties.change(change));
        self.duties.tell();
        self.await_unknown(&out.wanted, &out.wanted_maps, now);
        self.wanted.say(out.wanted);
        self.wanted_maps.say(out.wanted_maps);
        if let Some(fetches) = out.fetches {
            self.index.keep_fetched(&fetches);
            self.wishes.say(fetches);
        }
        if changed || !self.feed.has_begun() {
            self.publish_when_known(now);
        }
        let mut concerned = out.judged;
        concerned.extend(dirty.touched);
        for (set, usable) in out.sets {
            concerned.extend(self.note_set(set, usable, now));
        }
        for key in &out.removals {
            match key {
                ResourceKey::Endpoints(set) => drop(self.sets.remove(set)),
                ResourceKey::Object(_)
                | ResourceKey::Blob(_)
                | ResourceKey::Chunk(_)
                | ResourceKey::Secret(_)
                | ResourceKey::Entry(_)
                | ResourceKey::FeatureFlags => {}
            }
        }
        self.mean_extensions(&concerned, now);
        for key in out.gone {
            if key.kind == Published::GatewayExtension {
                let todo = self.extensions.forget(&key.name, now);
                self.roll(todo, now);
                self.keeping.say(&key.name, Remembered::default());
                self.shown.say(&key.name, Vec::new());
                self.settled.remove(&key.name);
            }
            if key.kind == Published::PolicyDefinition {
                self.show_again(&key.name);
            }
            self.waiting.remove(&key);
            self.used.remove(&key);
            self.escaped.remove(&key);
            self.fleet.forget_object(&key);
            self.queue.remove(&key);
            self.metrics.forget(&key);
        }
        self.assess_each(concerned, now);
        if dirty.pods {
            let uids = self.index.pods.values().map(|pod| pod.uid.clone()).collect();
            self.pods.send_replace(Arc::new(uids));
        }
        if dirty.pods || dirty.services.contains(&self.service) {
            let pods = self.index.pods_of(&self.service);
            if self.fleet.set_pods(pods, now) {
                self.fleet_changed(now);
            }
            self.make_room(now);
        }
    }

    fn note_set(&mut self, set: SetKey, usable: bool, now: Instant) -> Vec<ObjectKey> {
        let before = self.sets.get(&set);
        if before.is_some_and(|s| s.usable == usable) {
            return Vec::new();
        }
        let since = Since {
            sequence: self.feed.resources().sequence(),
            at: now,
        };
        let users = self.compiler.users_of_set(&set);
        self.sets.insert(set, SetState { usable, since });
        users
    }

    /// What nobody has looked at yet is waited for once, before anything is sent: an object without its Secret would be
    /// taken away from proxies that serve it.
    fn await_unknown(&mut self, secrets: &[(Key, bool)], maps: &[(Key, bool)], now: Instant) {
        if self.feed.has_begun() {
            return;
        }
        let index = &self.index;
        let of_secrets = secrets
            .iter()
            .filter(|(key, wanted)| *wanted && index.secret(key).is_none());
        let of_maps = maps
            .iter()
            .filter(|(key, wanted)| *wanted && index.config_map(key).is_none());
        let beginning = self.beginning.get_or_insert_with(|| Beginning {
            secrets: BTreeSet::new(),
            maps: BTreeSet::new(),
            until: now + LOOKING,
        });
        beginning.secrets.extend(of_secrets.map(|(key, _)| key.clone()));
        beginning.maps.extend(of_maps.map(|(key, _)| key.clone()));
        beginning.secrets.retain(|key| index.secret(key).is_none());
        beginning.maps.retain(|key| index.config_map(key).is_none());
    }

    fn publish_when_known(&mut self, now: Instant) {
        let waits = |beginning: &Beginning| {
            now < beginning.until && !(beginning.secrets.is_empty() && beginning.maps.is_empty())
        };
        if self.beginning.as_ref().is_some_and(waits) {
            return;
        }
        self.beginning = None;
        self.publish(now);
    }

    fn publish(&mut self, now: Instant) {
        let version = self.feed.publish();
        let resources = self.feed.resources().len();
        let mut view = self.view.write();
        view.hash = version.hash.to_string();
        view.sequence = version.sequence;
        view.synced = true;
        view.missing.clear();
        drop(view);
        self.metrics.published(resources);
        let (used, refused) = self.compiler.room();
        self.metrics.room(used, refused);
        info!(sequence = version.sequence, resources, hash = %version.hash, "published");
        self.expect(now);
    }

    /// Looks for the next moment at which time alone changes who is counted. One that is due already stays due.
    fn expect(&mut self, now: Instant) {
        self.fleet_due = [self.fleet_due, self.fleet.next_deadline(now)]
            .into_iter()
            .flatten()
            .min();
    }

    fn fleet_changed(&mut self, now: Instant) {
        self.metrics.fleet(self.fleet.connected(), self.fleet.counted());
        self.expect(now);
        self.make_room(now);
        self.assess_all(now);
    }
}

#[cfg(test)]
mod tests;
