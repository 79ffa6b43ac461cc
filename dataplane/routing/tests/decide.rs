//! One decision, driven by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::sync::Arc;

use genkan_routing::access::Mode;
use genkan_routing::connectors::Role;
use genkan_routing::credential::Places;
use genkan_routing::decide::{
    Answer, Backend, Caller, Changed, Deciding, Destination, Next, Place, Policies, Question, Request, Room,
    STEPS, Settings, Shown,
};
use genkan_routing::identity::{Introduction, Unsendable};
use genkan_routing::model::{Matcher, Unavailable};
use genkan_routing::{HeaderStore, Table};
use http::HeaderMap;

#[derive(Debug, Clone)]
struct Object {
    matcher: Matcher,
    broken: Option<Unavailable>,
    role: Arc<Role<Self>>,
    wants: Option<Wants>,
}

#[derive(Debug, Clone, Copy)]
struct Wants {
    claims: bool,
}

impl Policies for Wants {
    fn claims_authorization(&self) -> bool {
        self.claims
    }

    fn acts(&self, place: Place) -> bool {
        place == Place::AfterReview || !self.claims
    }
}

impl Destination for Object {
    type Handle = Self;
    type Policies = Wants;

    fn policies(&self) -> Option<Wants> {
        self.wants
    }

    fn role(&self) -> &Role<Self> {
        &self.role
    }

    fn title(&self) -> &'static str {
        "ReverseProxy x"
    }

    fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    fn introduces_caller(&self) -> bool {
        true
    }

    fn forwards_authorization(&self) -> bool {
        false
    }

    fn backend(&self) -> Result<Backend<'_>, &Unavailable> {
        self.broken.as_ref().map_or(
            Ok(Backend {
                base_path: "/base",
                directives: None,
            }),
            Err,
        )
    }
}

#[derive(Debug)]
struct Jane(Introduction);

impl Caller for Jane {
    fn introduction(&self) -> Result<Option<&Introduction>, Unsendable> {
        Ok(Some(&self.0))
    }

    fn is_anonymous(&self) -> bool {
        false
    }
}

fn mk_jane() -> Jane {
    Jane(Introduction::new("jane", "", &[], &std::collections::BTreeMap::new()).unwrap())
}

fn mk_table(broken: Option<Unavailable>) -> Table<Object, Object> {
    mk_table_with(broken, None)
}

fn mk_table_with(broken: Option<Unavailable>, wants: Option<Wants>) -> Table<Object, Object> {
    let mut table = Table::default();
    let (path, method) = ("/proxy/x/*".to_owned(), "*".to_owned());
    let matcher = Matcher::ReverseProxy { path, method };
    let role = Arc::default();
    let object = Object {
        matcher,
        broken,
        role,
        wants,
    };
    table.reverse_proxies.insert("/proxy/x/*", "*", object);
    table.host_cluster = Some("host".into());
    table
}

fn mk_headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        HeaderStore::append(&mut headers, name, value.as_bytes());
    }
    headers
}

fn mk_places() -> Places {
    Places {
        cookie: Some("token".into()),
    }
}

fn mk_request(target: &str) -> Request<'_> {
    Request {
        method: "GET",
        target: target.as_bytes(),
        host: "gw.example",
        door: Default::default(),
        is_upgrade: false,
        has_certificate: false,
    }
}

fn mk_settings(places: &Places) -> Settings<'_> {
    Settings {
        places: Some(places),
        mode: Mode::Pattern,
        forwards_always: false,
        front: None,
    }
}

#[test]
fn nothing_goes_on_behind_a_question_that_was_not_answered() {
    let (table, places, mut room) = (mk_table(None), mk_places(), Room::default());
    let mut headers = mk_headers(&[("authorization", "Bearer t"), ("x-remote-user", "root")]);
    let request = mk_request("/proxy/x/%61?b=1");
    let mut deciding = Deciding::new(request, &table, mk_settings(&places), &mut room);
    for _ in 0..2 {
        let next = deciding.next(&mut headers);
        assert!(
            matches!(next, Next::Ask(Question::Who(Shown::Token(_)))),
            "{next:?}"
        );
    }
    assert!(!headers.contains_key("x-remote-user"));
    deciding.is_called_by(mk_jane());
    for _ in 0..2 {
        let next = deciding.next(&mut headers);
        assert!(matches!(next, Next::Ask(Question::May(_))), "{next:?}");
    }
    deciding.is_allowed();
    let Next::Forward(plan) = deciding.next(&mut headers) else {
        panic!("it is allowed");
    };
    assert_eq!(plan.target, b"/base/proxy/x/a?b=1");
    assert!(
        !headers.contains_key("authorization"),
        "the backend is not to see it"
    );
    assert!(
        matches!(deciding.next(&mut headers), Next::Answer(_)),
        "a decision is made once"
    );
}

#[test]
fn policies_are_asked_before_and_behind_the_review() {
    let wants = Some(Wants { claims: false });
    let (table, places, mut room) = (mk_table_with(None, wants), mk_places(), Room::default());
    let mut headers = mk_headers(&[("authorization", "Bearer t")]);
    let mut deciding = Deciding::new(
        mk_request("/proxy/x/a?b=1"),
        &table,
        mk_settings(&places),
        &mut room,
    );
    assert!(matches!(
        deciding.next(&mut headers),
        Next::Ask(Question::Who(Shown::Token(_)))
    ));
    deciding.is_called_by(mk_jane());
    for _ in 0..2 {
        let next = deciding.next(&mut headers);
        assert!(
            matches!(next, Next::Ask(Question::Policies(Place::BeforeReview))),
            "{next:?}"
        );
    }
    deciding.is_passed(Changed {
        query: Some(b"b=2".to_vec()),
        ..Changed::default()
    });
    assert!(matches!(deciding.next(&mut headers), Next::Ask(Question::May(_))));
    deciding.is_allowed();
    for _ in 0..2 {
        let next = deciding.next(&mut headers);
        assert!(
            matches!(next, Next::Ask(Question::Policies(Place::AfterReview))),
            "{next:?}"
        );
    }
    deciding.is_passed(Changed {
        query: Some(b"b=3".to_vec()),
        ..Changed::default()
    });
    let Next::Forward(plan) = deciding.next(&mut headers) else {
        panic!("the policies let it pass");
    };
    assert_eq!(plan.target, b"/base/proxy/x/a?b=3");
    assert!(!headers.contains_key("authorization"));
}

/// What a policy tells the backend gives nobody another right.
#[test]
fn the_review_is_for_whoever_was_found_to_call() {
    let wants = Some(Wants { claims: false });
    let (table, places, mut room) = (mk_table_with(None, wants), mk_places(), Room::default());
    let mut headers = HeaderMap::new();
    let mut deciding = Deciding::new(mk_request("/proxy/x/a"), &table, mk_settings(&places), &mut room);
    deciding.is_called_by(mk_jane());
    assert!(matches!(
        deciding.next(&mut headers),
        Next::Ask(Question::Policies(Place::BeforeReview))
    ));
    deciding.is_passed(Changed {
        caller: Some(Jane(
            Introduction::new("admin", "", &[], &std::collections::BTreeMap::new()).unwrap(),
        )),
        ..Changed::default()
    });
    let Next::Ask(Question::May(access)) = deciding.next(&mut headers) else {
        panic!("it is asked whether she may");
    };
    assert_eq!(format!("{:?}", access.caller), format!("{:?}", mk_jane()));
}

#[test]
fn nobody_else_judges_what_policies_judge() {
    let wants = Some(Wants { claims: true });
    let (table, places, mut room) = (mk_table_with(None, wants), mk_places(), Room::default());
    let mut headers = mk_headers(&[("authorization", "Bearer of-a-partner"), ("cookie", "token=t")]);
    let mut deciding = Deciding::new(mk_request("/proxy/x/a"), &table, mk_settings(&places), &mut room);
    assert!(matches!(
        deciding.next(&mut headers),
        Next::Ask(Question::Who(Shown::Nothing))
    ));
    deciding.is_called_by(mk_jane());
    assert!(matches!(deciding.next(&mut headers), Next::Ask(Question::May(_))));
    deciding.is_allowed();
    assert!(matches!(
        deciding.next(&mut headers),
        Next::Ask(Question::Policies(Place::AfterReview))
    ));
    assert_eq!(headers["authorization"], "Bearer of-a-partner");
    deciding.is_passed(Changed {
        forwards_authorization: true,
        ..Changed::default()
    });
    assert!(matches!(deciding.next(&mut headers), Next::Forward(_)));
    assert_eq!(headers["authorization"], "Bearer of-a-partner");
    assert!(!headers.contains_key("cookie"));
}

#[test]
fn broken_object_answers_only_those_who_may() {
    let why = Unavailable::new("Invalid", "no");
    let (table, places, mut room) = (mk_table(Some(why.clone())), mk_places(), Room::default());
    let mut headers = HeaderMap::new();
    let mut deciding = Deciding::new(mk_request("/proxy/x/a"), &table, mk_settings(&places), &mut room);
    deciding.is_called_by(mk_jane());
    assert!(matches!(deciding.next(&mut headers), Next::Ask(Question::May(_))));
    deciding.is_allowed();
    let Next::Answer(answer) = deciding.next(&mut headers) else {
        panic!("it cannot work");
    };
    let title = "ReverseProxy x";
    assert_eq!(answer, Answer::Unavailable { title, why: &why });
}

/// What is shown, or the reason of the refusal.
fn shown(target: &str, lines: &[(&str, &str)], has_certificate: bool) -> String {
    let (table, places, mut room) = (mk_table(None), mk_places(), Room::default());
    let request = Request {
        has_certificate,
        ..mk_request(target)
    };
    let mut headers = mk_headers(lines);
    let mut deciding = Deciding::<Object, Jane>::new(request, &table, mk_settings(&places), &mut room);
    match deciding.next(&mut headers) {
        Next::Ask(Question::Who(Shown::Nothing)) => "nothing".to_owned(),
        Next::Ask(Question::Who(Shown::Certificate)) => "certificate".to_owned(),
        Next::Ask(Question::Who(Shown::Token(token))) => token.token().to_owned(),
        Next::Answer(Answer::Refused(refused)) => refused.reason.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn path_says_which_credentials_count() {
    const COOKIE: (&str, &str) = ("cookie", "token=c");
    const BEARER: (&str, &str) = ("x-kubesphere-authorization", "Bearer b");
    const BROWSER: (&str, &str) = ("sec-fetch-site", "same-origin");
    const REFUSED: &str = "CredentialNotForwardable";
    // By a cookie, by a certificate, and by a certificate from a browser.
    for (target, by_cookie, by_certificate, by_browser) in [
        ("/proxy/x/a", "c", "certificate", "certificate"),
        ("/kapis/g.io/v1/things", "c", "certificate", "certificate"),
        ("/api/v1/pods", "nothing", REFUSED, REFUSED),
        ("/%61pi/v1/pods", "nothing", REFUSED, REFUSED),
        ("/openapi/v3", "nothing", REFUSED, REFUSED),
        ("/clusters/host/apis", "nothing", REFUSED, REFUSED),
        (
            "/clusters/m1/kapis/g.io/v1/things",
            "nothing",
            "certificate",
            "nothing",
        ),
        (
            "/clusters-rewrite/m1/api/v1/pods",
            "nothing",
            "certificate",
            "nothing",
        ),
        ("/clusters/host/proxy/x/a", "nothing", "certificate", "nothing"),
        (
            "/connectors/v1alpha1/ns/c/path",
            "TokenRequired",
            "TokenRequired",
            "TokenRequired",
        ),
        ("/", "nothing", "certificate", "certificate"),
    ] {
        assert_eq!(shown(target, &[COOKIE], false), by_cookie, "{target}");
        assert_eq!(shown(target, &[], true), by_certificate, "{target}");
        assert_eq!(shown(target, &[BROWSER], true), by_browser, "{target}");
        assert_eq!(shown(target, &[BEARER, COOKIE], false), "b", "{target}");
    }
    assert_eq!(
        shown("/api/v1/pods", &[BEARER], true),
        "b",
        "that can be handed on"
    );
    assert_eq!(shown("/api/v1/pods", &[COOKIE], true), REFUSED);
}

#[test]
fn order_of_steps_is_documented() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/architecture.md");
    let text = std::fs::read_to_string(file).unwrap();
    let table = text.split("### The steps").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let written: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let steps: Vec<String> = STEPS.iter().map(|step| format!("{step:?}")).collect();
    assert_eq!(written, steps);
}
