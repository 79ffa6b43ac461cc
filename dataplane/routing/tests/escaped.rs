//! Requests of pages that left the prefix of their object.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::sync::Arc;

use genkan_routing::access::Mode;
use genkan_routing::connectors::Role;
use genkan_routing::credential::Places;
use genkan_routing::decide::{
    Answer, Backend, Caller, Deciding, Destination, Next, Place, Policies, Question, Request, Room, Settings,
    Shown,
};
use genkan_routing::directives::RewriteLinks;
use genkan_routing::door::Door;
use genkan_routing::identity::{Introduction, Unsendable};
use genkan_routing::model::{Matcher, Unavailable};
use genkan_routing::public::Front;
use genkan_routing::{DirectiveSpec, Directives, HeaderStore, Table};
use http::HeaderMap;

#[derive(Debug, Clone)]
struct Object {
    title: &'static str,
    matcher: Matcher,
    directives: Directives,
    base_path: &'static str,
    claims: bool,
    role: Arc<Role<Self>>,
}

#[derive(Debug, Clone, Copy)]
struct Claiming;

impl Policies for Claiming {
    fn claims_authorization(&self) -> bool {
        true
    }

    fn acts(&self, _: Place) -> bool {
        true
    }
}

impl Destination for Object {
    type Handle = Self;
    type Policies = Claiming;

    fn policies(&self) -> Option<Claiming> {
        self.claims.then_some(Claiming)
    }

    fn role(&self) -> &Role<Self> {
        &self.role
    }

    fn title(&self) -> &str {
        self.title
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
            base_path: self.base_path,
            directives: Some(&self.directives),
        })
    }
}

#[derive(Debug)]
struct Somebody;

impl Caller for Somebody {
    fn introduction(&self) -> Result<Option<&Introduction>, Unsendable> {
        Ok(None)
    }

    fn is_anonymous(&self) -> bool {
        false
    }
}

fn mk_table() -> Table<Object, Object> {
    let mut table = Table {
        host_cluster: Some("host".into()),
        ..Table::default()
    };
    let full = DirectiveSpec {
        rewrite_links: RewriteLinks::Full,
        ..DirectiveSpec::default()
    };
    let stripping = |prefix: &str| DirectiveSpec {
        strip_path_prefix: Some(prefix.to_owned()),
        ..full.clone()
    };
    let by_expression = DirectiveSpec {
        path_regexp: vec!["^/proxy/regexp/(.*)$ /$1".to_owned()],
        ..full.clone()
    };
    let markup = DirectiveSpec {
        rewrite_links: RewriteLinks::Markup,
        ..stripping("/proxy/markup")
    };
    for (title, path, method, spec, base_path) in [
        ("full", "/proxy/full/*", "*", stripping("/proxy/full"), ""),
        (
            "below",
            "/proxy/full/other/*",
            "*",
            stripping("/proxy/full/other"),
            "",
        ),
        (
            "based",
            "/proxy/based/*",
            "*",
            stripping("/proxy/based/"),
            "/tools/ui",
        ),
        (
            "reading",
            "/proxy/reading/*",
            "GET",
            stripping("/proxy/reading"),
            "",
        ),
        ("regexp", "/proxy/regexp/*", "*", by_expression, ""),
        (
            "claiming",
            "/proxy/claiming/*",
            "*",
            stripping("/proxy/claiming"),
            "",
        ),
        ("markup", "/proxy/markup/*", "*", markup, ""),
        ("aware", "/proxy/aware/*", "*", full.clone(), ""),
    ] {
        let object = Object {
            title,
            matcher: Matcher::ReverseProxy {
                path: path.to_owned(),
                method: method.to_owned(),
            },
            directives: Directives::compile(&spec).unwrap(),
            base_path,
            claims: title == "claiming",
            role: Arc::default(),
        };
        table.reverse_proxies.insert(path, method, object);
    }
    table
}

struct Asked<'r> {
    method: &'r str,
    target: &'r str,
    door: Door<'r>,
    headers: Vec<(&'r str, &'r str)>,
    is_allowed: bool,
}

fn mk_asked<'r>(target: &'r str, referer: &'r str) -> Asked<'r> {
    Asked {
        method: "GET",
        target,
        door: Door::Main,
        headers: vec![("sec-fetch-site", "same-origin"), ("referer", referer)],
        is_allowed: true,
    }
}

/// Where it is sent back to, or the code and message of another answer.
fn ask(asked: &Asked<'_>) -> Result<String, (u16, String)> {
    let places = Places {
        cookie: Some("token".into()),
    };
    let table = mk_table();
    let mut headers = HeaderMap::new();
    for (name, value) in &asked.headers {
        HeaderStore::append(&mut headers, name, value.as_bytes());
    }
    let request = Request {
        method: asked.method,
        target: asked.target.as_bytes(),
        host: "gw.example",
        door: asked.door,
        is_upgrade: false,
        has_certificate: false,
    };
    let settings = Settings {
        places: Some(&places),
        mode: Mode::Pattern,
        forwards_always: false,
        front: None,
    };
    let front = Front {
        apps: Some("apps.example".parse().unwrap()),
        ..Front::default()
    };
    let settings = Settings {
        front: Some(&front),
        ..settings
    };
    let mut room = Room::default();
    let mut deciding = Deciding::new(request, &table, settings, &mut room);
    loop {
        match deciding.next(&mut headers) {
            Next::Ask(Question::Who(shown)) => {
                if asked.headers.iter().any(|(name, _)| *name == "cookie") {
                    // The rules of the object's own family.
                    assert!(matches!(shown, Shown::Token(_)), "{shown:?}");
                }
                deciding.is_called_by(Somebody);
            }
            Next::Ask(Question::May(access)) => {
                assert!(access.route.is_none(), "nothing of the object is to be seen");
                if asked.is_allowed {
                    deciding.is_allowed();
                    continue;
                }
                let refusal = genkan_routing::answer::Answer::status(403, "AccessDenied", "no");
                let refusal = deciding.veiled(refusal);
                return Err((refusal.code, refusal.message().to_owned()));
            }
            Next::Answer(Answer::Moved { location }) => return Ok(String::from_utf8(location).unwrap()),
            Next::Answer(answer) => {
                let answer = genkan_routing::answer::Answer::from(answer);
                return Err((answer.code, answer.message().to_owned()));
            }
            other => panic!("{other:?}"),
        }
    }
}

const PAGE: &str = "https://gw.example/proxy/full/app/index.html?a#b";

#[test]
fn requests_of_pages_are_sent_back_below_their_prefix() {
    for (target, referer, location) in [
        ("/_dash-layout?a=/b", PAGE, "/proxy/full/_dash-layout?a=/b"),
        ("/", PAGE, ""),
        ("/a/b?", PAGE, "/proxy/full/a/b?"),
        ("//evil.example/x", PAGE, "/proxy/full//evil.example/x"),
        ("/apix", PAGE, "/proxy/full/apix"),
        (
            "/x",
            "http://gw.example/clusters/host/proxy/full/",
            "/clusters/host/proxy/full/x",
        ),
        ("/tools/ui/x", "https://gw.example/proxy/based/", "/proxy/based/x"),
        ("/tools/ui", "https://gw.example/proxy/based/", "/proxy/based/"),
        (
            "/tools/uix",
            "https://gw.example/proxy/based/",
            "/proxy/based/tools/uix",
        ),
        ("/x", "https://gw.example/proxy/regexp/a", "/proxy/regexp/x"),
        ("/x", "https://gw.example/proxy/reading/a", "/proxy/reading/x"),
    ] {
        let seen = ask(&mk_asked(target, referer));
        match location {
            "" => assert_eq!(seen.unwrap_err().0, 404, "{target}"),
            location => assert_eq!(seen.as_deref(), Ok(location), "{target}"),
        }
    }
    let post = Asked {
        method: "POST",
        ..mk_asked("/x", PAGE)
    };
    assert_eq!(ask(&post).as_deref(), Ok("/proxy/full/x"));
    // A cookie counts as it does where the request is sent.
    let mut cookie = mk_asked("/x", PAGE);
    cookie.headers.push(("cookie", "token=t"));
    assert_eq!(ask(&cookie).as_deref(), Ok("/proxy/full/x"));
}

#[test]
fn nothing_else_is_sent_anywhere() {
    for target in [
        "/proxy/none",
        "/proxyx",
        "/api/v1/x",
        "/apis",
        "/kapis/none/v1/x",
        "/kapi/v1/x",
        "/clusters",
        "/clusters/host/x",
        "/clusters-rewrite/host/x",
        "/connectors/x",
        "/openapi/v2",
        "/version",
        "/healthz",
        "/livez",
        "/readyz/x",
        "/.genkan/login",
    ] {
        let (_, message) = ask(&mk_asked(target, PAGE)).unwrap_err();
        assert!(!message.contains("prefix"), "{target}: {message}");
    }
    // Asked for by browsers, for every origin.
    for target in ["/favicon.ico", "/apple-touch-icon-precomposed.png"] {
        let (_, message) = ask(&mk_asked(target, "https://gw.example/proxy/markup/")).unwrap_err();
        assert!(!message.contains("prefix"), "{target}: {message}");
    }
    for referer in [
        "https://gw.example/",
        "https://gw.example/proxy/none/",
        "https://gw.example/proxy/claiming/",
        "https://gw.example/clusters/other/proxy/full/",
        "https://gw.example/proxy/full/../aware/",
        "https://gw.example",
        "/proxy/full/",
        "//gw.example/proxy/full/",
        "about:blank",
        "",
    ] {
        let (code, message) = ask(&mk_asked("/x", referer)).unwrap_err();
        assert_eq!(code, 404, "{referer}");
        assert_eq!(
            message, "no ReverseProxy matches this method and path",
            "{referer}"
        );
    }
    // What a longer match of another object takes there.
    assert!(ask(&mk_asked("/other/x", PAGE)).is_err());
    let posted = Asked {
        method: "POST",
        ..mk_asked("/x", "https://gw.example/proxy/reading/a")
    };
    assert!(ask(&posted).is_err());
}

#[test]
fn who_may_is_told_that_a_ui_does_not_know_its_prefix() {
    let long = format!("/{}", "a".repeat(1_000));
    for (target, referer, sentence) in [
        (
            "/_dash-layout?a=b",
            "https://gw.example/proxy/markup/p?q",
            "pages of markup ask for /_dash-layout outside of /proxy/markup: the UI does not know its prefix; set its base \
             path, or open https://markup.apps.example/",
        ),
        (
            "/x",
            "https://gw.example/proxy/aware/",
            "pages of aware ask for /x outside of /proxy/aware: the UI does not know its prefix; set its base path, or open it \
             by host (genkan open /proxy/aware/)",
        ),
        ("/proxy/none/%e4%00", "https://gw.example/proxy/markup/", ""),
        (
            "/%C3%A4",
            "https://gw.example/clusters/host/proxy/markup/",
            "pages of markup ask for /%C3%A4 outside of /proxy/markup",
        ),
        (
            &long,
            "https://gw.example/proxy/markup/",
            "aaaaaaa outside of /proxy/markup",
        ),
    ] {
        let (code, message) = ask(&mk_asked(target, referer)).unwrap_err();
        let expected = if sentence.is_empty() { 400 } else { 404 };
        assert_eq!(code, expected, "{target}: {message}");
        assert!(message.contains(sentence) && message.len() < 400, "{message}");
        let refused = Asked {
            is_allowed: false,
            ..mk_asked(target, referer)
        };
        assert!(!ask(&refused).unwrap_err().1.contains("prefix"), "{target}");
    }
    // Without the word of the browser, the page has to be one of this host.
    for (referer, is_told) in [
        ("http://GW.example/proxy/markup/", true),
        ("http://other.example/proxy/markup/", false),
    ] {
        let asked = Asked {
            headers: vec![("referer", referer)],
            ..mk_asked("/x", "")
        };
        assert_eq!(
            ask(&asked).unwrap_err().1.contains("prefix"),
            is_told,
            "{referer}"
        );
    }
}

#[test]
fn only_pages_of_this_origin_are_believed() {
    for headers in [
        vec![("sec-fetch-site", "cross-site"), ("referer", PAGE)],
        vec![("sec-fetch-site", "same-site"), ("referer", PAGE)],
        vec![("sec-fetch-site", "none"), ("referer", PAGE)],
        vec![("referer", PAGE)],
        vec![("sec-fetch-site", "same-origin")],
        vec![
            ("sec-fetch-site", "same-origin"),
            ("referer", PAGE),
            ("referer", PAGE),
        ],
    ] {
        let asked = Asked {
            headers,
            ..mk_asked("/x", PAGE)
        };
        let is_told = asked.headers.len() == 1 && asked.headers[0].0 == "referer";
        let (code, message) = ask(&asked).unwrap_err();
        assert_eq!(
            (code, message.contains("prefix")),
            (404, is_told),
            "{:?}",
            asked.headers
        );
    }
    for door in [Door::App("none"), Door::App("full"), Door::Local("markup")] {
        let app = Asked {
            door,
            ..mk_asked("/.genkan/x", PAGE)
        };
        assert_eq!(
            ask(&app).unwrap_err(),
            (404, "nothing is published under this path".to_owned())
        );
    }
}

#[test]
fn who_may_not_learns_nothing() {
    let refused = |referer: &str| {
        let asked = Asked {
            is_allowed: false,
            ..mk_asked("/x", referer)
        };
        ask(&asked).unwrap_err()
    };
    assert_eq!(refused(PAGE), refused("https://gw.example/proxy/none/"));
    // Not by a credential that counts only there, either.
    let mut asked = mk_asked("/x", PAGE);
    asked.method = "POST";
    asked.headers = vec![
        ("sec-fetch-site", "same-origin"),
        ("referer", PAGE),
        ("origin", "https://evil.example"),
    ];
    asked.is_allowed = false;
    assert_eq!(ask(&asked), Err(refused(PAGE)));
}
