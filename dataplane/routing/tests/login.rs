//! Web UIs by a name of their own: what is behind the name, and how one logs in there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::sync::Arc;

use genkan_routing::access::Mode;
use genkan_routing::connectors::Role;
use genkan_routing::credential::Places;
use genkan_routing::decide::{
    Answer, Backend, Caller, Deciding, Destination, Next, Place, Policies, Question, Request, Room, Settings,
    Shown, login,
};
use genkan_routing::door::Door;
use genkan_routing::identity::{Introduction, Unsendable};
use genkan_routing::model::{Matcher, Unavailable};
use genkan_routing::public::Front;
use genkan_routing::{DirectiveSpec, Directives, HeaderStore, Table};
use http::HeaderMap;

#[derive(Debug, Clone)]
struct Ui {
    matcher: Matcher,
    directives: Arc<Directives>,
    role: Arc<Role<Self>>,
}

#[derive(Debug, Clone)]
struct NoPolicies;

#[derive(Debug, Clone, Copy)]
struct Somebody {
    is_anonymous: bool,
}

impl Policies for NoPolicies {
    fn claims_authorization(&self) -> bool {
        false
    }

    fn acts(&self, _: Place) -> bool {
        false
    }
}

impl Destination for Ui {
    type Handle = Self;
    type Policies = NoPolicies;

    fn policies(&self) -> Option<NoPolicies> {
        None
    }

    fn role(&self) -> &Role<Self> {
        &self.role
    }

    fn title(&self) -> &'static str {
        "ReverseProxy ui"
    }

    fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    fn introduces_caller(&self) -> bool {
        false
    }

    fn forwards_authorization(&self) -> bool {
        false
    }

    fn backend(&self) -> Result<Backend<'_>, &Unavailable> {
        Ok(Backend {
            base_path: "",
            directives: Some(&self.directives),
        })
    }
}

impl Caller for Somebody {
    fn introduction(&self) -> Result<Option<&Introduction>, Unsendable> {
        Ok(None)
    }

    fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }
}

const STATE: &str = "00000000000000000000000000000000000000000000000000000000000000af";
const NAVIGATION: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];

fn mk_table() -> Table<Ui, Ui> {
    let mut table = Table {
        host_cluster: Some("host".into()),
        ..Table::default()
    };
    for (path, strips) in [
        ("/proxy/ui/*", "/proxy/ui"),
        ("/proxy/ui/api/*", "/proxy/ui/api"),
        ("/proxy/aware/*", ""),
        ("/proxy/exact", "/proxy/exact"),
    ] {
        let spec = DirectiveSpec {
            strip_path_prefix: Some(strips.to_owned()).filter(|strips| !strips.is_empty()),
            ..DirectiveSpec::default()
        };
        let matcher = Matcher::ReverseProxy {
            path: path.to_owned(),
            method: "*".to_owned(),
        };
        let ui = Ui {
            matcher,
            directives: Arc::new(Directives::compile(&spec).unwrap()),
            role: Arc::default(),
        };
        table.reverse_proxies.insert(path, "*", ui);
    }
    table
}

fn mk_front(apps_only: bool) -> Front {
    Front {
        origins: vec!["https://gw.example".parse().unwrap()],
        apps: Some("apps.example".parse().unwrap()),
        apps_only,
        ..Front::default()
    }
}

fn mk_headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        HeaderStore::append(&mut headers, name, value.as_bytes());
    }
    headers
}

/// A request by some door; nobody is refused anything.
#[derive(Debug, Clone, Copy)]
struct Asked<'t> {
    door: Door<'t>,
    host: &'t str,
    method: &'t str,
    target: &'t str,
    lines: &'t [(&'t str, &'t str)],
    is_anonymous: bool,
    apps_only: bool,
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self {
            door: Door::Main,
            host: "gw.example",
            method: "GET",
            target: "/",
            lines: &[],
            is_anonymous: false,
            apps_only: false,
        }
    }
}

fn ask(asked: Asked<'_>) -> String {
    let (table, front, mut room) = (mk_table(), mk_front(asked.apps_only), Room::default());
    let places = Places {
        cookie: Some("token".into()),
    };
    let settings = Settings {
        places: Some(&places),
        mode: Mode::Pattern,
        forwards_always: false,
        front: Some(&front),
    };
    let request = Request {
        method: asked.method,
        target: asked.target.as_bytes(),
        host: asked.host,
        door: asked.door,
        is_upgrade: false,
        has_certificate: false,
    };
    let mut headers = mk_headers(asked.lines);
    let mut deciding = Deciding::new(request, &table, settings, &mut room);
    let mut shown = String::new();
    loop {
        match deciding.next(&mut headers) {
            Next::Ask(Question::Who(Shown::Token(token))) => {
                shown = format!("{} ", token.token());
                deciding.is_called_by(Somebody { is_anonymous: false });
            }
            Next::Ask(Question::Who(_)) => deciding.is_called_by(Somebody {
                is_anonymous: asked.is_anonymous,
            }),
            Next::Ask(Question::May(_)) => deciding.is_allowed(),
            Next::Ask(question) => panic!("{question:?}"),
            Next::Forward(plan) => {
                let cookies = headers.get("cookie").map(|line| line.to_str().unwrap());
                let path = String::from_utf8(plan.target).unwrap();
                return format!("{shown}sent {path} {}", cookies.unwrap_or_default())
                    .trim_end()
                    .to_owned();
            }
            Next::Answer(Answer::Refused(refused)) => return format!("{} {}", refused.code, refused.reason),
            Next::Answer(Answer::LogIn(wanted)) => {
                return format!("{shown}log in {} {}", wanted.app, wanted.to);
            }
            Next::Answer(Answer::Redeem { code, to }) => return format!("redeem {code} {to}"),
            Next::Answer(Answer::ToApp { location } | Answer::Redirect { location }) => {
                return format!("to {}", String::from_utf8(location).unwrap());
            }
            Next::Answer(answer) => panic!("{answer:?}"),
        }
    }
}

fn login_target(app: &str, state: &str, to: &str) -> String {
    format!("/.genkan/login?app={app}&state={state}&to={to}")
}

#[test]
fn a_name_is_one_web_ui_and_nothing_else() {
    let at = |app, target| {
        ask(Asked {
            door: Door::App(app),
            target,
            ..Asked::default()
        })
    };
    assert_eq!(at("ui", "/a?b=1"), "sent /a?b=1");
    assert_eq!(at("ui", "/"), "sent /");
    // Kubernetes, the Connector API and other UIs are not behind it: these are paths of the UI.
    for path in [
        "/api/v1/pods",
        "/proxy/aware/x",
        "/connectors/ns/x",
        "/version",
        "/clusters/host/proxy/aware/",
    ] {
        let expected = match path {
            // A longer matcher of another object.
            "/api/v1/pods" => "404 NoRouteMatched".to_owned(),
            path => format!("sent {path}"),
        };
        assert_eq!(at("ui", path), expected);
    }
    for (app, path) in [
        ("aware", "/"),
        ("exact", "/"),
        ("nobody", "/x"),
        ("ui", "/.genkan"),
        ("ui", "/.genkan/login"),
        ("ui", "/.genkan/x"),
        ("ui", "/%2egenkan/session"),
    ] {
        let expected = match path {
            "/%2egenkan/session" => "400 LoginRefused",
            _ => "404 NoRouteMatched",
        };
        assert_eq!(at(app, path), expected, "{app} {path}");
    }
    for door in [Door::Nowhere, Door::Misdirected] {
        let expected = match door {
            Door::Misdirected => "421 Misdirected",
            _ => "404 NoRouteMatched",
        };
        let target = "/proxy/ui/";
        assert_eq!(
            ask(Asked {
                door,
                target,
                ..Asked::default()
            }),
            expected
        );
    }
}

#[test]
fn each_door_has_a_cookie_of_its_own_and_no_backend_sees_either() {
    let lines = [(
        "cookie",
        "token=front; a=b; __Host-genkan=app; __Host-genkan-login=x",
    )];
    let at = |door, target| {
        ask(Asked {
            door,
            target,
            lines: &lines,
            ..Asked::default()
        })
    };
    assert_eq!(at(Door::Main, "/proxy/ui/x"), "front sent /x a=b");
    assert_eq!(at(Door::App("ui"), "/x"), "app sent /x a=b");
    assert_eq!(at(Door::Local("ui"), "/x"), "sent /x a=b");
}

#[test]
fn somebody_who_is_known_gets_a_code_for_a_published_name() {
    let target = login_target("ui", STATE, "%2Fa%3Fb%3D1");
    let cookie = [NAVIGATION[0], NAVIGATION[1], ("cookie", "token=t")];
    let known = Asked {
        target: &target,
        lines: &cookie,
        ..Asked::default()
    };
    assert_eq!(ask(known), "t log in ui /a?b=1");
    // Nobody can be told of; other objects have no name; nobody is asked what is not published.
    assert_eq!(
        ask(Asked {
            lines: &NAVIGATION,
            is_anonymous: true,
            ..known
        }),
        "401 LoginRequired"
    );
    for app in ["aware", "exact", "nobody"] {
        let target = login_target(app, STATE, "/");
        assert_eq!(
            ask(Asked {
                target: &target,
                ..known
            }),
            "404 NoRouteMatched",
            "{app}"
        );
    }
    let long = format!("/{}", "a".repeat(5_000));
    for (app, state, to) in [
        ("ui", STATE, "//evil.example"),
        ("ui", STATE, "/%5Cevil.example"),
        ("ui", STATE, "https://evil.example"),
        ("ui", STATE, "x"),
        ("ui", STATE, ""),
        ("ui", STATE, "/a%0d%0ab"),
        ("ui", STATE, "/.genkan/session?code=x"),
        ("ui", STATE, &long),
        ("ui", "af", "/"),
        ("ui", &STATE.to_uppercase(), "/"),
        ("ui/../x", STATE, "/"),
        ("..", STATE, "/"),
        ("UI", STATE, "/"),
        ("", STATE, "/"),
    ] {
        let target = login_target(app, state, to);
        assert_eq!(
            ask(Asked {
                target: &target,
                ..known
            }),
            "400 LoginRefused",
            "{target}"
        );
    }
    // Frames, scripts, forms, and what does not say what it is.
    for lines in [
        &[
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "iframe"),
            ("cookie", "token=t"),
        ][..],
        &[
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
            ("cookie", "token=t"),
        ],
        &[("cookie", "token=t")],
    ] {
        assert_eq!(ask(Asked { lines, ..known }), "403 LoginRefused", "{lines:?}");
    }
    assert_eq!(
        ask(Asked {
            method: "POST",
            ..known
        }),
        "405 MethodRefused"
    );
    for target in ["/.genkan/session?code=x&to=/", "/.genkan", "/.genkan/"] {
        assert_eq!(ask(Asked { target, ..known }), "404 NoRouteMatched", "{target}");
    }
}

#[test]
fn a_code_is_brought_to_the_host_that_it_is_for() {
    let at = |target| {
        ask(Asked {
            door: Door::App("ui"),
            target,
            ..Asked::default()
        })
    };
    assert_eq!(at("/.genkan/session?code=abc&to=%2Fa%3Fb"), "redeem abc /a?b");
    for target in [
        "/.genkan/session",
        "/.genkan/session?code=&to=/",
        "/.genkan/session?code=abc",
        "/.genkan/session?code=abc&to=//evil.example",
        "/.genkan/session?code=abc&code=abd&to=/",
    ] {
        assert_eq!(at(target), "400 LoginRefused", "{target}");
    }
}

#[test]
fn those_who_are_not_known_are_sent_to_log_in() {
    let app = Door::App("ui");
    let helps = |door, method, lines: &[(&str, &str)], refused, is_anonymous| {
        login::helps(door, method, &mk_headers(lines), refused, is_anonymous)
    };
    assert_eq!(helps(app, "GET", &NAVIGATION, "AccessDenied", true), Some("ui"));
    assert_eq!(helps(app, "GET", &NAVIGATION, "TokenRejected", false), Some("ui"));
    for (door, method, lines, refused, is_anonymous) in [
        (app, "GET", &NAVIGATION[..], "AccessDenied", false),
        (app, "GET", &NAVIGATION, "NoRouteMatched", true),
        (app, "GET", &[], "AccessDenied", true),
        (app, "POST", &NAVIGATION, "AccessDenied", true),
        (Door::Local("ui"), "GET", &NAVIGATION, "AccessDenied", true),
        (Door::Main, "GET", &NAVIGATION, "AccessDenied", true),
    ] {
        assert_eq!(
            helps(door, method, lines, refused, is_anonymous),
            None,
            "{refused} {method}"
        );
    }
    let front = mk_front(false);
    let location = login::location(&front, "ui", STATE, b"/a b?c=1&d").unwrap();
    assert_eq!(
        location,
        format!("https://gw.example/.genkan/login?app=ui&state={STATE}&to=/a%20b%3Fc%3D1%26d")
    );
    let target = location
        .to_str()
        .unwrap()
        .strip_prefix("https://gw.example")
        .unwrap();
    let lines = [NAVIGATION[0], NAVIGATION[1], ("cookie", "token=t")];
    // What cannot be gone back to is not gone to.
    assert_eq!(
        ask(Asked {
            target,
            lines: &lines,
            ..Asked::default()
        }),
        "400 LoginRefused"
    );
    let nobody = Front {
        origins: Vec::new(),
        ..mk_front(false)
    };
    assert_eq!(login::location(&nobody, "ui", STATE, b"/"), None);
}

#[test]
fn a_web_ui_can_be_served_by_its_name_alone() {
    let asked = Asked {
        apps_only: true,
        ..Asked::default()
    };
    for (target, expected) in [
        ("/proxy/ui/a?b=1", "to https://ui.apps.example/a?b=1"),
        ("/proxy/ui/", "to https://ui.apps.example/"),
        ("/%70roxy/ui/%2e/a%20b", "400 PathRefused"),
        ("/%70roxy/ui/a%20b", "to https://ui.apps.example/a%20b"),
        ("/clusters/host/proxy/ui/a", "to https://ui.apps.example/a"),
        ("/proxy/ui", "to /proxy/ui/"),
        ("/proxy/ui/api/x", "sent /x"),
        ("/proxy/aware/x", "sent /proxy/aware/x"),
    ] {
        assert_eq!(ask(Asked { target, ..asked }), expected, "{target}");
    }
    // Whoever forwards a port cannot reach the name.
    let here = Asked {
        host: "127.0.0.1:8001",
        target: "/proxy/ui/a",
        ..asked
    };
    assert_eq!(ask(here), "sent /a");
    assert_eq!(
        ask(Asked {
            door: Door::App("ui"),
            target: "/a",
            ..asked
        }),
        "sent /a"
    );
}
