use genkan_routing::model::{Health, ObjectKey, ObjectRef, Objection, SetKey};

use super::*;
use crate::snapshot::Scope;

struct Case {
    verdict: Verdict,
    since: Since,
    fleet: Fleet,
    now: Instant,
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// An accepted object that one connected proxy has not acknowledged yet.
fn mk_case() -> Case {
    let now = Instant::now();
    let mut fleet = Fleet::default();
    let object = ObjectRef::new(ObjectKey::reverse_proxy("x"), "u", 4);
    fleet.connect("a", "1", 1, now);
    let verdict = Verdict {
        object,
        accepted: Finding::yes(reason::ACCEPTED, "fine"),
        resolved: Finding::yes(reason::RESOLVED_REFS, "fine"),
        sent: true,
        backend: Backend::None,
        columns: Vec::new(),
        members: serde_json::Map::new(),
        tool: None,
        extension: None,
    };
    Case {
        verdict,
        since: Since { sequence: 1, at: now },
        fleet,
        now,
    }
}

impl Case {
    fn at(&self, now: Instant) -> Assessment {
        assess(&self.verdict, Some(self.since), &self.fleet, None, None, now)
    }

    fn said(&self, kind: &str, now: Instant) -> (bool, &'static str) {
        let assessment = self.at(now);
        let finding = assessment.condition(kind).unwrap();
        (finding.ok, finding.reason)
    }

    fn report(&mut self, state: BackendState) {
        let health = Health {
            object: self.verdict.object.clone(),
            state,
            error: "no route to host".into(),
        };
        self.fleet.report("a", 1, health);
    }
}

#[tokio::test]
async fn pending_first_then_waiting_then_programmed() {
    let mut case = mk_case();
    let t = case.now;
    assert_eq!(case.said(kind::PROGRAMMED, t), (false, reason::PENDING));
    assert_eq!(
        case.at(t).standing,
        Finality::Pending {
            again: t + PATIENCE,
            first: true
        }
    );
    assert_eq!(
        case.at(t + seconds(1)).standing,
        Finality::Pending {
            again: t + GRACE,
            first: false
        }
    );
    assert_eq!(
        case.said(kind::PROGRAMMED, t + seconds(5)),
        (false, reason::WAITING_FOR_PROXIES)
    );
    assert_eq!(case.at(t + seconds(5)).proxies, "0/1");
    case.fleet.acknowledge("a", 1, 1, &Scope::Everything, vec![]);
    assert_eq!(
        case.said(kind::PROGRAMMED, t + seconds(6)),
        (true, reason::PROGRAMMED)
    );
    assert_eq!(case.at(t + seconds(6)).standing, Finality::Settled);
    assert_eq!(case.at(t + seconds(6)).proxies, "1/1");
}

#[tokio::test]
async fn no_proxies_is_said_after_the_grace() {
    let mut case = mk_case();
    case.fleet = Fleet::default();
    assert_eq!(case.said(kind::PROGRAMMED, case.now), (false, reason::PENDING));
    assert_eq!(
        case.said(kind::PROGRAMMED, case.now + seconds(5)),
        (false, reason::NO_PROXIES)
    );
}

#[tokio::test]
async fn a_proxy_that_cannot_build_it_is_quoted() {
    let mut case = mk_case();
    let objection = Objection {
        object: case.verdict.object.clone(),
        reason: "X".into(),
        message: "too large".into(),
        entry: None,
    };
    case.fleet
        .acknowledge("a", 1, 1, &Scope::Everything, vec![objection]);
    assert_eq!(
        case.said(kind::PROGRAMMED, case.now),
        (false, reason::REJECTED_BY_PROXY)
    );
    assert!(
        case.at(case.now)
            .condition(kind::READY)
            .unwrap()
            .message
            .contains("too large")
    );
}

#[tokio::test]
async fn what_is_sent_to_no_proxy_repeats_why() {
    let mut case = mk_case();
    case.verdict.sent = false;
    case.verdict.accepted = Finding::no(reason::CONFLICTED, "y wins");
    for kind in [kind::PROGRAMMED, kind::READY] {
        assert_eq!(case.said(kind, case.now), (false, reason::CONFLICTED));
    }
}

#[tokio::test]
async fn ready_needs_a_usable_endpoint_that_proxies_have_taken_in() {
    let mut case = mk_case();
    case.fleet.acknowledge("a", 1, 1, &Scope::Everything, vec![]);
    case.verdict.backend = Backend::Endpoints(SetKey {
        namespace: "n".into(),
        service: "s".into(),
        port: 80,
    });
    let ready = |case: &Case, set| {
        let assessment = assess(&case.verdict, Some(case.since), &case.fleet, set, None, case.now);
        assessment.condition(kind::READY).unwrap().reason
    };
    let set = |usable, sequence| {
        Some(SetState {
            usable,
            since: Since {
                sequence,
                at: case.now,
            },
        })
    };
    assert_eq!(ready(&case, None), reason::NO_READY_ENDPOINTS);
    assert_eq!(ready(&case, set(false, 1)), reason::NO_READY_ENDPOINTS);
    assert_eq!(ready(&case, set(true, 2)), reason::PENDING);
    assert_eq!(ready(&case, set(true, 1)), reason::READY);
}

#[tokio::test]
async fn ready_needs_every_proxy_to_have_resolved_the_host() {
    let mut case = mk_case();
    case.fleet.acknowledge("a", 1, 1, &Scope::Everything, vec![]);
    case.verdict.backend = Backend::Host("backend.example".into());
    assert_eq!(case.said(kind::READY, case.now), (false, reason::PENDING));
    let (again, first) = (case.now + PATIENCE, true);
    assert_eq!(
        case.at(case.now).standing,
        Finality::Pending { again, first },
        "one write is enough for both"
    );
    assert_eq!(case.at(again).standing, Finality::Settled);
    case.report(BackendState::Unreachable);
    assert_eq!(
        case.said(kind::READY, case.now),
        (false, reason::BACKEND_UNREACHABLE)
    );
    case.report(BackendState::Reachable);
    assert_eq!(case.said(kind::READY, case.now), (true, reason::READY));
    case.verdict.object.generation = 5;
    case.verdict.backend = Backend::Host("other.example".into());
    assert_eq!(
        case.said(kind::READY, case.now),
        (false, reason::PENDING),
        "reports count for their generation"
    );
}

#[tokio::test]
async fn times_change_with_the_status_only() {
    let mut case = mk_case();
    case.fleet.acknowledge("a", 1, 1, &Scope::Everything, vec![]);
    let times = |status: &Value| {
        let all = status["conditions"].as_array().unwrap();
        all.iter()
            .map(|c| c["lastTransitionTime"].as_str().unwrap().to_string())
            .collect::<Vec<_>>()
    };
    let (first, later) = (
        jiff::Timestamp::UNIX_EPOCH,
        jiff::Timestamp::from_second(86_400).unwrap(),
    );
    let stored = case.at(case.now).status(&case.verdict, &Value::Null, first);
    assert_eq!(stored["state"], "Available");
    case.verdict.resolved = Finding::no(reason::BACKEND_NOT_FOUND, "gone");
    let status = case.at(case.now).status(&case.verdict, &stored, later);
    let (epoch, day) = ("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z");
    assert_eq!(times(&status), [epoch, day, epoch, day]);
    assert_eq!(status["state"], "Unavailable");
    assert_eq!(status["observedGeneration"], 4);
}
