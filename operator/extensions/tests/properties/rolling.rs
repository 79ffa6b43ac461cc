use genkan_extensions::rollout::{Action, Config, Drain, Event, Kept, Machine, OnFailure, Phase, Trigger};
use proptest::prelude::*;

fn pod() -> impl Strategy<Value = String> {
    "[a-d]"
}

fn revision() -> impl Strategy<Value = String> {
    "r[1-3]"
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (pod(), revision()).prop_map(|(pod, revision)| Event::Have { pod, revision }),
        2 => pod().prop_map(|pod| Event::Start { pod, age: None }),
        4 => pod().prop_map(|pod| Event::Ready { pod }),
        2 => pod().prop_map(|pod| Event::Unready { pod }),
        2 => pod().prop_map(|pod| Event::Gone { pod }),
        3 => revision().prop_map(Event::Revision),
        2 => revision().prop_map(Event::Approve),
        1 => Just(Event::Pause),
        2 => Just(Event::Resume),
        4 => pod().prop_map(|pod| Event::Drained { pod }),
        4 => pod().prop_map(|pod| Event::Applied { pod }),
        4 => pod().prop_map(|pod| Event::Verified { pod }),
        4 => pod().prop_map(|pod| Event::Soaked { pod }),
        1 => pod().prop_map(|pod| Event::Failed { pod, why: "x".into() }),
        1 => pod().prop_map(|pod| Event::Breach { pod, why: None }),
        1 => any::<bool>().prop_map(|allows| Event::Budget { allows }),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let trigger = prop_oneof![Just(Trigger::Auto), Just(Trigger::Manual)];
    let failure = prop_oneof![Just(OnFailure::Rollback), Just(OnFailure::Pause)];
    let drain = prop_oneof![
        Just(Drain::WhenPossible),
        Just(Drain::Required),
        Just(Drain::Never)
    ];
    (trigger, failure, drain, 1..3_usize).prop_map(|(trigger, on_failure, drain, max_unavailable)| Config {
        trigger,
        on_failure,
        drain,
        max_unavailable,
    })
}

/// Whom an action takes out of service.
fn drains(action: &Action) -> Option<&str> {
    match action {
        Action::Drain { pod } => Some(pod),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn one_data_plane_is_in_hand_at_most_and_those_that_are_done_are_told(
        config in config(),
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut machine = Machine::new(config);
        for event in events {
            let before = machine.state();
            let gives_up = matches!(event, Event::Failed { .. } | Event::Breach { .. });
            let actions = machine.apply(event);
            let after = machine.state();
            let drained: Vec<_> = actions.iter().filter_map(drains).collect();
            prop_assert!(drained.len() <= 1);
            if let Some(pod) = drained.first() {
                prop_assert_eq!(after.current.as_ref().map(|current| current.pod.as_str()), Some(*pod));
                let is_free = gives_up || before.current.is_none() || before.current != after.current;
                prop_assert!(is_free);
            }
            if let Some(current) = &after.current {
                prop_assert!(after.pods.contains_key(&current.pod));
            }
            if after.phase == Phase::Complete && before.phase != Phase::Complete {
                prop_assert_eq!(&after.stable, &after.target);
                prop_assert!(after.pods.values().all(|revision| *revision == after.target));
            }
        }
    }

    #[test]
    fn an_operator_that_starts_again_goes_on_where_it_was(
        config in config(),
        events in prop::collection::vec(event(), 0..40),
    ) {
        let mut machine = Machine::new(config);
        for event in events {
            machine.apply(event);
        }
        machine.apply(Event::Budget { allows: true });
        let state = machine.state();
        let kept = serde_json::to_string(machine.kept()).unwrap();
        let kept: Kept = serde_json::from_str(&kept).unwrap();
        let mut again = Machine::resume(config, kept);
        for (pod, revision) in &state.pods {
            let actions = match revision {
                Some(revision) => {
                    again.apply(Event::Have { pod: pod.clone(), revision: revision.clone() })
                }
                None => again.apply(Event::Start { pod: pod.clone(), age: None }),
            };
            let is_quiet = actions.iter().all(|action| matches!(action, Action::Restore { .. }));
            prop_assert!(is_quiet, "{actions:?}");
        }
        again.apply(Event::Restarted);
        if let Some(current) = &state.current
            && state.pods.get(&current.pod).is_some_and(Option::is_some)
        {
            prop_assert_eq!(again.state().current, state.current);
        }
        prop_assert_eq!(again.state().target, state.target);
    }

    /// If every data plane does what it is told and nobody stands in the way, all have the target in the end.
    #[test]
    fn what_nobody_stops_is_completed(config in config(), pods in 2..5_usize) {
        let config = Config { trigger: Trigger::Auto, ..config };
        let mut machine = Machine::new(config);
        for index in 0..pods {
            machine.apply(Event::Have { pod: format!("p{index}"), revision: "r1".into() });
        }
        let mut todo = machine.apply(Event::Revision("r2".into()));
        let mut rounds = 0;
        while let Some(action) = todo.pop() {
            rounds += 1;
            prop_assert!(rounds < 100);
            let event = match action {
                Action::Drain { pod } => Event::Drained { pod },
                Action::Apply { pod, .. } => Event::Applied { pod },
                Action::Verify { pod } => Event::Verified { pod },
                Action::Undrain { pod } => Event::Ready { pod },
                Action::Soak { pod } => Event::Soaked { pod },
                Action::Restore { .. } | Action::Push { .. } => continue,
            };
            todo.extend(machine.apply(event));
        }
        prop_assert_eq!(machine.state().phase, Phase::Complete);
    }
}
