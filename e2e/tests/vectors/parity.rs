//! Requests that the cases do not have: every refusal, every place of a credential and every header form, at data planes
//! that are started in different ways.

#[path = "parity/rows.rs"]
mod rows;

use serde_json::{Value, json};

use super::case::{Case, Request};
use super::client::exchange;
use super::explained;
use super::pair::{Flags, Pair};
use super::upstream::{Keys, Upstream};
use rows::{ROWS, Row};

use genkan_e2e::programs::Programs;

/// Reasons that depend on callers having names, or on the cookie.
const OF_CALLERS: &[&str] = &[
    "AccessDenied",
    "CredentialNotUnderstood",
    "IdentityNotSendable",
    "OriginRefused",
];

#[test]
fn explain_foretells_the_data_plane() {
    let programs = Programs::build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make(folder.path());
    let ways = [
        Flags {
            cookie: Some("ks"),
            ..Flags::DEFAULT
        },
        Flags {
            forwards_always: true,
            cookie: Some("ks"),
            public: Some("https://gw.test"),
            ..Flags::DEFAULT
        },
        Flags {
            is_open: true,
            ..Flags::DEFAULT
        },
    ];
    let failures: Vec<String> = std::thread::scope(|scope| {
        let (programs, keys, folder) = (&programs, &keys, folder.path());
        let workers: Vec<_> = ways
            .iter()
            .enumerate()
            .map(|(number, flags)| {
                let folder = folder.join(format!("parity-{number}"));
                scope.spawn(move || carry_out(programs, &folder, flags, keys))
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(
        failures.is_empty(),
        "{} answers differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn carry_out(programs: &Programs, folder: &std::path::Path, flags: &Flags, keys: &Keys) -> Vec<String> {
    let mut pair = Pair::start(programs, folder, flags);
    let upstream = Upstream::start(&Value::Null, keys);
    let nobody = mk_case(&[]);
    pair.begin(&nobody);
    pair.publish(objects(&upstream.address.to_string())).unwrap();
    let mut failures = Vec::new();
    for (number, row) in ROWS.iter().enumerate() {
        let mark = format!(".r{number}");
        pair.reviewer.begin(&mk_case(row.2), &mark);
        let request = mk_request(row, &mark);
        let before = upstream.taken().len();
        let answer = exchange(pair.listen(), &request);
        let taken = upstream.taken().split_off(before);
        let mut differences = explained::differences(&pair, &mark, &request, &answer, &taken);
        differences.extend(unexpected(row, flags, &answer, !taken.is_empty()));
        failures.extend(
            differences
                .into_iter()
                .map(|what| format!("{flags:?}\n  {} {} {:?}\n    {what}", row.0, row.1, row.2)),
        );
    }
    failures
}

/// So that a row shows what it is there for.
fn unexpected(row: &Row, flags: &Flags, answer: &super::client::Answer, is_taken: bool) -> Option<String> {
    let reason = genkan_kit::wire::values(&answer.headers, "x-genkan-reason").next();
    let got = match reason {
        Some(reason) => reason,
        None if is_taken => "ok",
        None => "ServerOptions",
    };
    let depends = flags.is_open && OF_CALLERS.contains(&row.3);
    (!depends && got != row.3).then(|| format!("{} was expected, not {got}: {}", row.3, answer.body))
}

fn mk_case(lines: &[&str]) -> Case {
    let mut identity = json!({ "extraGroups": ["staff"], "uid": "u-1", "extra": { "scopes": ["a", "b"] } });
    if lines.contains(&"BAD-EXTRA") {
        identity["extra"] = json!({ "scopes": ["a\nb"] });
    }
    let mut config = json!({});
    if lines.contains(&"DENIED") {
        config["authorization"] = json!("deny");
    }
    if lines.contains(&"NO-SUBRESOURCES") {
        config["authorization"] = json!("no subresources");
    }
    Case {
        id: String::new(),
        area: String::new(),
        json: json!({ "identity": identity, "config": config }),
    }
}

fn mk_request((method, target, lines, _): &Row, mark: &str) -> Request {
    use base64::Engine as _;
    let token = format!("tok-jane{mark}");
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&token);
    let fill = |value: &str| {
        value
            .replace("TOKEN", &format!("Bearer {token}"))
            .replace("COOKIE", &token)
            .replace(
                "SUBPROTOCOL",
                &format!("base64url.bearer.authorization.k8s.io.{encoded}"),
            )
    };
    let mut headers = Vec::new();
    for line in *lines {
        match *line {
            "BAD-EXTRA" | "DENIED" | "NO-SUBRESOURCES" => {}
            "LONG-VALUE" => headers.push(("X-Long".to_owned(), "a".repeat(70_000))),
            "MANY-LINES" => headers.extend((0..201).map(|n| (format!("X-{n}"), "a".to_owned()))),
            line => {
                let (name, value) = line.split_once(':').unwrap();
                headers.push((name.to_owned(), fill(value.trim_start())));
            }
        }
    }
    let target = target
        .replace("LONG-TARGET", &format!("/proxy/plain/{}", "a".repeat(33_000)))
        .replace("LONG-PATH", &"a".repeat(32_500));
    Request {
        method: (*method).to_owned(),
        target,
        proto: "HTTP/1.1".to_owned(),
        headers,
        body: None,
        bytes_after_101: None,
    }
}

fn objects(backend: &str) -> Vec<Value> {
    let url = format!("http://{backend}");
    let there = || json!({ "url": url });
    let mut objects: Vec<Value> = [
        ("plain", there(), json!({})),
        ("forward", there(), json!({})),
        ("who", there(), json!({ "authProxy": true })),
        (
            "wrap",
            json!({ "url": format!("{url}/base") }),
            json!({ "wrapTransport": true, "stripPathPrefix": "/proxy/wrap", "authProxy": true }),
        ),
        (
            "up",
            there(),
            json!({ "headerUp": ["X-Team shop", "+X-Team cart", "-X-Internal-*", "-Cookie", "X-Forwarded-For 9"] }),
        ),
        (
            "preserve",
            json!({ "url": url, "host": { "mode": "Preserve" } }),
            json!({}),
        ),
        (
            "named",
            json!({ "url": url, "host": { "mode": "Name", "name": "ui.example:81" } }),
            json!({}),
        ),
        ("kept", json!({ "url": url, "origin": "Keep" }), json!({})),
        ("method", there(), json!({ "method": "PUT" })),
        ("climbing", there(), json!({ "replace": ["dots .."] })),
        (
            "growing",
            json!({ "url": format!("{url}/{}", "b".repeat(600)) }),
            json!({ "replace": ["aaa bbbbbb"] }),
        ),
        ("swelling", there(), json!({ "replace": ["a bbbb"] })),
        (
            "costly",
            there(),
            json!({ "pathRegexp": ["^/none x", "[ab]*a[ab]{990}c x"] }),
        ),
        ("absent", json!({ "service": { "namespace": "n", "name": "absent" } }), json!({})),
        ("idle", json!({ "service": { "namespace": "n", "name": "idle" } }), json!({})),
        ("invalid", there(), json!({ "headerUp": ["Foo: bar"] })),
        ("metadata", json!({ "url": "http://169.254.169.254" }), json!({})),
        ("linked", json!({ "url": "http://[::ffff:169.254.1.1]" }), json!({})),
    ]
    .into_iter()
    .map(|(name, upstream, directives)| {
        json!({
            "apiVersion": "extensions.kubesphere.io/v1alpha1",
            "kind": "ReverseProxy",
            "metadata": { "name": name },
            "spec": {
                "matcher": { "path": format!("/proxy/{name}/*"), "method": "*" },
                "upstream": upstream,
                "directives": directives,
                "forwardAuthorization": name == "forward",
            },
        })
    })
    .collect();
    objects.push(json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1",
        "kind": "ReverseProxy",
        "metadata": { "name": "exact" },
        "spec": { "matcher": { "path": "/proxy/exact", "method": "*" }, "upstream": { "url": url } },
    }));
    objects.push(json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1",
        "kind": "APIService",
        "metadata": { "name": "v1.shop.example" },
        "spec": { "group": "shop.example", "version": "v1", "url": url },
    }));
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "namespace": "n", "name": "idle" },
        "spec": { "ports": [{ "port": 443 }] },
    }));
    objects
}
