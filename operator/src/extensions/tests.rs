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
        is_private: false,
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

    /// Its stream ends.
    fn lose(&mut self, pod: &str) {
        let missing = Room {
            missing: 1,
            ..Room::default()
        };
        let todo = self.extensions.make_room(missing, self.now);
        self.take(todo);
        let todo = self.extensions.gone(pod, self.now);
        self.take(todo);
        self.sent.retain(|(to, _)| to != pod);
    }

    /// It has another stream.
    fn find(&mut self, pod: &str, active: &Revision) {
        let active = [("corp".to_owned(), active.deferred())].into();
        let todo = self.extensions.connected(pod, active, false, self.now);
        self.take(todo);
        let todo = self.extensions.make_room(Room::default(), self.now);
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

/// In whatever stage it ended.
#[test]
fn an_operator_that_starts_again_goes_on() {
    let (old, new) = (mk_revision(1), mk_revision(2));
    for stage in ["Draining", "Applying", "Verifying", "Readying", "Soaking"] {
        let mut fleet = Fleet::new(&["a", "b"]);
        fleet.mean(&old, None, mk_settings());
        fleet.run();
        fleet.mean(&new, Some(&old), mk_settings());
        let mut answers = 0;
        while fleet.extensions.rolling("corp").unwrap().stage != Some(stage) {
            fleet.answer();
            fleet.wait(1);
            answers += 1;
            assert!(answers < 10, "{stage} is never reached");
        }
        // What the first one did to `a` by now.
        let has_applied = ["Verifying", "Readying", "Soaking"].contains(&stage);
        let kept = fleet.extensions.kept("corp").cloned().unwrap();
        let kept: Kept = serde_json::from_value(serde_json::to_value(kept).unwrap()).unwrap();
        let mut again = Fleet::new(&[]);
        for pod in ["a", "b"] {
            let revision = if pod == "a" && has_applied { &new } else { &old };
            let active = [("corp".to_owned(), revision.deferred())].into();
            let todo = again.extensions.connected(pod, active, false, again.now);
            again.take(todo);
        }
        let history = mk_history(&new, Some(&old));
        let todo = again
            .extensions
            .mean("corp", 1, &history, mk_settings(), Some(kept), again.now);
        again.take(todo);
        assert!(again.said.is_empty(), "{stage}: {:?}", again.said);
        again.run();
        assert_eq!(again.phase(), "Complete", "{stage}");
        let first = match stage {
            "Draining" => "Drain a",
            "Applying" => "Apply a",
            "Verifying" => "Verify a",
            "Readying" => "Undrain a",
            _ => "Drain b",
        };
        assert_eq!(again.said[0], first, "{stage}");
        let taken: Vec<_> = again
            .said
            .iter()
            .filter(|said| said.starts_with("Drain"))
            .collect();
        assert_eq!(taken.last().unwrap().as_str(), "Drain b", "{stage}");
        // The compiler of this process has to be told what was complete before, too.
        assert_eq!(again.completed, [old.id.clone(), new.id.clone()], "{stage}");
    }
}

#[test]
fn none_is_taken_while_a_budget_is_used_up() {
    let mut fleet = Fleet::new(&["a", "b"]);
    let room = |held: Option<&str>, missing: usize| Room {
        held: held.map(str::to_owned),
        missing,
        ..Room::default()
    };
    let todo = fleet.extensions.make_room(room(Some("full"), 0), fleet.now);
    fleet.take(todo);
    fleet.mean(&mk_revision(1), None, mk_settings());
    fleet.run();
    assert!(fleet.said.is_empty(), "{:?}", fleet.said);
    let told = fleet.extensions.rolling("corp").unwrap().status;
    assert_eq!(
        (told.phase, told.message.as_deref()),
        (Shown::Rolling, Some("full"))
    );
    let todo = fleet.extensions.make_room(room(None, 1), fleet.now);
    assert!(todo.changed.contains("corp"));
    fleet.take(todo);
    fleet.run();
    assert!(fleet.said.is_empty(), "{:?}", fleet.said);
    let told = fleet.extensions.rolling("corp").unwrap().status.message.unwrap();
    assert!(told.contains("not connected: 1 of them"), "{told}");
    let todo = fleet.extensions.make_room(room(None, 0), fleet.now);
    fleet.take(todo);
    fleet.run();
    assert_eq!(fleet.phase(), "Complete");
}

/// What is not drained is not disrupted, whatever a budget says.
#[test]
fn a_budget_is_not_asked_where_nobody_is_drained() {
    for (pods, drain) in [(&["a"][..], Drain::WhenPossible), (&["a", "b"], Drain::Never)] {
        let mut fleet = Fleet::new(pods);
        let held = Room {
            held: Some("full".to_owned()),
            ..Room::default()
        };
        let todo = fleet.extensions.make_room(held, fleet.now);
        fleet.take(todo);
        let mut settings = mk_settings();
        settings.config.drain = drain;
        fleet.mean(&mk_revision(1), None, settings);
        fleet.run();
        assert_eq!(fleet.phase(), "Complete", "{drain:?}");
    }
}

/// It may be drained still, so that another one would be a second that is away.
#[test]
fn none_is_taken_in_place_of_one_that_was_lost_in_hand() {
    let mut fleet = Fleet::new(&["a", "b"]);
    fleet.mean(&mk_revision(1), None, mk_settings());
    assert_eq!(fleet.said, ["Drain a"]);
    fleet.lose("a");
    fleet.run();
    assert_eq!(fleet.said, ["Drain a"]);
    let todo = fleet
        .extensions
        .connected("a", ActiveRevisions::new(), false, fleet.now);
    fleet.take(todo);
    let todo = fleet.extensions.make_room(Room::default(), fleet.now);
    fleet.take(todo);
    assert_eq!(fleet.said, ["Drain a", "Undrain a"]);
    fleet.run();
    assert_eq!(fleet.said[2], "Drain b");
    assert_eq!(fleet.phase(), "Complete");
}

/// What an operator before this one has drained, and did not write down.
#[test]
fn one_that_is_away_for_nobody_is_called_back() {
    let mut fleet = Fleet::new(&["a", "b"]);
    fleet.mean(&mk_revision(1), None, mk_settings());
    let unknown = Rollout {
        extension: "corp".into(),
        revision: "corp-0".into(),
        action: RolloutAction::Drain,
        nonce: 4711,
    };
    fleet.said.clear();
    fleet.tell("b", &unknown, RolloutStage::Drained, "");
    assert_eq!(fleet.said, ["Undrain b"]);
    fleet.run();
    assert_eq!(fleet.phase(), "Complete");
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

/// The time that is left to watch it is left still.
#[test]
fn a_stream_that_ends_while_it_is_watched_ends_nothing_else() {
    let mut fleet = Fleet::new(&["a", "b"]);
    let target = mk_revision(1);
    fleet.mean(&target, None, mk_settings());
    while fleet.extensions.rolling("corp").unwrap().stage != Some("Soaking") {
        fleet.answer();
        fleet.wait(1);
    }
    fleet.said.clear();
    fleet.lose("a");
    fleet.wait(8);
    assert!(fleet.said.is_empty(), "{:?}", fleet.said);
    fleet.find("a", &target);
    assert_eq!(
        fleet.said,
        ["Undrain a"],
        "it is asked again what it was asked last"
    );
    fleet.said.clear();
    fleet.wait(1);
    assert_eq!(fleet.said, ["Drain b"]);
}

#[test]
fn one_that_was_cut_off_is_brought_to_the_revision_of_all() {
    let mut fleet = Fleet::new(&["a", "b"]);
    let (old, new) = (mk_revision(1), mk_revision(2));
    fleet.mean(&old, None, mk_settings());
    fleet.run();
    fleet.lose("b");
    fleet.mean(&new, Some(&old), mk_settings());
    fleet.run();
    assert_eq!(
        fleet.phase(),
        "Rolling",
        "it is not complete without the one that is missing"
    );
    fleet.find("b", &old);
    fleet.run();
    assert_eq!(fleet.phase(), "Complete");
    // One of which nobody knew.
    fleet.find("c", &old);
    assert_eq!(fleet.phase(), "Rolling");
    fleet.run();
    assert_eq!(fleet.phase(), "Complete");
    assert!(fleet.said.contains(&"Apply c".to_owned()), "{:?}", fleet.said);
}

#[test]
fn what_has_to_be_approved_is_not_begun_before_a_data_plane_is_there() {
    let mut fleet = Fleet::new(&[]);
    let (old, new) = (mk_revision(1), mk_revision(2));
    let mut settings = mk_settings();
    settings.config.trigger = genkan_extensions::rollout::Trigger::Manual;
    fleet.mean(&new, Some(&old), settings.clone());
    assert_eq!(fleet.phase(), "AwaitingApproval");
    fleet.find("a", &old);
    fleet.find("b", &old);
    fleet.run();
    assert_eq!((fleet.phase(), fleet.said.len()), ("AwaitingApproval", 0));
    // Nobody has to, from now on.
    settings.config.trigger = genkan_extensions::rollout::Trigger::Auto;
    fleet.mean(&new, Some(&old), settings);
    fleet.run();
    assert_eq!(fleet.phase(), "Complete");
}

#[test]
fn what_is_paused_from_the_beginning_does_not_begin() {
    let mut fleet = Fleet::new(&["a", "b"]);
    let mut settings = mk_settings();
    settings.is_paused = true;
    fleet.mean(&mk_revision(1), None, settings.clone());
    fleet.run();
    assert_eq!((fleet.phase(), fleet.said.len()), ("Paused", 0));
    settings.is_paused = false;
    fleet.mean(&mk_revision(1), None, settings);
    fleet.run();
    assert_eq!(fleet.phase(), "Complete");
}

#[test]
fn who_is_away_for_an_extension_that_is_deleted_comes_back() {
    let mut fleet = Fleet::new(&["a", "b"]);
    fleet.mean(&mk_revision(1), None, mk_settings());
    let todo = fleet.extensions.forget("corp", fleet.now);
    fleet.take(todo);
    assert_eq!(fleet.said, ["Drain a", "Undrain a"]);
    let (_, asked) = fleet.sent.pop().unwrap();
    fleet.tell("b", &asked, RolloutStage::Drained, "");
    assert_eq!(fleet.said.last().unwrap(), "Undrain b");
}

/// Streams pass on only what is newer than what they have passed on.
#[test]
fn numbers_go_on_when_it_begins_again() {
    let mut fleet = Fleet::new(&["a", "b"]);
    fleet.mean(&mk_revision(1), None, mk_settings());
    let before = fleet.sent.pop().unwrap().1.nonce;
    fleet.extensions = fleet.extensions.anew();
    for pod in ["a", "b"] {
        let todo = fleet
            .extensions
            .connected(pod, ActiveRevisions::new(), false, fleet.now);
        fleet.take(todo);
    }
    fleet.mean(&mk_revision(1), None, mk_settings());
    assert!(fleet.sent.pop().unwrap().1.nonce > before);
}

#[test]
fn nothing_is_complete_where_there_is_no_data_plane() {
    let mut fleet = Fleet::new(&[]);
    let (old, new) = (mk_revision(1), mk_revision(2));
    fleet.mean(&new, Some(&old), mk_settings());
    fleet.run();
    assert_eq!(fleet.phase(), "Rolling");
    assert!(fleet.completed.is_empty());
    fleet.find("a", &old);
    fleet.run();
    assert_eq!(fleet.phase(), "Complete");
    assert_eq!(fleet.said, ["Apply a", "Verify a"]);
}

/// It would get out of the way for nobody, and stay there.
#[test]
fn a_process_that_begins_is_not_asked_what_the_one_before_was() {
    let mut fleet = Fleet::new(&["a", "b"]);
    fleet.mean(&mk_revision(1), None, mk_settings());
    assert_eq!(fleet.said, ["Drain a"]);
    fleet.lose("a");
    fleet.said.clear();
    let todo = fleet
        .extensions
        .connected("a", ActiveRevisions::new(), true, fleet.now);
    fleet.take(todo);
    assert!(fleet.said.is_empty(), "{:?}", fleet.said);
    let todo = fleet.extensions.ready("a", fleet.now);
    fleet.take(todo);
    let todo = fleet.extensions.make_room(Room::default(), fleet.now);
    fleet.take(todo);
    fleet.run();
    assert_eq!(fleet.phase(), "Complete");
    assert!(
        !fleet.said.iter().any(|said| said.ends_with(" a")),
        "{:?}",
        fleet.said
    );
}
