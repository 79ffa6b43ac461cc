use genkan_extensions::rollout::{Config, Drain, Event, Machine, OnFailure, Phase, Trigger};

fn machine(config: Config, pods: &[&str]) -> Machine {
    let mut machine = Machine::new(config);
    for pod in pods {
        machine.apply(Event::Have {
            pod: (*pod).into(),
            revision: "r1".into(),
        });
    }
    machine
}

/// What is done about an event, as words.
fn on(machine: &mut Machine, event: Event) -> Vec<String> {
    machine.apply(event).iter().map(ToString::to_string).collect()
}

fn through(machine: &mut Machine, pod: &str) {
    for event in [
        Event::Drained { pod: pod.into() },
        Event::Applied { pod: pod.into() },
        Event::Verified { pod: pod.into() },
        Event::Ready { pod: pod.into() },
        Event::Soaked { pod: pod.into() },
    ] {
        machine.apply(event);
    }
}

#[test]
fn those_that_are_done_are_taken_back_one_after_the_other() {
    let mut machine = machine(Config::default(), &["a", "b", "c"]);
    machine.apply(Event::Revision("r2".into()));
    through(&mut machine, "a");
    machine.apply(Event::Drained { pod: "b".into() });
    let failed = Event::Failed {
        pod: "b".into(),
        why: "no".into(),
    };
    assert_eq!(on(&mut machine, failed), ["apply b r1", "undrain b", "drain a"]);
    assert_eq!(machine.state().phase, Phase::RollingBack);
    assert_eq!(
        on(&mut machine, Event::Drained { pod: "a".into() }),
        ["apply a r1"]
    );
    let started = Event::Start {
        pod: "d".into(),
        age: None,
    };
    assert_eq!(on(&mut machine, started), ["restore d r1"]);
    machine.apply(Event::Ready { pod: "d".into() });
    for event in [
        Event::Applied { pod: "a".into() },
        Event::Verified { pod: "a".into() },
        Event::Ready { pod: "a".into() },
        Event::Soaked { pod: "a".into() },
    ] {
        machine.apply(event);
    }
    let state = machine.state();
    assert_eq!(
        (state.phase, state.message.as_deref()),
        (Phase::RolledBack, Some("no"))
    );
    assert!(
        state
            .pods
            .values()
            .all(|revision| revision.as_deref() == Some("r1"))
    );
    assert_eq!(on(&mut machine, Event::Revision("r3".into())), ["drain a"]);
}

#[test]
fn a_way_back_that_was_paused_stays_a_way_back() {
    let mut machine = machine(Config::default(), &["a", "b", "c"]);
    machine.apply(Event::Revision("r2".into()));
    through(&mut machine, "a");
    machine.apply(Event::Pause);
    let failed = Event::Failed {
        pod: "b".into(),
        why: "no".into(),
    };
    machine.apply(failed);
    assert_eq!(machine.state().phase, Phase::Paused);
    assert_eq!(on(&mut machine, Event::Resume), ["drain a"]);
    assert_eq!(machine.state().phase, Phase::RollingBack);
}

#[test]
fn what_fails_on_the_way_back_stops_it() {
    let mut machine = machine(Config::default(), &["a", "b", "c"]);
    machine.apply(Event::Revision("r2".into()));
    through(&mut machine, "a");
    machine.apply(Event::Failed {
        pod: "b".into(),
        why: "no".into(),
    });
    machine.apply(Event::Failed {
        pod: "a".into(),
        why: "no again".into(),
    });
    let state = machine.state();
    assert_eq!(
        (state.phase, state.message.as_deref()),
        (Phase::Paused, Some("no again"))
    );
}

#[test]
fn a_second_data_plane_lets_one_that_was_alone_be_drained() {
    let config = Config {
        drain: Drain::Required,
        ..Config::default()
    };
    let mut machine = machine(config, &["a"]);
    assert!(on(&mut machine, Event::Revision("r2".into())).is_empty());
    let started = Event::Start {
        pod: "b".into(),
        age: None,
    };
    assert_eq!(on(&mut machine, started), ["restore b r2"]);
    assert_eq!(on(&mut machine, Event::Ready { pod: "b".into() }), ["drain a"]);
    assert_eq!(machine.state().message, None);
}

#[test]
fn a_budget_that_is_used_up_is_waited_for() {
    let mut machine = machine(Config::default(), &["a", "b"]);
    machine.apply(Event::Budget { allows: false });
    assert!(on(&mut machine, Event::Revision("r2".into())).is_empty());
    assert_eq!(on(&mut machine, Event::Budget { allows: true }), ["drain a"]);
}

#[test]
fn another_revision_than_the_one_that_is_asked_for_is_not_approved() {
    let config = Config {
        trigger: Trigger::Manual,
        ..Config::default()
    };
    let mut machine = machine(config, &["a", "b"]);
    machine.apply(Event::Revision("r2".into()));
    assert!(on(&mut machine, Event::Approve("r1".into())).is_empty());
    assert_eq!(machine.state().phase, Phase::AwaitingApproval);
    assert_eq!(on(&mut machine, Event::Approve("r2".into())), ["drain a"]);
}

#[test]
fn data_planes_that_start_after_a_failure_get_what_is_stable() {
    let config = Config {
        on_failure: OnFailure::Pause,
        ..Config::default()
    };
    let mut machine = machine(config, &["a", "b"]);
    machine.apply(Event::Revision("r2".into()));
    machine.apply(Event::Failed {
        pod: "a".into(),
        why: "no".into(),
    });
    let started = Event::Start {
        pod: "c".into(),
        age: None,
    };
    assert_eq!(on(&mut machine, started), ["restore c r1"]);
}
