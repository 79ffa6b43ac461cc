use genkan_extensions::content::Content;
use genkan_extensions::revision::{Revised, Running};
use genkan_extensions::{Deploy, EntryType};
use genkan_routing::model::policy::{FailurePolicy, Hook, Mode};

use super::*;

fn mk_revision(priority: i32) -> Revision {
    let running = Running {
        kind: EntryType::Hook,
        content: Content::Hooks(vec![Hook {
            priority,
            ..Hook::default()
        }]),
        mode: Mode::default(),
        failure_policy: FailurePolicy::default(),
        limits: None,
        catalogs: Vec::new(),
    };
    let entry = Revised {
        name: "scan".into(),
        digest: running.digest(),
        deploy: Deploy::Deferred,
        running,
    };
    Revision::new("corp", vec![entry])
}

fn mk_settings() -> Settings {
    Settings {
        settle: Duration::from_secs(1),
        drain_timeout: Duration::from_secs(2),
        soak: Duration::from_secs(5),
        ..Settings::of(&genkan_crds::gateway::GatewayExtensionSpec::default(), None)
    }
}

fn mk_history(target: &Revision, before: Option<&Revision>) -> Vec<Arc<Revision>> {
    [Some(target), before]
        .into_iter()
        .flatten()
        .map(|revision| Arc::new(revision.clone()))
        .collect()
}

struct Fleet {
    extensions: Extensions,
    now: Instant,
    /// What was sent and not answered.
    sent: Vec<(String, Rollout)>,
    said: Vec<String>,
    completed: Vec<String>,
}

impl Fleet {
    fn new(pods: &[&str]) -> Self {
        let mut fleet = Self {
            extensions: Extensions::default(),
            now: Instant::now(),
            sent: Vec::new(),
            said: Vec::new(),
            completed: Vec::new(),
        };
        for pod in pods {
            let todo = fleet
                .extensions
                .connected(pod, ActiveRevisions::new(), false, fleet.now);
            fleet.take(todo);
        }
        fleet
    }

    fn take(&mut self, todo: Todo) {
        for (pod, rollout) in todo.send {
            self.said.push(format!("{:?} {pod}", rollout.action));
            self.sent.push((pod, rollout));
        }
        self.completed.extend(
            todo.completed
                .into_iter()
                .map(|(_, revision)| revision.id.clone()),
        );
    }

    fn mean(&mut self, target: &Revision, stable: Option<&Revision>, settings: Settings) {
        let todo = self
            .extensions
            .mean("corp", 1, &mk_history(target, stable), settings, None, self.now);
        self.take(todo);
    }

    /// Answers all that was sent, as a data plane that can do it.
    fn answer(&mut self) {
        for (pod, rollout) in std::mem::take(&mut self.sent) {
            let stage = match rollout.action {
                RolloutAction::Drain => RolloutStage::Drained,
                RolloutAction::Apply => RolloutStage::Applied,
                RolloutAction::Verify => RolloutStage::Verified,
                RolloutAction::Undrain => RolloutStage::Undrained,
            };
            self.tell(&pod, &rollout, stage, "");
        }
    }

    fn tell(&mut self, pod: &str, rollout: &Rollout, stage: RolloutStage, error: &str) {
        let state = RolloutState {
            extension: rollout.extension.clone(),
            revision: rollout.revision.clone(),
            stage,
            in_flight: 0,
            error: error.to_owned(),
            nonce: rollout.nonce,
        };
        let todo = self.extensions.told(pod, &state, self.now);
        self.take(todo);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let todo = self.extensions.tick(self.now);
        self.take(todo);
    }

    /// Lets everything happen that can.
    fn run(&mut self) {
        for _ in 0..200 {
            self.answer();
            self.wait(1);
        }
    }

    fn phase(&self) -> &'static str {
        self.extensions
            .rolling("corp")
            .map_or("-", |rolling| rolling.phase)
    }
}

#[test]
fn one_data_plane_is_changed_after_the_other() {
    let mut fleet = Fleet::new(&["a", "b", "c"]);
    let target = mk_revision(1);
    fleet.mean(&target, None, mk_settings());
    fleet.run();
    let one = |pod: &str| ["Drain", "Apply", "Verify", "Undrain"].map(|action| format!("{action} {pod}"));
    let expected: Vec<String> = ["a", "b", "c"].into_iter().flat_map(one).collect();
    assert_eq!(fleet.said, expected);
    assert_eq!(fleet.phase(), "Complete");
    assert_eq!(fleet.completed, [target.id]);
}

#[test]
fn what_fails_on_the_first_is_taken_back_there() {
    let mut fleet = Fleet::new(&["a", "b", "c"]);
    let (old, new) = (mk_revision(1), mk_revision(2));
    fleet.mean(&old, None, mk_settings());
    fleet.run();
    fleet.said.clear();
    fleet.mean(&new, Some(&old), mk_settings());
    fleet.answer();
    fleet.wait(1);
    fleet.answer();
    let (pod, rollout) = fleet.sent.pop().unwrap();
    assert_eq!(rollout.action, RolloutAction::Verify);
    fleet.tell(&pod, &rollout, RolloutStage::Failed, "it cannot be linked");
    fleet.run();
    assert_eq!(fleet.phase(), "RolledBack");
    assert!(
        fleet.said.iter().all(|said| said.ends_with(" a")),
        "{:?}",
        fleet.said
    );
    assert!(fleet.extensions.restores_stable("corp"));
    let told = fleet.extensions.rolling("corp").unwrap().status.message;
    assert_eq!(told.as_deref(), Some("a: it cannot be linked"));
}

#[test]
fn errors_while_it_is_watched_take_it_back() {
    let mut fleet = Fleet::new(&["a", "b"]);
    let (old, new) = (mk_revision(1), mk_revision(2));
    fleet.mean(&old, None, mk_settings());
    fleet.run();
    fleet.mean(&new, Some(&old), mk_settings());
    for _ in 0..4 {
        fleet.answer();
        fleet.wait(1);
    }
    assert_eq!(
        fleet.extensions.rolling("corp").unwrap().stage,
        Some("Soaking"),
        "{:?}",
        fleet.said
    );
    let report = ExtensionReport {
        extension: "corp".into(),
        revision: new.deferred(),
        requests: 100,
        errors: 10,
    };
    let todo = fleet.extensions.reported("a", &report, fleet.now);
    fleet.take(todo);
    fleet.run();
    assert_eq!(fleet.phase(), "RolledBack");
    assert_eq!(fleet.completed, [old.id]);
}

#[test]
fn approval_is_waited_for() {
    let mut fleet = Fleet::new(&["a"]);
    let target = mk_revision(1);
    let mut settings = mk_settings();
    settings.config.trigger = genkan_extensions::rollout::Trigger::Manual;
    fleet.mean(&target, None, settings.clone());
    fleet.run();
    assert_eq!((fleet.phase(), fleet.said.len()), ("AwaitingApproval", 0));
    settings.approved = Some(target.id.clone());
    fleet.mean(&target, None, settings);
    fleet.run();
    assert_eq!(fleet.phase(), "Complete");
    // A single data plane is changed as it is: the change is one swap.
    assert_eq!(fleet.said, ["Apply a", "Verify a"]);
}

#[test]
fn an_operator_that_starts_again_goes_on() {
    let mut fleet = Fleet::new(&["a", "b"]);
    let (old, new) = (mk_revision(1), mk_revision(2));
    fleet.mean(&old, None, mk_settings());
    fleet.run();
    fleet.mean(&new, Some(&old), mk_settings());
    fleet.answer();
    let kept = fleet.extensions.kept("corp").cloned().unwrap();
    let kept: Kept = serde_json::from_value(serde_json::to_value(kept).unwrap()).unwrap();
    let mut again = Fleet::new(&[]);
    for pod in ["a", "b"] {
        let active = [("corp".to_owned(), old.deferred())].into();
        let todo = again.extensions.connected(pod, active, false, again.now);
        again.take(todo);
    }
    let todo = again.extensions.mean(
        "corp",
        1,
        &mk_history(&new, Some(&old)),
        mk_settings(),
        Some(kept),
        again.now,
    );
    again.take(todo);
    assert!(again.said.is_empty(), "{:?}", again.said);
    again.run();
    assert_eq!(again.phase(), "Complete");
    assert_eq!(again.said[0], "Drain a");
    // The compiler of this process has to be told what was complete before, too.
    assert_eq!(again.completed, [old.id, new.id]);
}

#[test]
fn immediate_entries_concern_no_machine() {
    let mut fleet = Fleet::new(&["a"]);
    let mut immediate = mk_revision(1);
    immediate.entries[0].deploy = Deploy::Immediate;
    let target = Revision::new("corp", immediate.entries);
    fleet.mean(&target, None, mk_settings());
    fleet.run();
    assert!(fleet.said.is_empty());
    assert_eq!(fleet.extensions.rolling("corp"), None);
}
