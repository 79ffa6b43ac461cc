use genkan_routing::model::BackendState;

use super::*;
use crate::snapshot::Since;

fn mk_object(uid: &str, generation: i64) -> ObjectRef {
    ObjectRef::new(ObjectKey::reverse_proxy("x"), uid, generation)
}

fn mk_since(sequence: u64, at: Instant) -> Since {
    Since { sequence, at }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn programmed(fleet: &Fleet, since: Since, now: Instant) -> (usize, usize) {
    let p = fleet.progress(&mk_object("u", 1), since, now);
    (p.ready, p.counted)
}

#[tokio::test]
async fn every_counted_proxy_must_acknowledge() {
    let t = Instant::now();
    let mut fleet = Fleet::default();
    fleet.connect("a", "1", 1, t);
    fleet.connect("b", "2", 2, t);
    assert!(fleet.acknowledge("a", 1, 7, &Scope::Everything, vec![]).is_some());
    assert!(fleet.acknowledge("b", 2, 6, &Scope::Everything, vec![]).is_some());
    let since = mk_since(7, t);
    assert_eq!(programmed(&fleet, since, t), (1, 2));
    assert_eq!(fleet.progress(&mk_object("u", 1), since, t).waiting, ["b"]);
    fleet.acknowledge("b", 2, 9, &Scope::Everything, vec![]);
    assert_eq!(programmed(&fleet, since, t), (2, 2));
}

#[tokio::test]
async fn an_acknowledgement_outlives_its_stream_by_the_grace_only() {
    let t = Instant::now();
    let mut fleet = Fleet::default();
    for (name, session) in [("a", 1), ("b", 2)] {
        fleet.connect(name, name, session, t);
        fleet.acknowledge(name, session, 1, &Scope::Everything, vec![]);
    }
    fleet.disconnect("b", 2, t);
    let since = mk_since(1, t);
    assert_eq!(programmed(&fleet, since, t + seconds(4)), (2, 2));
    assert_eq!(programmed(&fleet, since, t + seconds(5)), (1, 2));
    assert_eq!(
        fleet
            .progress(&mk_object("u", 1), since, t + seconds(5))
            .behind_since,
        Some(t)
    );
    assert_eq!(fleet.next_deadline(t), Some(t + seconds(5)));
    assert!(!fleet.prune(t + seconds(29)));
    assert!(fleet.prune(t + seconds(30)));
    assert_eq!(programmed(&fleet, since, t + seconds(30)), (1, 1));
}

#[tokio::test]
async fn a_pod_stays_counted_until_it_is_deleted() {
    let t = Instant::now();
    let mut fleet = Fleet::default();
    let pods = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    fleet.set_pods(pods(&["a", "b"]), t);
    for (name, session) in [("a", 1), ("b", 2)] {
        fleet.connect(name, name, session, t);
        fleet.acknowledge(name, session, 1, &Scope::Everything, vec![]);
    }
    fleet.disconnect("b", 2, t);
    fleet.prune(t + seconds(100));
    assert_eq!(programmed(&fleet, mk_since(1, t), t + seconds(100)), (1, 2));
    assert!(fleet.set_pods(pods(&["a"]), t + seconds(100)));
    assert_eq!(programmed(&fleet, mk_since(1, t), t + seconds(100)), (1, 1));
}

#[tokio::test]
async fn a_starting_proxy_does_not_flip_what_others_serve() {
    let t = Instant::now();
    let mut fleet = Fleet::default();
    fleet.connect("a", "1", 1, t);
    assert_eq!(
        programmed(&fleet, mk_since(0, t), t),
        (0, 1),
        "the only one counts at once"
    );
    fleet.acknowledge("a", 1, 1, &Scope::Everything, vec![]);
    fleet.connect("b", "2", 2, t + seconds(10));
    assert_eq!(programmed(&fleet, mk_since(1, t), t + seconds(14)), (1, 1));
    assert_eq!(programmed(&fleet, mk_since(1, t), t + seconds(15)), (1, 2));
}

#[tokio::test]
async fn an_old_stream_cannot_speak_for_a_new_one() {
    let t = Instant::now();
    let mut fleet = Fleet::default();
    fleet.connect("a", "1", 1, t);
    fleet.disconnect("a", 1, t);
    fleet.connect("a", "2", 2, t);
    assert!(fleet.acknowledge("a", 1, 5, &Scope::Everything, vec![]).is_none());
    fleet.disconnect("a", 1, t);
    assert_eq!(fleet.connected(), 1);
    assert_eq!(programmed(&fleet, mk_since(5, t), t), (0, 1));
}

#[tokio::test]
async fn two_processes_of_one_name_are_two_proxies() {
    let t = Instant::now();
    let mut fleet = Fleet::default();
    assert_eq!(fleet.connect("a", "1", 1, t), "a");
    assert_eq!(fleet.connect("a", "2", 2, t), "a (2)");
    assert_eq!(fleet.counted(), 2);
}

#[tokio::test]
async fn an_objection_counts_for_its_own_generation() {
    let t = Instant::now();
    let mut fleet = Fleet::default();
    fleet.connect("a", "1", 1, t);
    let objection = Objection {
        object: mk_object("u", 1),
        reason: "Invalid".into(),
        message: "no such thing".into(),
        entry: None,
    };
    fleet.acknowledge("a", 1, 3, &Scope::Everything, vec![objection]);
    let progress = fleet.progress(&mk_object("u", 1), mk_since(3, t), t);
    assert_eq!((progress.ready, progress.rejected.unwrap().0.as_str()), (0, "a"));
    assert!(
        fleet
            .progress(&mk_object("u", 2), mk_since(3, t), t)
            .rejected
            .is_none()
    );
}

#[tokio::test]
async fn a_late_report_about_an_old_version_is_ignored() {
    let t = Instant::now();
    let mut fleet = Fleet::default();
    fleet.connect("a", "1", 1, t);
    let mk_report = |uid: &str, generation, state| Health {
        object: mk_object(uid, generation),
        state,
        error: String::new(),
    };
    let mut report = |health| fleet.report("a", 1, health);
    assert!(report(mk_report("u", 2, BackendState::Reachable)));
    assert!(!report(mk_report("u", 1, BackendState::Unreachable)));
    assert!(report(mk_report("u", 2, BackendState::Unreachable)));
    assert!(
        report(mk_report("another", 1, BackendState::Reachable)),
        "made anew, under the same name"
    );
    let object = mk_object("another", 1);
    let reports: Vec<_> = fleet.reports(&object, mk_since(1, t), t).collect();
    assert_eq!(reports[0].1.unwrap().state, BackendState::Reachable);
}
