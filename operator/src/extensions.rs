//! Deferred entries of gateway extensions, brought to one data plane after the other: what the machines of
//! `genkan-extensions` say becomes messages to proxies, and what proxies tell becomes events.

mod settings;
mod soaking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use genkan_extensions::revision::Revision;
use genkan_extensions::rollout::{Action, Drain, Event, Kept, Machine, Phase, Stage};
use genkan_extensions::status::{RolloutStatus, Shown};
use genkan_routing::model::policy::{
    ActiveRevisions, ExtensionReport, Rollout, RolloutAction, RolloutStage, RolloutState,
};
use tokio::time::Instant;

use crate::assess::Rolling;
pub use settings::Settings;
use soaking::Soaking;

/// Proxies that are there have come back by then, after a start of the operator, or when a stream has ended: the longest
/// pause between two of their attempts is 15 s.
const COMING_BACK: Duration = Duration::from_secs(16);

/// All extensions, and the data planes that have them.
#[derive(Debug, Default)]
pub struct Extensions {
    all: BTreeMap<String, Extension>,
    /// What is active on each data plane that is connected.
    proxies: BTreeMap<String, ActiveRevisions>,
    room: Room,
    next_nonce: u64,
}

/// What keeps data planes from being taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What a PodDisruptionBudget says against it.
    pub held: Option<String>,
    /// Data planes that should be there and have no stream.
    pub missing: usize,
    /// The Pods that there are; none where nobody knows.
    pub pods: BTreeSet<String>,
}

/// What is to be done now.
#[derive(Debug, Default, PartialEq)]
pub struct Todo {
    pub send: Vec<(String, Rollout)>,
    /// Revisions that are complete everywhere now.
    pub completed: Vec<(String, Arc<Revision>)>,
    /// Extensions of which something else is to be told.
    pub changed: BTreeSet<String>,
}

#[derive(Debug)]
struct Extension {
    created: i64,
    machine: Machine,
    settings: Settings,
    /// Revisions by what is deferred of them; the last one of each.
    revisions: BTreeMap<String, Arc<Revision>>,
    stable: Option<String>,
    /// What the data plane in hand was asked last.
    asked: BTreeMap<String, Rollout>,
    drain: Option<Draining>,
    soaking: Option<Soaking>,
    /// The data plane in hand has no stream, and is waited for until then.
    away: Option<(String, Instant)>,
    /// Data planes that were in hand and were not waited for longer: they may be out of the way still.
    lost: BTreeSet<String>,
    /// How each data plane does with it.
    reports: BTreeMap<String, ExtensionReport>,
    /// When it goes on from where it was before the operator started.
    resumes_at: Option<Instant>,
}

/// The data plane in hand gets out of the way.
#[derive(Debug)]
struct Draining {
    pod: String,
    /// Load balancers have noticed by then.
    settled: Instant,
    over: Instant,
    is_empty: bool,
}

// === impl Extensions ===

impl Extensions {
    /// What is meant of an extension. `kept`: what was known of its roll-out before the operator started.
    pub fn mean(
        &mut self,
        name: &str,
        created: i64,
        history: &[Arc<Revision>],
        settings: Settings,
        kept: Option<Kept>,
        now: Instant,
    ) -> Todo {
        let mut todo = Todo::default();
        let Some(target) = history.first() else {
            return todo;
        };
        let id = target.deferred();
        if !self.all.contains_key(name) {
            let mut machine = match kept.clone() {
                Some(kept) => Machine::resume(settings.config, kept),
                None => Machine::new(settings.config),
            };
            // Its turn comes with `allot`.
            let _ = machine.apply(Event::Budget { allows: false });
            let _ = machine.apply(self.known());
            for (pod, active) in &self.proxies {
                let event = Event::Have {
                    pod: pod.clone(),
                    revision: active.get(name).cloned().unwrap_or_default(),
                };
                // Nothing is done about a data plane before all are known.
                let _ = machine.apply(event);
            }
            let extension = Extension {
                created,
                machine,
                settings: settings.clone(),
                revisions: BTreeMap::new(),
                stable: None,
                asked: BTreeMap::new(),
                drain: None,
                soaking: None,
                away: None,
                lost: BTreeSet::new(),
                reports: BTreeMap::new(),
                resumes_at: kept.map(|_| now + COMING_BACK),
            };
            self.all.insert(name.to_owned(), extension);
        }
        let Some(extension) = self.all.get_mut(name) else {
            return todo;
        };
        extension.created = created;
        // Of those with the same deferred entries the newest.
        for revision in history.iter().rev() {
            extension
                .revisions
                .insert(revision.deferred(), Arc::clone(revision));
        }
        extension.machine.configure(settings.config);
        let mut events = Vec::new();
        // Before anything new begins.
        match (settings.is_paused, extension.machine.is_paused()) {
            (true, false) => events.push(Event::Pause),
            (false, true) => events.push(Event::Resume),
            (true, true) | (false, false) => {}
        }
        events.push(Event::Revision(id.clone()));
        if settings.approved.as_ref() == Some(&target.id) {
            events.push(Event::Approve(id));
        }
        extension.settings = settings;
        for event in events {
            self.apply(name, event, now, &mut todo);
        }
        self.allot(now, &mut todo);
        todo
    }

    /// Other data planes may be taken now, or none.
    pub fn make_room(&mut self, room: Room, now: Instant) -> Todo {
        let mut todo = Todo::default();
        if self.room != room {
            self.room = room;
            let names: Vec<String> = self.all.keys().cloned().collect();
            for name in names {
                self.give_up_on_who_went(&name, now, &mut todo);
                self.resume_where_all_came(&name, now, &mut todo);
            }
            let names = self.all.iter().filter(|(_, extension)| extension.is_moving());
            todo.changed.extend(names.map(|(name, _)| name.clone()));
            self.allot(now, &mut todo);
        }
        todo
    }

    /// It exists no longer. Who is out of the way for it comes back.
    pub fn forget(&mut self, name: &str, now: Instant) -> Todo {
        let mut todo = Todo::default();
        let in_hand = |extension: &Extension| extension.machine.state().current.map(|current| current.pod);
        if let Some(pod) = self.all.get(name).and_then(in_hand) {
            self.ask(name, pod, RolloutAction::Undrain, String::new(), &mut todo);
        }
        self.all.remove(name);
        self.allot(now, &mut todo);
        todo
    }

    /// Begins again, and never says a number twice.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self {
            next_nonce: self.next_nonce,
            ..Self::default()
        }
    }

    /// A data plane is connected; `is_fresh`: its process has served nothing yet.
    pub fn connected(&mut self, pod: &str, active: ActiveRevisions, is_fresh: bool, now: Instant) -> Todo {
        let mut todo = Todo::default();
        self.proxies.insert(pod.to_owned(), active.clone());
        let names: Vec<String> = self.all.keys().cloned().collect();
        for name in names {
            let Some(extension) = self.all.get_mut(&name) else {
                continue;
            };
            extension.away.take_if(|(away, _)| away == pod);
            if is_fresh {
                // Nothing that was begun with the process before goes on in this one.
                extension.asked.remove(pod);
                extension.drain.take_if(|drain| drain.pod == pod);
                extension.soaking.take_if(|soaking| soaking.pod == pod);
            }
            let asked = extension.asked.get(pod).cloned();
            let event = match active.get(&name) {
                Some(revision) => Event::Have {
                    pod: pod.to_owned(),
                    revision: revision.clone(),
                },
                // It takes what it is to begin with by itself, and tells so.
                None if is_fresh => Event::Start {
                    pod: pod.to_owned(),
                    age: None,
                },
                None => Event::Have {
                    pod: pod.to_owned(),
                    revision: String::new(),
                },
            };
            self.apply(&name, event, now, &mut todo);
            // What it was asked on a stream that has ended is asked again.
            todo.send.extend(asked.map(|asked| (pod.to_owned(), asked)));
            let lost = self.all.get_mut(&name).map(|extension| &mut extension.lost);
            if lost.is_some_and(|lost| lost.remove(pod)) && !is_fresh {
                self.call_back(&name, pod, now, &mut todo);
            }
            self.resume_where_all_came(&name, now, &mut todo);
        }
        self.allot(now, &mut todo);
        todo
    }

    /// A data plane that began serves now.
    pub fn ready(&mut self, pod: &str, now: Instant) -> Todo {
        let mut todo = Todo::default();
        let names: Vec<String> = self.all.keys().cloned().collect();
        for name in names {
            self.apply(&name, Event::Ready { pod: pod.to_owned() }, now, &mut todo);
        }
        self.allot(now, &mut todo);
        todo
    }

    pub fn gone(&mut self, pod: &str, now: Instant) -> Todo {
        let mut todo = Todo::default();
        self.proxies.remove(pod);
        let names: Vec<String> = self.all.keys().cloned().collect();
        for name in names {
            let Some(extension) = self.all.get_mut(&name) else {
                continue;
            };
            if extension.has_in_hand(pod) {
                // Streams end and begin again; what was begun goes on then.
                extension.away = Some((pod.to_owned(), now + COMING_BACK));
                self.give_up_on_who_went(&name, now, &mut todo);
                continue;
            }
            extension.asked.remove(pod);
            extension.reports.remove(pod);
            self.apply(&name, Event::Gone { pod: pod.to_owned() }, now, &mut todo);
        }
        self.allot(now, &mut todo);
        todo
    }

    /// A data plane tells how far it is.
    pub fn told(&mut self, pod: &str, state: &RolloutState, now: Instant) -> Todo {
        let mut todo = Todo::default();
        let name = state.extension.as_str();
        let is_away = matches!(state.stage, RolloutStage::Draining | RolloutStage::Drained);
        let Some(extension) = self.all.get_mut(name) else {
            // For one that is deleted meanwhile.
            if is_away {
                self.ask(
                    name,
                    pod.to_owned(),
                    RolloutAction::Undrain,
                    String::new(),
                    &mut todo,
                );
            }
            return todo;
        };
        let is_asked = extension
            .asked
            .get(pod)
            .is_some_and(|asked| asked.nonce == state.nonce);
        if state.nonce != 0 && !is_asked {
            // Nobody waits for it there, of this operator or of the one before.
            if is_away && !extension.has_in_hand(pod) {
                self.call_back(name, pod, now, &mut todo);
            }
            return todo;
        }
        let pod_name = || pod.to_owned();
        let event = match state.stage {
            RolloutStage::Draining => {
                if let Some(drain) = extension.drain.as_mut().filter(|drain| drain.pod == pod) {
                    drain.is_empty = false;
                }
                None
            }
            RolloutStage::Drained => {
                if let Some(drain) = extension.drain.as_mut().filter(|drain| drain.pod == pod) {
                    drain.is_empty = true;
                }
                None
            }
            RolloutStage::Applied => {
                if let Some(active) = self.proxies.get_mut(pod) {
                    active.insert(name.to_owned(), state.revision.clone());
                }
                match state.nonce {
                    0 => Some(Event::Have {
                        pod: pod_name(),
                        revision: state.revision.clone(),
                    }),
                    _ => Some(Event::Applied { pod: pod_name() }),
                }
            }
            RolloutStage::Verified => Some(Event::Verified { pod: pod_name() }),
            RolloutStage::Undrained => Some(Event::Ready { pod: pod_name() }),
            RolloutStage::Failed => Some(Event::Failed {
                pod: pod_name(),
                why: format!("{pod}: {}", state.error),
            }),
        };
        if let Some(event) = event {
            self.apply(name, event, now, &mut todo);
        }
        self.look(name, now, &mut todo);
        self.allot(now, &mut todo);
        todo
    }

    /// A data plane tells how an extension does there.
    pub fn reported(&mut self, pod: &str, report: &ExtensionReport, now: Instant) -> Todo {
        let mut todo = Todo::default();
        if let Some(extension) = self.all.get_mut(&report.extension) {
            extension.reports.insert(pod.to_owned(), report.clone());
            self.look(&report.extension, now, &mut todo);
            self.allot(now, &mut todo);
        }
        todo
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) -> Todo {
        let mut todo = Todo::default();
        let names: Vec<String> = self.all.keys().cloned().collect();
        for name in names {
            let resumes = self
                .all
                .get_mut(&name)
                .and_then(|extension| extension.resumes_at.take_if(|at| *at <= now));
            if resumes.is_some() {
                self.apply(&name, Event::Restarted, now, &mut todo);
            }
            self.give_up_on_who_went(&name, now, &mut todo);
            self.look(&name, now, &mut todo);
        }
        self.allot(now, &mut todo);
        todo
    }

    /// When something is due next.
    pub fn due(&self) -> Option<Instant> {
        let due = self.all.values().flat_map(|extension| {
            let drain = extension.drain.as_ref();
            if let Some((_, until)) = &extension.away {
                return [extension.resumes_at, Some(*until), None, None];
            }
            [
                extension.resumes_at,
                drain.filter(|drain| drain.is_empty).map(|drain| drain.settled),
                drain.map(|drain| drain.over),
                extension.soaking.as_ref().map(|soaking| soaking.until),
            ]
        });
        due.flatten().min()
    }

    /// What is to be told of a roll-out; `None` where nothing is deferred and nothing was.
    pub fn rolling(&self, name: &str) -> Option<Rolling> {
        let extension = self.all.get(name)?;
        let state = extension.machine.state();
        let is_of_nothing = |id: &Option<String>| id.as_deref().unwrap_or_default().is_empty();
        if is_of_nothing(&state.target) && is_of_nothing(&state.stable) && state.current.is_none() {
            return None;
        }
        let stage = state.current.as_ref().map(|current| current.stage);
        let is_busy = extension.is_moving();
        let waits = || match (is_busy, &state.current) {
            (true, None) => self.against(extension),
            _ => None,
        };
        Some(Rolling {
            status: RolloutStatus {
                phase: shown(state.phase, stage),
                done: is_busy.then(|| extension.machine.done()),
                message: state.message.clone().or_else(waits),
            },
            deployed: extension.machine.done(),
            pod: state.current.map(|current| current.pod),
            memory: serde_json::to_string(extension.machine.kept()).unwrap_or_default(),
            phase: phase_word(state.phase),
            stage: stage.map(stage_word),
        })
    }

    /// What has to be known of a roll-out when the operator starts again.
    pub fn kept(&self, name: &str) -> Option<&Kept> {
        self.all.get(name).map(|extension| extension.machine.kept())
    }

    /// Data planes that begin take what was complete before: what is meant has failed.
    pub fn restores_stable(&self, name: &str) -> bool {
        let phase = self
            .all
            .get(name)
            .map(|extension| extension.machine.state().phase);
        matches!(phase, Some(Phase::RollingBack | Phase::RolledBack))
            || self.all.get(name).is_some_and(|extension| {
                let state = extension.machine.state();
                state.phase == Phase::Paused && state.message.is_some() && state.stable != state.target
            })
    }

    /// One extension is rolled out at a time, the oldest that waits first.
    fn allot(&mut self, now: Instant, todo: &mut Todo) {
        let in_hand = self
            .all
            .iter()
            .find(|(_, extension)| extension.machine.state().current.is_some());
        let waiting = self.all.iter().filter(|(_, extension)| extension.is_moving());
        let first = waiting.min_by_key(|(name, extension)| (extension.created, (*name).clone()));
        let turn = in_hand.or(first).map(|(name, _)| name.clone());
        let names: Vec<String> = self.all.keys().cloned().collect();
        for name in names {
            let is_free = |extension: &Extension| self.against(extension).is_none();
            let allows = turn.as_ref() == Some(&name) && self.all.get(&name).is_some_and(is_free);
            self.apply(&name, self.known(), now, todo);
            self.apply(&name, Event::Budget { allows }, now, todo);
        }
    }

    /// Nothing is complete while a data plane is missing, or where there is none.
    fn known(&self) -> Event {
        Event::Known {
            all: self.room.missing == 0 && !self.proxies.is_empty(),
        }
    }

    /// Why no other data plane is taken now.
    fn against(&self, extension: &Extension) -> Option<String> {
        let config = &extension.settings.config;
        let away = self.room.missing + extension.machine.unready();
        if self.room.missing > 0 && away >= config.max_unavailable.max(1) {
            let missing = self.room.missing;
            return Some(format!(
                "it waits for data planes that are not connected: {missing} of them"
            ));
        }
        // What is not drained is not disrupted.
        let drains = match config.drain {
            Drain::Never => false,
            Drain::WhenPossible => self.proxies.len() > 1,
            Drain::Required => true,
        };
        self.room.held.clone().filter(|_| drains)
    }

    fn apply(&mut self, name: &str, event: Event, now: Instant, todo: &mut Todo) {
        let Some(extension) = self.all.get_mut(name) else {
            return;
        };
        let before = extension.machine.state();
        let actions = extension.machine.apply(event);
        for action in actions {
            self.act(name, action, now, todo);
        }
        let Some(extension) = self.all.get_mut(name) else {
            return;
        };
        let after = extension.machine.state();
        if after != before {
            todo.changed.insert(name.to_owned());
        }
        if after.stable != extension.stable {
            extension.stable.clone_from(&after.stable);
            let revision = after.stable.as_ref().and_then(|id| extension.revisions.get(id));
            todo.completed
                .extend(revision.map(|revision| (name.to_owned(), Arc::clone(revision))));
        }
    }

    fn act(&mut self, name: &str, action: Action, now: Instant, todo: &mut Todo) {
        let Some(extension) = self.all.get_mut(name) else {
            return;
        };
        let settings = &extension.settings;
        let target = extension.machine.state().target.unwrap_or_default();
        let (pod, action, revision) = match action {
            Action::Drain { pod } => {
                let settled = now + settings.settle;
                extension.drain = Some(Draining {
                    pod: pod.clone(),
                    settled,
                    over: settled + settings.drain_timeout,
                    is_empty: false,
                });
                // Nobody else is taken while it is away.
                let _ = extension.machine.apply(Event::Unready { pod: pod.clone() });
                (pod, RolloutAction::Drain, target)
            }
            Action::Apply { pod, revision } => {
                extension.drain = None;
                (pod, RolloutAction::Apply, revision.unwrap_or_default())
            }
            Action::Verify { pod } => {
                let state = extension.machine.state();
                let active = state.pods.get(&pod).cloned().flatten();
                (pod, RolloutAction::Verify, active.unwrap_or_default())
            }
            Action::Undrain { pod } => (pod, RolloutAction::Undrain, target),
            Action::Soak { pod } => {
                let baseline = extension.reports.get(&pod).cloned();
                extension.soaking = Some(Soaking {
                    until: now + settings.soak,
                    pod,
                    baseline,
                });
                return;
            }
            // It does that by itself; immediate entries come with the snapshot.
            Action::Restore { .. } | Action::Push { .. } => return,
        };
        self.ask(name, pod, action, revision, todo);
    }

    /// The data plane in hand has not come back for too long, or its Pod is there no longer.
    fn give_up_on_who_went(&mut self, name: &str, now: Instant, todo: &mut Todo) {
        let room = &self.room;
        let Some(extension) = self.all.get_mut(name) else {
            return;
        };
        let is_over = |(pod, until): &mut (String, Instant)| {
            *until <= now || (!room.pods.is_empty() && !room.pods.contains(pod))
        };
        let Some((pod, _)) = extension.away.take_if(is_over) else {
            return;
        };
        extension.asked.remove(&pod);
        extension.reports.remove(&pod);
        extension.drain = None;
        extension.soaking = None;
        if room.pods.is_empty() || room.pods.contains(&pod) {
            extension.lost.insert(pod.clone());
        }
        self.apply(name, Event::Gone { pod }, now, todo);
    }

    /// Nobody has to be waited for who is there already.
    fn resume_where_all_came(&mut self, name: &str, now: Instant, todo: &mut Todo) {
        let (room, proxies) = (&self.room, &self.proxies);
        let all_came = room.missing == 0
            && !room.pods.is_empty()
            && room.pods.iter().all(|pod| proxies.contains_key(pod));
        let Some(extension) = self.all.get_mut(name).filter(|_| all_came) else {
            return;
        };
        if extension.resumes_at.take().is_some() {
            self.apply(name, Event::Restarted, now, todo);
        }
    }

    fn ask(&mut self, name: &str, pod: String, action: RolloutAction, revision: String, todo: &mut Todo) {
        self.next_nonce += 1;
        let rollout = Rollout {
            extension: name.to_owned(),
            revision,
            action,
            nonce: self.next_nonce,
        };
        if let Some(extension) = self.all.get_mut(name) {
            extension.asked.insert(pod.clone(), rollout.clone());
        }
        todo.send.push((pod, rollout));
    }

    /// Lets a data plane take requests again that is in nobody's hand, and counts it as away until it does.
    fn call_back(&mut self, name: &str, pod: &str, now: Instant, todo: &mut Todo) {
        self.apply(name, Event::Unready { pod: pod.to_owned() }, now, todo);
        self.ask(name, pod.to_owned(), RolloutAction::Undrain, String::new(), todo);
    }

    /// Whether the data plane in hand is through with what takes time.
    fn look(&mut self, name: &str, now: Instant, todo: &mut Todo) {
        let Some(extension) = self
            .all
            .get_mut(name)
            .filter(|extension| extension.away.is_none())
        else {
            return;
        };
        let through = extension.drain.as_ref().and_then(|drain| {
            let pod = || drain.pod.clone();
            match (drain.is_empty && now >= drain.settled, now >= drain.over) {
                (true, _) => Some(Event::Drained { pod: pod() }),
                (false, true) => Some(Event::DrainTimeout { pod: pod() }),
                (false, false) => None,
            }
        });
        if let Some(event) = through {
            extension.drain = None;
            self.apply(name, event, now, todo);
        }
        let Some(extension) = self.all.get_mut(name) else {
            return;
        };
        let Some(soaking) = &extension.soaking else {
            return;
        };
        let pod = soaking.pod.clone();
        let breach = soaking.breach(&extension.reports, &extension.settings);
        let is_over = now >= soaking.until;
        let event = match breach {
            Some(why) => Event::Breach { pod, why: Some(why) },
            None if is_over => Event::Soaked { pod },
            None => return,
        };
        extension.soaking = None;
        self.apply(name, event, now, todo);
    }
}

// === impl Extension ===

impl Extension {
    fn has_in_hand(&self, pod: &str) -> bool {
        let current = self.machine.state().current;
        current.is_some_and(|current| current.pod == pod)
    }

    fn is_moving(&self) -> bool {
        matches!(self.machine.state().phase, Phase::Rolling | Phase::RollingBack)
    }
}

fn shown(phase: Phase, stage: Option<Stage>) -> Shown {
    match (phase, stage) {
        (Phase::Rolling, Some(Stage::Draining)) => Shown::Draining,
        (Phase::Rolling, Some(Stage::Applying)) => Shown::Applying,
        (Phase::Rolling, Some(Stage::Verifying)) => Shown::Verifying,
        (Phase::Rolling, Some(Stage::Readying)) => Shown::Readying,
        (Phase::Rolling, Some(Stage::Soaking)) => Shown::Soaking,
        (Phase::Rolling, None) => Shown::Rolling,
        (Phase::Idle, _) => Shown::Idle,
        (Phase::AwaitingApproval, _) => Shown::AwaitingApproval,
        (Phase::Paused, _) => Shown::Paused,
        (Phase::RollingBack, _) => Shown::RollingBack,
        (Phase::RolledBack, _) => Shown::RolledBack,
        (Phase::Complete, _) => Shown::Complete,
    }
}

fn phase_word(phase: Phase) -> &'static str {
    shown(phase, None).as_str()
}

fn stage_word(stage: Stage) -> &'static str {
    shown(Phase::Rolling, Some(stage)).as_str()
}

#[cfg(test)]
mod tests;
