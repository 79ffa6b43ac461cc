//! Requests that the cases do not have: every refusal, every place of a credential and every header form, at data planes
//! that are started in different ways.

use serde_json::{Value, json};

use super::case::{Case, Request};
use super::client::exchange;
use super::explained;
use super::pair::{Flags, Pair};
use super::upstream::{Keys, Upstream};

use genkan_e2e::programs::Programs;

/// Method, target, header lines, and how the request ends: its reason, or `ok` when the backend answers. An upgrade ends in
/// `BackendProtocol`, for the backend gets it and does not switch.
type Row = (&'static str, &'static str, &'static [&'static str], &'static str);

/// `TOKEN` stands for a good token.
const ROWS: &[Row] = &[
    // The head.
    ("TRACE", "/proxy/plain/a", &[], "MethodRefused"),
    ("CONNECT", "/proxy/plain/a", &[], "MethodRefused"),
    ("G(T", "/proxy/plain/a", &[], "Framing"),
    ("PURGE", "/proxy/plain/a", &[], "ok"),
    ("OPTIONS", "*", &[], "ServerOptions"),
    ("GET", "*", &[], "PathRefused"),
    ("GET", "/proxy/plain/a b", &[], "Framing"),
    ("GET", "/proxy/plain/a#b", &[], "PathRefused"),
    ("GET", "proxy/plain/a", &[], "PathRefused"),
    ("GET", "https://gw.test/proxy/plain/a", &[], "PathRefused"),
    ("GET", "http://gw.test/proxy/plain/a?b", &[], "ok"),
    ("GET", "http://other.test/proxy/plain/a", &[], "HostRefused"),
    ("GET", "/proxy/plain/a", &["Host: a b"], "HostRefused"),
    (
        "GET",
        "/proxy/plain/a",
        &["Host: a.test", "Host: b.test"],
        "Framing",
    ),
    ("GET", "/proxy/plain/a", &["Na me: 1"], "Framing"),
    ("GET", "/proxy/plain/a", &["Name : 1"], "Framing"),
    ("GET", "/proxy/plain/a", &["Name: \u{1}"], "Framing"),
    ("GET", "/proxy/plain/a", &["Name: \u{e4}"], "ok"),
    ("GET", "/proxy/plain/`<\u{e4}>?\"<`>\u{e4}", &[], "ok"),
    ("GET", "/proxy/plain/a", &["Expect: 100-continue"], "ok"),
    ("POST", "/proxy/plain/a", &["Content-Length: 0"], "ok"),
    ("POST", "/proxy/plain/a", &["Content-Length: 01"], "Framing"),
    (
        "POST",
        "/proxy/plain/a",
        &["Content-Length: 1", "Transfer-Encoding: chunked"],
        "Framing",
    ),
    (
        "POST",
        "/proxy/plain/a",
        &["Transfer-Encoding: gzip, chunked"],
        "TransferCoding",
    ),
    (
        "POST",
        "/proxy/plain/a",
        &["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2"],
        "Framing",
    ),
    ("GET", "LONG-TARGET", &[], "TargetTooLong"),
    ("GET", "/proxy/plain/a", &["LONG-VALUE"], "HeaderTooLarge"),
    ("GET", "/proxy/plain/a", &["MANY-LINES"], "HeaderTooLarge"),
    // What Connection names, and what belongs to one connection.
    (
        "GET",
        "/proxy/plain/a",
        &["Connection: close, Host"],
        "ConnectionRefused",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Connection: X-Forwarded-For"],
        "ConnectionRefused",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Connection: Impersonate_User"],
        "ConnectionRefused",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Connection: a,b,c,d,e,f,g,h,i,j"],
        "Framing",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Connection: X-Hop, close", "X-Hop: 1"],
        "ok",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &[
            "Connection: X-KubeSphere-Authorization",
            "X-KubeSphere-Authorization: Bearer x",
        ],
        "ok",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &[
            "Connection: TE, close",
            "TE: gzip, trailers",
            "Keep-Alive: 1",
            "Proxy-Authorization: x",
            "Trailer: x",
        ],
        "ok",
    ),
    ("GET", "/proxy/plain/a", &["TE: gzip, trailers"], "ok"),
    (
        "GET",
        "/proxy/plain/a",
        &[
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: x",
        ],
        "ok",
    ),
    ("GET", "/proxy/plain/a", &["Upgrade: websocket"], "ok"),
    (
        "GET",
        "/proxy/plain/a",
        &[
            "Connection: keep-alive",
            "Connection: Upgrade",
            "Upgrade: WebSocket",
        ],
        "BackendProtocol",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Connection: Upgrade", "Upgrade: SPDY/3.1", "Upgrade: websocket"],
        "BackendProtocol",
    ),
    // The path and the query.
    ("GET", "/proxy/plain/../a", &[], "PathRefused"),
    ("GET", "/proxy/plain/%2e%2E/a", &[], "PathRefused"),
    ("GET", "/proxy/plain/%zz", &[], "PathRefused"),
    ("GET", "/proxy/plain/a\\b", &[], "PathRefused"),
    ("GET", "/proxy/plain/%61%2f?%61", &[], "ok"),
    ("GET", "/proxy/plain", &[], "BarePrefix"),
    ("HEAD", "/proxy/plain?a=b", &[], "BarePrefix"),
    ("GET", "/proxy/plain/a?dryrun=All", &[], "ok"),
    (
        "GET",
        "/proxy/plain/a",
        &["X-KubeSphere-Rawquery: a=b&dryrun=1"],
        "ok",
    ),
    ("GET", "/proxy/plain/a?", &["X-KubeSphere-Rawquery: a=b"], "ok"),
    ("GET", "/proxy/plain/a?c=d", &["X-KubeSphere-Rawquery: a=b"], "ok"),
    ("GET", "/proxy/plain/a", &["X-KubeSphere-Rawquery:"], "ok"),
    ("GET", "/proxy/plain/a", &["X-KubeSphere-Rawquery: a=\"b\""], "ok"),
    (
        "GET",
        "/proxy/plain/a",
        &["X-KubeSphere-Rawquery: a b"],
        "QueryRefused",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["X-KubeSphere-Rawquery: a#b"],
        "QueryRefused",
    ),
    ("GET", "/proxy/plain/a?b", &["X-KubeSphere-Rawquery: a b"], "ok"),
    ("GET", "/kapis/shop.example/v1/watch", &[], "RequestNotUnderstood"),
    // Loops and spoofing.
    (
        "GET",
        "/proxy/plain/a",
        &["X-Forwarded-For: 1, 2", "X-Forwarded-For: 3"],
        "ok",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &[
            "X-Forwarded-For: 1,2,3,4,5,6,7,8,9,10,11,12",
            "X-Forwarded-For: 1,2,3,4,5,6,7,8,9",
        ],
        "LoopDetected",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Impersonate-User: root"],
        "ImpersonationNotSupported",
    ),
    (
        "GET",
        "/proxy/none/a",
        &["impersonate_extra-x: y"],
        "ImpersonationNotSupported",
    ),
    (
        "GET",
        "/api/v1/pods",
        &["Impersonate-User: root"],
        "NoRouteMatched",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &[
            "X_Remote-User: root",
            "X-Plugin-A: 1",
            "X-Remote-Extra-A: 1",
            "X-Remote-Addr: 1",
        ],
        "ok",
    ),
    // Credentials.
    ("GET", "/proxy/plain/a", &["Authorization: TOKEN"], "ok"),
    ("GET", "/proxy/forward/a", &["Authorization: TOKEN"], "ok"),
    ("GET", "/proxy/plain/a", &["Authorization: Basic dTpw"], "ok"),
    (
        "GET",
        "/proxy/plain/a",
        &["X-KubeSphere-Authorization: TOKEN"],
        "ok",
    ),
    (
        "GET",
        "/proxy/forward/a",
        &["X-KubeSphere-Authorization: TOKEN"],
        "ok",
    ),
    (
        "GET",
        "/proxy/forward/a",
        &["Authorization: TOKEN", "X-KubeSphere-Authorization: Bearer other"],
        "ok",
    ),
    (
        "GET",
        "/proxy/forward/a",
        &["Authorization:", "X-KubeSphere-Authorization: TOKEN"],
        "ok",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Authorization: Digest x"],
        "CredentialNotUnderstood",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Authorization: Bearer a b"],
        "CredentialNotUnderstood",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Authorization: TOKEN", "Authorization: Basic x"],
        "CredentialNotUnderstood",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Authorization: Digest x", "Impersonate-User: root"],
        "CredentialNotUnderstood",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &[
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Protocol: chat, SUBPROTOCOL, v2",
        ],
        "BackendProtocol",
    ),
    (
        "GET",
        "/proxy/forward/a",
        &[
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Protocol: chat, SUBPROTOCOL",
        ],
        "BackendProtocol",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &[
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Protocol: SUBPROTOCOL",
        ],
        "CredentialNotUnderstood",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Sec-WebSocket-Protocol: chat, SUBPROTOCOL"],
        "ok",
    ),
    ("GET", "/proxy/who/a", &["Cookie: a=b; ks=COOKIE; c=\"d\""], "ok"),
    ("GET", "/proxy/forward/a", &["Cookie: a=b; ks=COOKIE"], "ok"),
    (
        "GET",
        "/proxy/plain/a",
        &["Cookie: ks=COOKIE", "Cookie: a=b"],
        "ok",
    ),
    (
        "POST",
        "/proxy/plain/a",
        &["Cookie: ks=COOKIE", "Content-Length: 0"],
        "OriginRefused",
    ),
    (
        "POST",
        "/proxy/plain/a",
        &["Cookie: ks=COOKIE", "Origin: http://gw.test", "Content-Length: 0"],
        "ok",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &[
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Cookie: ks=COOKIE",
            "Origin: http://evil.test",
        ],
        "OriginRefused",
    ),
    // Who calls, and what they may.
    ("GET", "/proxy/who/a", &["Authorization: TOKEN"], "ok"),
    ("GET", "/proxy/who/a", &[], "ok"),
    (
        "GET",
        "/kapis/shop.example/v1/carts",
        &["Authorization: TOKEN"],
        "ok",
    ),
    (
        "GET",
        "/proxy/who/a",
        &["Authorization: TOKEN", "BAD-EXTRA"],
        "IdentityNotSendable",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Authorization: TOKEN", "BAD-EXTRA"],
        "ok",
    ),
    (
        "GET",
        "/proxy/plain/a",
        &["Authorization: TOKEN", "DENIED"],
        "AccessDenied",
    ),
    (
        "GET",
        "/proxy/absent/a",
        &["Authorization: TOKEN", "DENIED"],
        "AccessDenied",
    ),
    (
        "GET",
        "/kapis/shop.example/v1/carts/a",
        &["Authorization: TOKEN", "DENIED"],
        "AccessDenied",
    ),
    (
        "GET",
        "/proxy/none/a",
        &["Authorization: TOKEN", "DENIED"],
        "NoRouteMatched",
    ),
    // What the object makes of it.
    ("GET", "/proxy/wrap/a%20b?c", &["X-Forwarded-Proto: gopher"], "ok"),
    (
        "GET",
        "/proxy/up/a",
        &["X-Team: none", "X-Internal-Id: 1", "Cookie: a=b"],
        "ok",
    ),
    ("GET", "/proxy/method/a", &["Authorization: TOKEN"], "ok"),
    ("GET", "/proxy/climbing/dots", &[], "PathRefused"),
    ("GET", "/proxy/growing/LONG-PATH", &[], "TargetTooLong"),
    ("GET", "/proxy/swelling/LONG-PATH", &[], "PathRefused"),
    ("GET", "/proxy/absent/a", &[], "BackendNotFound"),
    ("GET", "/proxy/idle/a", &[], "NoReadyEndpoints"),
    ("GET", "/proxy/invalid/a", &[], "Invalid"),
    ("GET", "/proxy/metadata/a", &[], "AddressRefused"),
    ("GET", "/proxy/linked/a", &[], "AddressRefused"),
    // What nothing takes, and what genkan answers itself.
    ("GET", "/", &[], "NoRouteMatched"),
    ("POST", "/proxy/plain", &["Content-Length: 0"], "NoRouteMatched"),
    ("GET", "/version", &[], "NoRouteMatched"),
    ("GET", "/kapis/shop.example/v2/carts", &[], "NoRouteMatched"),
    ("GET", "/clusters/member/proxy/plain/a", &[], "ClusterNotFound"),
    ("GET", "/kapis", &[], "Discovery"),
    ("GET", "/kapis/shop.example", &[], "Discovery"),
];

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
    let reason = super::wire::values(&answer.headers, "x-genkan-reason").next();
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
            "BAD-EXTRA" | "DENIED" => {}
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
        ("method", there(), json!({ "method": "PUT" })),
        ("climbing", there(), json!({ "replace": ["dots .."] })),
        (
            "growing",
            json!({ "url": format!("{url}/{}", "b".repeat(600)) }),
            json!({ "replace": ["aaa bbbbbb"] }),
        ),
        ("swelling", there(), json!({ "replace": ["a bbbb"] })),
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
