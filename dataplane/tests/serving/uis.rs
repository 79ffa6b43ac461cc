//! Web UIs: what they are told of the front, what their answers may not say, and an origin of their own.

use genkan_kit::wire::values;
use genkan_proto::v1alpha1::Directives;

use crate::kit::{Answer, Backend, Client, Then};
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::Process;

fn cookies(answer: &Answer) -> Vec<&str> {
    values(&answer.headers, "set-cookie").collect()
}

fn mk_stripped(prefix: &str) -> Directives {
    Directives {
        strip_path_prefix: prefix.into(),
        ..none()
    }
}

#[tokio::test]
async fn a_ui_is_told_the_truth_about_the_front() {
    let backend = Backend::ok().await;
    let process = Process::start(&["--public-url", "https://gw.example,http://inner.example"]).await;
    let mut upstream = mk_host(backend.address);
    upstream.base_path = "/base".into();
    let preserving = genkan_proto::v1alpha1::Upstream {
        preserves_host: true,
        ..mk_host(backend.address)
    };
    let keeping = genkan_proto::v1alpha1::Upstream {
        host_name: "ui.example:81".into(),
        keeps_origin: true,
        ..mk_host(backend.address)
    };
    let resources = vec![
        mk_proxy("ui", "/proxy/ui/*", upstream, mk_stripped("/proxy/ui")),
        mk_proxy("preserving", "/proxy/preserving/*", preserving, none()),
        mk_proxy("keeping", "/proxy/keeping/*", keeping, none()),
    ];
    process.operator.publish(resources).await;
    let mut client = Client::connect(process.address).await;
    let mut ask = async |path: &str, lines: &str| {
        let before = backend.lengths();
        client
            .send(format!(
                "POST {path} HTTP/1.1\r\n{lines}Content-Length: 0\r\n\r\n"
            ))
            .await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        backend.received_since(&before).to_lowercase()
    };
    let own = format!("http://{}", backend.address);

    let public =
        "Host: gw.example\r\nOrigin: https://gw.example\r\nReferer: https://gw.example/proxy/ui/a?b\r\n";
    let told = ask("/proxy/ui/a", public).await;
    for line in [
        "x-forwarded-host: gw.example\r\n",
        "x-forwarded-proto: https\r\n",
        "x-forwarded-port: 443\r\n",
        "x-forwarded-prefix: /proxy/ui\r\n",
        "forwarded: for=127.0.0.1;host=gw.example;proto=https\r\n",
        &format!("\r\norigin: {own}\r\n"),
        &format!("referer: {own}/base/a?b\r\n"),
        &format!("\r\nhost: {}\r\n", backend.address),
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    // A name that nobody told us may be one that was made to lead here.
    let told = ask(
        "/proxy/ui/a",
        "Host: rebound.example\r\nOrigin: http://rebound.example\r\n",
    )
    .await;
    assert!(told.contains("\r\norigin: http://rebound.example\r\n"), "{told}");

    let told = ask(
        "/proxy/preserving/a",
        "Host: inner.example\r\nOrigin: http://inner.example\r\n",
    )
    .await;
    assert!(
        told.contains("\r\nhost: inner.example\r\n") && told.contains("\r\norigin: http://inner.example\r\n"),
        "{told}"
    );
    let told = ask("/proxy/preserving/a", "Host: rebound.example\r\n").await;
    assert!(
        told.contains(&format!("\r\nhost: {}\r\n", backend.address)),
        "{told}"
    );

    let told = ask(
        "/proxy/keeping/a",
        "Host: gw.example\r\nOrigin: https://gw.example\r\n",
    )
    .await;
    assert!(
        told.contains("\r\nhost: ui.example:81\r\n") && told.contains("\r\norigin: https://gw.example\r\n"),
        "{told}"
    );
}

#[tokio::test]
async fn only_trusted_proxies_say_what_the_front_is() {
    let backend = Backend::ok().await;
    let process = Process::start(&["--trusted-proxies", "127.0.0.0/8"]).await;
    process
        .operator
        .publish(vec![mk_proxy(
            "ui",
            "/proxy/ui/*",
            mk_host(backend.address),
            none(),
        )])
        .await;
    let mut client = Client::connect(process.address).await;
    client
        .send(
            "GET /proxy/ui/a HTTP/1.1\r\nHost: inner\r\nX-Forwarded-Host: gw.example\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Prefix: /outer\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    let told = backend.received().to_lowercase();
    for line in [
        "x-forwarded-host: gw.example\r\n",
        "x-forwarded-proto: https\r\n",
        "x-forwarded-prefix: /outer\r\n",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
}

#[tokio::test]
async fn kubesphere_tells_less() {
    let backend = Backend::ok().await;
    let process = Process::start(&["--front-headers", "kubesphere"]).await;
    let wrapped = Directives {
        wrap_transport: true,
        ..none()
    };
    process
        .operator
        .publish(vec![mk_proxy(
            "ui",
            "/proxy/ui/*",
            mk_host(backend.address),
            wrapped,
        )])
        .await;
    let mut client = Client::connect(process.address).await;
    client
        .send("GET /proxy/ui/a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    let told = backend.received().to_lowercase();
    assert!(told.contains("\r\norigin: http://localhost\r\n"), "{told}");
    assert!(
        told.contains(&format!("x-forwarded-host: {}\r\n", backend.address)),
        "{told}"
    );
    assert!(!told.contains("forwarded: for="), "{told}");
}

const MOVING: &[u8] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://gw.example/login\r\n\r\n";
const MOVING_ON: &[u8] =
    b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://gw.example/proxy/other/x\r\n\r\n";

/// A backend that makes its links of the public name, and knows nothing of the prefix.
#[tokio::test]
async fn links_to_the_public_name_are_moved_too() {
    let (near, far) = (
        Backend::start(MOVING, Then::Stay).await,
        Backend::start(MOVING_ON, Then::Stay).await,
    );
    let process = Process::start(&[]).await;
    let wrapped = |prefix: &str| Directives {
        wrap_transport: true,
        ..mk_stripped(prefix)
    };
    let resources = vec![
        mk_proxy(
            "near",
            "/proxy/near/*",
            mk_host(near.address),
            wrapped("/proxy/near"),
        ),
        mk_proxy("far", "/proxy/far/*", mk_host(far.address), wrapped("/proxy/far")),
    ];
    process.operator.publish(resources).await;
    let mut client = Client::connect(process.address).await;
    for (path, location) in [
        ("/proxy/near/", "/proxy/near/login"),
        ("/proxy/far/", "http://gw.example/proxy/other/x"),
    ] {
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: gw.example\r\n\r\n"))
            .await;
        assert_eq!(client.answer().await.unwrap().header("location"), Some(location));
    }
}

const LOUD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nClear-Site-Data: \"*\"\r\nStrict-Transport-Security: max-age=9\r\n\
                    Service-Worker-Allowed: /\r\nSet-Cookie: a=1; Path=/; Domain=gw.example\r\n\
                    Set-Cookie: __Host-genkan=3; Path=/; Secure\r\n\r\nok";

#[tokio::test]
async fn an_answer_speaks_for_its_own_object_alone() {
    let backend = Backend::start(LOUD, Then::Stay).await;
    let process = Process::start(&[]).await;
    let adding = Directives {
        header_down: vec!["Set-Cookie b=1; Path=/".into(), "Alt-Svc h3".into()],
        ..none()
    };
    process
        .operator
        .publish(vec![
            mk_proxy("ui", "/proxy/ui/*", mk_host(backend.address), none()),
            mk_proxy("exact", "/proxy/exact", mk_host(backend.address), none()),
            mk_proxy("adding", "/proxy/adding/*", mk_host(backend.address), adding),
        ])
        .await;
    let mut client = Client::connect(process.address).await;
    let mut ask = async |path: &str, lines: &str| {
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
            .await;
        client.answer().await.unwrap()
    };
    let answer = ask("/proxy/ui/x", "").await;
    for gone in ["clear-site-data", "strict-transport-security"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(answer.header("service-worker-allowed"), Some("/proxy/ui/"));
    assert_eq!(cookies(&answer), ["a=1; Path=/proxy/ui"]);
    let answer = ask("/proxy/exact", "").await;
    assert_eq!(answer.header("service-worker-allowed"), None);
    assert_eq!(cookies(&answer), ["a=1; Path=/proxy/exact"]);
    // What headerDown adds comes before.
    let answer = ask("/proxy/adding/x", "").await;
    assert_eq!(cookies(&answer), ["b=1; Path=/proxy/adding"]);
    assert_eq!(answer.header("alt-svc"), None);
    // Workers.
    assert_eq!(
        ask("/proxy/ui/sw.js", "Service-Worker: script\r\n").await.status,
        200
    );
    let refused = ask("/proxy/exact", "Service-Worker: script\r\n").await;
    assert_eq!(
        (refused.status, refused.header("x-genkan-reason")),
        (403, Some("ServiceWorkerScope"))
    );
}

#[tokio::test]
async fn a_name_below_localhost_is_one_ui() {
    let backend = Backend::start(LOUD, Then::Stay).await;
    let process = Process::start(&[]).await;
    process
        .operator
        .publish(vec![
            mk_proxy(
                "ui",
                "/proxy/ui/*",
                mk_host(backend.address),
                mk_stripped("/proxy/ui"),
            ),
            mk_proxy(
                "longer",
                "/proxy/ui/api/*",
                mk_host(backend.address),
                mk_stripped("/proxy/ui"),
            ),
            mk_proxy("whole", "/proxy/whole/*", mk_host(backend.address), none()),
        ])
        .await;
    let mut client = Client::connect(process.address).await;
    let mut ask = async |host: &str, path: &str| {
        client
            .send(format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n\r\n"
            ))
            .await;
        client.answer().await.unwrap()
    };
    let answer = ask("ui.localhost:8001", "/x?y").await;
    assert_eq!(answer.status, 200);
    // Its origin is its own.
    assert_eq!(answer.header("clear-site-data"), Some("\"*\""));
    assert_eq!(cookies(&answer), ["a=1; Path=/"]);
    let told = backend.received().to_lowercase();
    assert!(told.starts_with("get /x?y http/1.1\r\n"), "{told}");
    assert!(told.contains("x-forwarded-host: ui.localhost:8001\r\n"), "{told}");
    assert!(!told.contains("x-forwarded-prefix"), "{told}");
    assert!(
        told.contains(&format!("\r\norigin: http://{}\r\n", backend.address)),
        "{told}"
    );
    // It has no other door, and there is no other name.
    for (host, path) in [
        ("ui.localhost", "/api/v1"),
        ("other.localhost", "/"),
        ("other.localhost", "/proxy/ui/x"),
        ("whole.localhost", "/x"),
        ("UI.localhost", "/x"),
        ("ui.localhost.", "/x"),
        ("a.ui.localhost", "/x"),
    ] {
        let answer = ask(host, path).await;
        assert_eq!(
            (answer.status, answer.header("x-genkan-reason")),
            (404, Some("NoRouteMatched")),
            "{host} {path}"
        );
    }
    assert_eq!(ask("ui.localhost", "/apis").await.status, 200, "that is the UI's");
    assert_eq!(ask("localhost", "/proxy/ui/x").await.status, 200);
}
