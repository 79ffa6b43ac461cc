use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Action, Config, Drain, Event, InHand, OnFailure, Phase, Stage, State, Trigger};

const ALONE: &str = "only one data plane is there and drain is Required";
const BREACH: &str = "error ratio too high";

/// The roll-out of one extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    config: Config,
    kept: Kept,
    pods: BTreeMap<String, Pod>,
    /// How many data planes were seen.
    seen: u64,
    budget_allows: bool,
    /// None is missing that should be there.
    knows_all: bool,
    /// What was kept is read, and every data plane that is there was named.
    is_settled: bool,
}

/// What must be known again when the operator starts; what data planes have they say themselves.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kept {
    phase: Phase,
    target: Option<String>,
    stable: Option<String>,
    current: Option<Current>,
    message: Option<String>,
    rejected: Option<String>,
    /// A revision failed: the stable one is what counts.
    failed: bool,
    /// A failure paused it.
    stopped: bool,
    /// A person paused it.
    paused: bool,
    /// It waits for a second data plane.
    alone: bool,
    approved: Option<String>,
    immediate: Option<String>,
    immediate_before: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pod {
    revision: Option<String>,
    is_ready: bool,
    age: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Current {
    pod: String,
    stage: Stage,
    /// What it was given when it was taken.
    revision: Option<String>,
    drained: bool,
}

// === impl Machine ===

impl Machine {
    /// A roll-out of which nothing is known.
    pub fn new(config: Config) -> Self {
        Self {
            is_settled: true,
            ..Self::resume(config, Kept::default())
        }
    }

    /// A roll-out that goes on. It does nothing before `Event::Restarted`; what is there is told before.
    pub fn resume(config: Config, kept: Kept) -> Self {
        Self {
            config,
            kept,
            pods: BTreeMap::new(),
            seen: 0,
            budget_allows: true,
            knows_all: true,
            is_settled: false,
        }
    }

    /// What `resume` needs.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The extension says something else now.
    pub fn configure(&mut self, config: Config) {
        // Nobody has to approve it any more.
        if config.trigger == Trigger::Auto && self.kept.phase == Phase::AwaitingApproval {
            self.kept.phase = Phase::Rolling;
        }
        self.config = config;
    }

    /// A person paused it.
    pub fn is_paused(&self) -> bool {
        self.kept.paused
    }

    pub fn state(&self) -> State {
        let pods = self.pods.iter();
        State {
            phase: self.kept.phase,
            target: self.kept.target.clone(),
            stable: self.kept.stable.clone(),
            pods: pods
                .map(|(name, pod)| (name.clone(), pod.revision.clone()))
                .collect(),
            current: self.kept.current.as_ref().map(|current| InHand {
                pod: current.pod.clone(),
                stage: current.stage,
            }),
            message: self.kept.message.clone(),
            rejected: self.kept.rejected.clone(),
        }
    }

    /// Data planes that have the target.
    pub fn done(&self) -> usize {
        let has = |pod: &&Pod| pod.revision.is_some() && pod.revision == self.kept.target;
        self.pods.values().filter(has).count()
    }

    /// Data planes that are known and not ready.
    pub fn unready(&self) -> usize {
        self.pods.values().filter(|pod| !pod.is_ready).count()
    }

    /// What is to be done now that this happened.
    pub fn apply(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Have { pod, revision } => self.have(pod, revision),
            Event::Start { pod, age } => self.start(pod, age, &mut actions),
            Event::Ready { pod } => self.ready(pod, &mut actions),
            Event::Unready { pod } => {
                if let Some(pod) = self.pods.get_mut(&pod) {
                    pod.is_ready = false;
                }
            }
            Event::Gone { pod } => {
                self.pods.remove(&pod);
                self.forget(&pod);
            }
            Event::Revision(revision) => self.revision(revision),
            Event::Approve(revision) => {
                let is_awaited = self.kept.phase == Phase::AwaitingApproval
                    && self.kept.target.as_ref() == Some(&revision);
                if is_awaited {
                    self.kept.phase = Phase::Rolling;
                }
                self.kept.approved = Some(revision);
            }
            Event::Pause => self.kept.paused = true,
            Event::Resume => self.resumed(),
            Event::Budget { allows } => self.budget_allows = allows,
            Event::Known { all } => self.knows_all = all,
            Event::Drained { pod } | Event::DrainTimeout { pod } => {
                self.step(&pod, Stage::Draining, &mut actions);
            }
            Event::Applied { pod } => self.step(&pod, Stage::Applying, &mut actions),
            Event::Verified { pod } => self.step(&pod, Stage::Verifying, &mut actions),
            Event::Soaked { pod } => self.step(&pod, Stage::Soaking, &mut actions),
            Event::Failed { pod, why } => self.failed(&pod, why, &mut actions),
            Event::Breach { pod, why } => {
                self.failed(&pod, why.unwrap_or_else(|| BREACH.to_owned()), &mut actions);
            }
            Event::Immediate(digest) => {
                self.kept.immediate_before = self.kept.immediate.replace(digest);
                self.kept.rejected = None;
                self.push(&mut actions);
            }
            Event::Nack { digest, why, .. } => {
                if self.kept.immediate.as_ref() == Some(&digest) {
                    self.kept.immediate = self.kept.immediate_before.take();
                    self.kept.rejected = Some(why);
                    self.push(&mut actions);
                }
            }
            Event::Restarted => self.restarted(&mut actions),
        }
        self.advance(&mut actions);
        actions
    }

    fn have(&mut self, name: String, revision: String) {
        if self.kept.target.is_none() && self.kept.stable.is_none() {
            self.kept.target = Some(revision.clone());
            self.kept.stable = Some(revision.clone());
        }
        let age = self.age(&name);
        let pod = Pod {
            revision: Some(revision),
            is_ready: true,
            age,
        };
        self.pods.insert(name, pod);
    }

    fn start(&mut self, name: String, age: Option<u64>, actions: &mut Vec<Action>) {
        self.forget(&name);
        let next = self.age(&name);
        let revision = if self.kept.failed {
            self.kept.stable.clone()
        } else {
            self.kept.target.clone()
        };
        if let Some(revision) = revision.clone() {
            let pod = name.clone();
            actions.push(Action::Restore { pod, revision });
        }
        let pod = Pod {
            revision,
            is_ready: false,
            age: age.unwrap_or(next),
        };
        self.pods.insert(name, pod);
    }

    fn age(&mut self, name: &str) -> u64 {
        if let Some(pod) = self.pods.get(name) {
            return pod.age;
        }
        let age = self.seen;
        self.seen += 1;
        age
    }

    fn ready(&mut self, name: String, actions: &mut Vec<Action>) {
        let Some(pod) = self.pods.get_mut(&name) else {
            return;
        };
        pod.is_ready = true;
        self.step(&name, Stage::Readying, actions);
    }

    /// A Pod that vanishes is in nobody's hand.
    fn forget(&mut self, name: &str) {
        self.kept.current.take_if(|current| current.pod == name);
    }

    fn revision(&mut self, revision: String) {
        let is_known = self.kept.target.as_ref() == Some(&revision) && self.kept.phase != Phase::Idle;
        if is_known {
            return;
        }
        let is_approved =
            self.config.trigger == Trigger::Auto || self.kept.approved.as_ref() == Some(&revision);
        self.kept.target = Some(revision);
        self.kept.message = None;
        self.kept.failed = false;
        self.kept.stopped = false;
        self.kept.alone = false;
        self.kept.phase = Phase::AwaitingApproval;
        // There is nothing to be approved where nothing changes.
        let changes_nothing =
            self.is_settled && self.knows_all && !self.pods.is_empty() && self.all_have(&self.kept.target);
        if is_approved || (self.kept.current.is_none() && changes_nothing) {
            self.kept.phase = Phase::Rolling;
        }
    }

    fn resumed(&mut self) {
        self.kept.paused = false;
        if self.kept.phase != Phase::Paused {
            return;
        }
        if self.kept.alone || self.kept.stopped {
            self.kept.message = None;
        }
        // What failed is tried again.
        if self.kept.stopped {
            self.kept.failed = false;
        }
        self.kept.alone = false;
        self.kept.stopped = false;
        self.kept.phase = self.towards();
    }

    fn towards(&self) -> Phase {
        if self.kept.failed {
            Phase::RollingBack
        } else {
            Phase::Rolling
        }
    }

    /// The Pod in hand is through with a stage.
    fn step(&mut self, name: &str, stage: Stage, actions: &mut Vec<Action>) {
        let Some(current) = &mut self.kept.current else {
            return;
        };
        if current.pod != name || current.stage != stage {
            return;
        }
        let next = match stage {
            Stage::Draining => Stage::Applying,
            Stage::Applying => {
                if let Some(pod) = self.pods.get_mut(name) {
                    pod.revision.clone_from(&current.revision);
                }
                Stage::Verifying
            }
            Stage::Verifying if current.drained => Stage::Readying,
            Stage::Verifying | Stage::Readying => Stage::Soaking,
            Stage::Soaking => {
                self.kept.current = None;
                return;
            }
        };
        current.stage = next;
        actions.push(current.action());
    }

    fn failed(&mut self, name: &str, why: String, actions: &mut Vec<Action>) {
        let Some(current) = self.kept.current.take_if(|current| current.pod == name) else {
            return;
        };
        let pod = || name.to_owned();
        let stable = self.kept.stable.clone();
        if let Some(pod) = self.pods.get_mut(name) {
            pod.revision.clone_from(&stable);
        }
        let can_go_back = stable.is_some() && !self.kept.failed;
        actions.push(Action::Apply {
            pod: pod(),
            revision: stable,
        });
        if current.drained {
            actions.push(Action::Undrain { pod: pod() });
        }
        // A newer target that waits for this Pod has not failed.
        if current.revision != self.kept.target && !self.kept.failed {
            return;
        }
        self.kept.message = Some(why);
        self.kept.failed = true;
        self.kept.phase = match self.config.on_failure {
            OnFailure::Rollback if can_go_back => Phase::RollingBack,
            OnFailure::Rollback | OnFailure::Pause => Phase::Paused,
        };
        self.kept.stopped = self.kept.phase == Phase::Paused;
    }

    fn push(&self, actions: &mut Vec<Action>) {
        let mut pods: Vec<_> = self.pods.iter().collect();
        pods.sort_by_key(|(name, pod)| (pod.age, *name));
        for (name, _) in pods {
            actions.push(Action::Push {
                pod: name.clone(),
                digest: self.kept.immediate.clone(),
            });
        }
    }

    fn restarted(&mut self, actions: &mut Vec<Action>) {
        self.is_settled = true;
        let pods = &self.pods;
        self.kept
            .current
            .take_if(|current| !pods.contains_key(&current.pod));
        if let Some(current) = &self.kept.current {
            actions.push(current.action());
        }
    }

    /// Takes the next Pod, or says that there is none.
    fn advance(&mut self, actions: &mut Vec<Action>) {
        if !self.is_settled || self.kept.current.is_some() {
            return;
        }
        if self.kept.alone && self.pods.len() != 1 {
            self.kept.alone = false;
            self.kept.message = None;
            self.kept.phase = self.towards();
        }
        self.take_up();
        let is_moving = matches!(self.kept.phase, Phase::Rolling | Phase::RollingBack);
        let goal = match self.kept.phase {
            Phase::RollingBack => self.kept.stable.clone(),
            Phase::Idle
            | Phase::AwaitingApproval
            | Phase::Rolling
            | Phase::Paused
            | Phase::RolledBack
            | Phase::Complete => self.kept.target.clone(),
        };
        if self.is_through(is_moving, &goal) {
            if self.kept.phase == Phase::RollingBack {
                self.kept.phase = Phase::RolledBack;
            } else {
                self.kept.phase = Phase::Complete;
                self.kept.stable.clone_from(&self.kept.target);
                self.kept.message = None;
            }
            return;
        }
        if !is_moving {
            return;
        }
        if self.kept.paused {
            self.kept.phase = Phase::Paused;
            return;
        }
        let Some(name) = self.next(&goal) else {
            return;
        };
        let is_alone = self.pods.len() == 1;
        let drained = match self.config.drain {
            Drain::Required if is_alone => {
                self.kept.alone = true;
                self.kept.message = Some(ALONE.to_owned());
                self.kept.phase = Phase::Paused;
                return;
            }
            Drain::Required => true,
            Drain::WhenPossible => !is_alone,
            Drain::Never => false,
        };
        let current = Current {
            pod: name,
            stage: if drained { Stage::Draining } else { Stage::Applying },
            revision: goal,
            drained,
        };
        actions.push(current.action());
        self.kept.current = Some(current);
    }

    /// Who comes later with another revision than all others have is brought to it too.
    fn take_up(&mut self) {
        let (goal, phase) = match self.kept.phase {
            Phase::Complete => (&self.kept.target, Phase::Rolling),
            Phase::RolledBack => (&self.kept.stable, Phase::RollingBack),
            Phase::Idle | Phase::AwaitingApproval | Phase::Rolling | Phase::Paused | Phase::RollingBack => {
                return;
            }
        };
        if self
            .pods
            .values()
            .any(|pod| pod.is_ready && pod.revision != *goal)
        {
            self.kept.phase = phase;
        }
    }

    /// All have what they should: of their own, where nothing moves them, once they are ready.
    fn is_through(&self, is_moving: bool, goal: &Option<String>) -> bool {
        if !self.knows_all || !self.all_have(goal) {
            return false;
        }
        match self.kept.phase {
            Phase::Rolling | Phase::RollingBack => is_moving,
            Phase::AwaitingApproval | Phase::Paused => {
                let all_ready = self.pods.values().all(|pod| pod.is_ready);
                !self.kept.failed && !self.pods.is_empty() && all_ready
            }
            Phase::Idle | Phase::RolledBack | Phase::Complete => false,
        }
    }

    fn all_have(&self, revision: &Option<String>) -> bool {
        self.pods.values().all(|pod| pod.revision == *revision)
    }

    /// The oldest that is ready and has another revision.
    fn next(&self, goal: &Option<String>) -> Option<String> {
        if self.unready() >= self.config.max_unavailable.max(1) || !self.budget_allows {
            return None;
        }
        let can_be_taken = |(_, pod): &(&String, &Pod)| pod.is_ready && pod.revision != *goal;
        let pods = self.pods.iter().filter(can_be_taken);
        let oldest = pods.min_by_key(|(name, pod)| (pod.age, *name));
        oldest.map(|(name, _)| name.clone())
    }
}

// === impl Current ===

impl Current {
    /// What its stage is about.
    fn action(&self) -> Action {
        let pod = self.pod.clone();
        match self.stage {
            Stage::Draining => Action::Drain { pod },
            Stage::Applying => Action::Apply {
                pod,
                revision: self.revision.clone(),
            },
            Stage::Verifying => Action::Verify { pod },
            Stage::Readying => Action::Undrain { pod },
            Stage::Soaking => Action::Soak { pod },
        }
    }
}
