//! What `genkan explain` says.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use genkan_routing::access::{Attributes, Mode};
use genkan_tools::explain::{Caller, Outcome, Request, Reviewer, Settings, World, explain, text};

const QUESTIONS: &[(&str, &str, &[&str])] = &[
    (
        "GET",
        "https://gw.example/proxy/shop/old/a%2fb?x=1",
        &[
            "Authorization: Bearer t",
            "X-Team: none",
            "X-Internal-Id: 1",
            "X_Remote-User: root",
            "Connection: X-Hop, keep-alive",
            "X-Hop: 1",
            "X-Forwarded-For: 192.0.2.1",
        ],
    ),
    ("POST", "/proxy/shop/orders", &[]),
    (
        "GET",
        "/proxy/shop/orders",
        &["Connection: Upgrade", "Upgrade: websocket"],
    ),
    ("GET", "/proxy/shop", &["X-KubeSphere-Rawquery: a=b"]),
    (
        "POST",
        "/proxy/other?dryrun=All",
        &["X-KubeSphere-Authorization: Bearer t"],
    ),
    ("GET", "/proxy/broken", &[]),
    ("GET", "/proxy/invalid", &[]),
    ("GET", "/proxy/idle", &[]),
    ("GET", "/proxy/console/x", &[]),
    ("GET", "/proxy/climbing/dots", &[]),
    ("GET", "/proxy/a/../b", &[]),
    ("GET", "/nothing", &[]),
    ("GET", "/proxy/x", &["Impersonate-User: root"]),
    ("GET", "/proxy/x", &["Connection: Host"]),
    (
        "GET",
        "/proxy/x",
        &[
            "X-Forwarded-For: 1,2,3,4,5,6,7,8,9,10,11,12",
            "X-Forwarded-For: 1,2,3,4,5,6,7,8,9",
        ],
    ),
    ("GET", "/kapis/shop.example/v1/namespaces/a/carts", &[]),
    ("GET", "/kapis/shop.example/v1", &[]),
    ("DELETE", "/kapis/shop.example/v2/carts/1", &[]),
    ("GET", "/kapis/shop.example/v3/carts", &[]),
    ("GET", "/kapis/shop.example", &[]),
    ("GET", "/kapis", &[]),
    ("GET", "/clusters/member/kapis/shop.example/v1/carts", &[]),
    ("GET", "/api/v1/pods", &["Impersonate-User: root"]),
    ("TRACE", "/proxy/x", &[]),
    ("OPTIONS", "*", &[]),
    ("GET", "/proxy/x", &["Na me: 1"]),
    (
        "GET",
        "/proxy/x",
        &["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2"],
    ),
    ("GET", "/proxy/x", &["X-KubeSphere-Rawquery: a b"]),
    ("GET", "/proxy/x?c=d", &["X-KubeSphere-Rawquery: a=b"]),
    ("GET", "/proxy/x", &["Authorization: Digest x"]),
    (
        "GET",
        "/proxy/x",
        &[
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Protocol: chat, base64url.bearer.authorization.k8s.io.dG9r",
        ],
    ),
    ("GET", "/proxy/metadata", &[]),
    ("POST", "/proxy/invalid", &["Content-Type: application/grpc"]),
    (
        "GET",
        "https://gw.example/proxy/x/#/d/1",
        &["Authorization: Basic amFuZQ=="],
    ),
];

#[test]
fn every_question_is_answered_in_the_words_recorded() {
    let (world, problems) = World::from_directory(&root().join("tests/explain/world")).unwrap();
    assert_eq!(problems, [""; 0]);
    let mut said = String::new();
    for (method, url, headers) in QUESTIONS {
        said.push_str(&format!("$ genkan explain {method} '{url}'"));
        for header in *headers {
            said.push_str(&format!(" -H '{header}'"));
        }
        let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
        let request = Request::new(method, url, &headers).unwrap();
        said.push_str(&format!(
            "\n{}\n",
            text(&explain(&world, &Settings::default(), &request, None).unwrap())
        ));
    }
    let path = root().join("tests/explain/answers.txt");
    if std::env::var_os("GENKAN_REWRITE").is_some() {
        std::fs::write(&path, &said).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        recorded == said,
        "answers.txt has changed; GENKAN_REWRITE=1 rewrites it. Found:\n{said}"
    );
}

#[test]
fn the_answer_is_complete_for_programs() {
    let (world, _) = World::from_directory(&root().join("tests/explain/world")).unwrap();
    let request = Request::new("POST", "/proxy/shop/orders", &[]).unwrap();
    let json = serde_json::json!(explain(&world, &Settings::default(), &request, None).unwrap());
    assert_eq!(json["outcome"]["type"], "forward");
    assert_eq!(json["outcome"]["target"], "/orders/");
    assert_eq!(
        json["outcome"]["peer"]["endpoints"],
        serde_json::json!(["10.0.0.1:8080", "10.0.0.2:8080"])
    );
    assert_eq!(json["candidates"][0]["object"], "ReverseProxy shop-orders");
    assert_eq!(json["candidates"][0]["wins"], true);
}

/// Whom a single role allows a single thing.
#[derive(Debug)]
struct Role(&'static str, &'static str);

impl Reviewer for Role {
    fn allows(&self, user: &str, _: &[String], attributes: &Attributes<'_>) -> anyhow::Result<bool> {
        anyhow::ensure!(user != "unknown", "nobody answers");
        Ok(user == self.0 && attributes.values()[2] == self.1)
    }
}

#[test]
fn callers_are_judged_before_objects() {
    let (world, _) = World::from_directory(&root().join("tests/explain/world")).unwrap();
    let ask = |user: &str, url: &str| {
        let request = Request::new("GET", url, &[]).unwrap();
        let role = Box::new(Role("jane", "/proxy/broken"));
        let caller = Caller::new(user.into(), Vec::new(), Mode::Pattern, role);
        explain(&world, &Settings::default(), &request, Some(&caller)).map(|explanation| explanation.outcome)
    };
    let code = |outcome| match outcome {
        Outcome::Refuse { code, message, .. } => (code, message),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(ask("jane", "/proxy/broken").unwrap()).0, 503);
    let (refused, message) = code(ask("joe", "/proxy/broken").unwrap());
    assert_eq!(refused, 403);
    assert!(
        message.contains("\"joe\" cannot get path \"/proxy/broken\""),
        "{message}"
    );
    assert!(
        message.contains(r#"{nonResourceURLs: ["/proxy/broken"], verbs: ["get"]}"#),
        "{message}"
    );
    // What matches nothing is nobody's business.
    assert_eq!(code(ask("joe", "/nothing").unwrap()).0, 404);
    assert!(ask("unknown", "/proxy/broken").is_err());
}

/// Allows who has a name.
#[derive(Debug)]
struct Named;

impl Reviewer for Named {
    fn allows(&self, user: &str, _: &[String], _: &Attributes<'_>) -> anyhow::Result<bool> {
        Ok(user != "system:anonymous")
    }
}

#[test]
fn names_of_web_uis_and_their_log_in_are_foretold() {
    let (world, problems) = World::from_directory(&root().join("../../examples")).unwrap();
    assert_eq!(problems, [""; 0]);
    let settings = |apps_only| Settings {
        token_cookie: Some("token".into()),
        allow_upstream_cidr: vec!["127.0.0.0/8".parse().unwrap()],
        public_url: vec!["https://gw.example".parse().unwrap()],
        apps_domain: Some("apps.example".parse().unwrap()),
        apps_only,
        ..Settings::default()
    };
    let headers = [
        "Sec-Fetch-Mode: navigate".to_owned(),
        "Sec-Fetch-Dest: document".to_owned(),
    ];
    let ask = |url: &str, user: &str, apps_only| {
        let request = Request::new("GET", url, &headers).unwrap();
        let caller = Caller::new(user.to_owned(), Vec::new(), Mode::Pattern, Box::new(Named));
        match explain(&world, &settings(apps_only), &request, Some(&caller))
            .unwrap()
            .outcome
        {
            Outcome::Forward(forward) => format!("sent {}", forward.target),
            Outcome::Redirect { code, location } => format!("{code} {location}"),
            Outcome::Refuse { code, reason, .. } => format!("{code} {reason}"),
            other => panic!("{url}: {other:?}"),
        }
    };
    let state = "0".repeat(64);
    let login = format!("https://gw.example/.genkan/login?app=hello&state={state}&to=/a");
    for (url, user, apps_only, expected) in [
        ("https://hello.apps.example/a?b=c", "jane", false, "sent /a?b=c"),
        (
            "https://hello.apps.example/a?b=c",
            "system:anonymous",
            false,
            "303 https://gw.example/.genkan/login?app=hello&state=STATE&to=/a%3Fb%3Dc",
        ),
        (&login, "system:anonymous", false, "401 LoginRequired"),
        (
            &login,
            "jane",
            false,
            "303 https://hello.apps.example/.genkan/session?code=CODE&to=/a",
        ),
        (
            "https://nobody.apps.example/",
            "jane",
            false,
            "404 NoRouteMatched",
        ),
        ("https://HELLO.apps.example/", "jane", false, "404 NoRouteMatched"),
        (
            "https://gw.example/proxy/hello/a?b=c",
            "jane",
            true,
            "307 https://hello.apps.example/a?b=c",
        ),
    ] {
        assert_eq!(ask(url, user, apps_only), expected, "{url}");
    }
}

#[test]
fn the_examples_answer() {
    let (world, problems) = World::from_directory(&root().join("../../examples")).unwrap();
    assert_eq!(problems, [""; 0]);
    // As the page about them starts the data plane.
    let settings = Settings {
        allow_upstream_cidr: vec!["127.0.0.0/8".parse().unwrap()],
        ..Settings::default()
    };
    for (url, target) in [
        ("/proxy/hello/a?b=c", "/a?b=c"),
        ("/kapis/hello.example/v1/things", "/kapis/hello.example/v1/things"),
        ("/proxy/directives/old/docs/u", "/new/old/v1/docs/u?from=genkan"),
        ("/proxy/external/v1", "/base/v1"),
    ] {
        let request = Request::new("GET", url, &[]).unwrap();
        match explain(&world, &settings, &request, None).unwrap().outcome {
            Outcome::Forward(forward) => assert_eq!(forward.target, target),
            other => panic!("{url}: {other:?}"),
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
