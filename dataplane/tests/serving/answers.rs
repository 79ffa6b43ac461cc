//! What a backend may send, and what the client gets of it.

use genkan_proto::v1alpha1::Directives;

use genkan_kit::wire::values;

use crate::kit::{Answer, Backend, Client, Then};
use crate::objects::{mk_api, mk_host, mk_proxy, none};
use crate::process::{Process, free_address};

async fn ask(process: &Process, head: &str) -> Option<Answer> {
    let mut client = Client::connect(process.address).await;
    client.send(format!("{head}\r\nHost: gw.example\r\n\r\n")).await;
    client.answer().await
}

/// One program, and a backend for each row.
async fn serve_rows(rows: &[(&'static [u8], Then)]) -> (Process, Vec<Backend>) {
    let process = Process::start(&[]).await;
    let (mut resources, mut backends) = (Vec::new(), Vec::new());
    for (index, (answer, then)) in rows.iter().enumerate() {
        let backend = Backend::start(answer, *then).await;
        let name = format!("r{index}");
        resources.push(mk_proxy(
            &name,
            &format!("/proxy/{name}"),
            mk_host(backend.address),
            none(),
        ));
        backends.push(backend);
    }
    process.operator.publish(resources).await;
    (process, backends)
}

#[tokio::test]
async fn answers_that_break_the_rules_become_502() {
    let rows: &[(&[u8], Then)] = &[
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsecret",
            Then::Close,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
            Then::Close,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            Then::Close,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Then::Close,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
            Then::Close,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab", Then::Close),
        (b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n", Then::Close),
        (b"HTTP/1.1 200 OK\r\nX: ", Then::Close),
        (b"nonsense\r\n\r\n", Then::Close),
        (b"", Then::Close),
    ];
    let (process, _backends) = serve_rows(rows).await;
    for index in 0..rows.len() {
        let mut client = Client::connect(process.address).await;
        client
            .send(format!(
                "GET /proxy/r{index} HTTP/1.1\r\nHost: gw.example\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await.unwrap_or_else(|| panic!("row {index}"));
        answer.assert_status(502);
        assert!(
            client.rest_of_it().await.is_empty(),
            "row {index}: nothing may follow"
        );
    }
}

#[tokio::test]
async fn fields_of_the_backends_connection_stay_there() {
    let rows: &[(&[u8], Then)] = &[
        (
            b"HTTP/1.1 200 OK\r\nConnection: X-Foo, keep-alive\r\nX-Foo: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2\r\n\
              Proxy-Authenticate: x\r\nTrailer: X-T\r\nX-Bar: 2\r\nServer: s\r\nContent-Length: 2\r\n\r\nok",
            Then::Stay,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", Then::Stay),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Then::Stay),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Then::Stay),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", Then::Stay),
        (b"HTTP/1.0 200 OK\r\n\r\nok", Then::Close),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok-and-more", Then::Stay),
    ];
    let (process, _backends) = serve_rows(rows).await;
    let get = async |index: usize| {
        ask(&process, &format!("GET /proxy/r{index} HTTP/1.1"))
            .await
            .unwrap()
    };

    let plain = get(0).await;
    assert_eq!((plain.status, plain.text().as_str()), (200, "ok"));
    for gone in ["x-foo", "keep-alive", "upgrade", "proxy-authenticate", "trailer"] {
        assert_eq!(plain.header(gone), None, "{gone}");
    }
    assert_eq!(
        (plain.header("x-bar"), plain.header("server")),
        (Some("2"), Some("s"))
    );

    assert_eq!(values(&get(1).await.headers, "content-length").count(), 1);
    let empty = get(2).await;
    assert_eq!((empty.status, empty.header("content-length")), (204, None));
    let unchanged = get(3).await;
    assert_eq!(
        (unchanged.status, unchanged.header("content-length")),
        (304, Some("5"))
    );
    let chunked = get(4).await;
    assert_eq!(
        (
            chunked.text().as_str(),
            chunked.header("transfer-encoding"),
            chunked.header("trailer")
        ),
        ("ok", Some("chunked"), None)
    );
    let old = get(5).await;
    assert!(old.line.starts_with("HTTP/1.1 200"), "{old:?}");
    assert_eq!(
        (old.text().as_str(), old.header("transfer-encoding")),
        ("ok", Some("chunked"))
    );
    assert_eq!(get(6).await.text(), "ok");
}

#[tokio::test]
async fn old_clients_get_no_chunks() {
    let rows: &[(&[u8], Then)] = &[
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            Then::Stay,
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nok", Then::Close),
    ];
    let (process, _backends) = serve_rows(rows).await;
    for index in 0..rows.len() {
        let answer = ask(&process, &format!("GET /proxy/r{index} HTTP/1.0"))
            .await
            .unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{answer:?}");
        assert_eq!(answer.header("transfer-encoding"), None);
    }
}

#[tokio::test]
async fn body_that_breaks_off_ends_the_connection() {
    let rows: &[(&[u8], Then)] = &[
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Then::Close),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            Then::Close,
        ),
    ];
    let (process, _backends) = serve_rows(rows).await;
    for index in 0..rows.len() {
        assert!(
            ask(&process, &format!("GET /proxy/r{index} HTTP/1.1"))
                .await
                .is_none()
        );
    }
}

#[tokio::test]
async fn interim_answers_pass_and_head_has_no_body() {
    let rows: &[(&[u8], Then)] = &[
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            Then::Stay,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Then::Stay),
    ];
    let (process, _backends) = serve_rows(rows).await;
    let mut client = Client::connect(process.address).await;
    client
        .send("GET /proxy/r0 HTTP/1.1\r\nHost: gw.example\r\n\r\n")
        .await;
    let hints = client.answer().await.unwrap();
    assert_eq!((hints.status, hints.header("link")), (103, Some("</a>")));
    assert_eq!(client.answer().await.unwrap().text(), "ok");

    client
        .send("HEAD /proxy/r1 HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n")
        .await;
    let rest = client.rest_of_it().await;
    assert!(
        rest.starts_with("HTTP/1.1 200") && rest.contains("Content-Length: 2"),
        "{rest}"
    );
    assert!(rest.ends_with("\r\n\r\n"), "{rest}");

    let mut client = Client::connect(process.address).await;
    client
        .send("HEAD /proxy/nothing HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n")
        .await;
    let rest = client.rest_of_it().await;
    assert!(
        rest.starts_with("HTTP/1.1 404") && rest.ends_with("\r\n\r\n"),
        "{rest}"
    );
}

#[tokio::test]
async fn answers_of_our_own_keep_the_connection_even_for_uploads() {
    let process = Process::start(&[]).await;
    process.operator.publish(vec![]).await;
    let mut client = Client::connect(process.address).await;
    for _ in 0..3 {
        client
            .send("POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 5\r\n\r\nhello")
            .await;
        client.answer().await.unwrap().assert_status(404);
    }
    // Nobody asks for a body that nobody reads.
    client
        .send(
            "POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        )
        .await;
    let refused = client.answer().await.unwrap();
    refused.assert_status(404);
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(client.closes().await);
    // Much of a large one is taken in, so that the answer is not lost in a reset.
    let mut client = Client::connect(process.address).await;
    client
        .send("POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 1000000\r\n\r\n")
        .await;
    client.send(vec![b'x'; 1_000_000]).await;
    client.answer().await.unwrap().assert_status(404);
}

#[tokio::test]
async fn own_answers_keep_their_signs_and_count_as_what_they_are() {
    let process = Process::start(&[]).await;
    let directives = Directives {
        header_down: vec![
            "-X-*".into(),
            "-Grpc-*".into(),
            "-Content-Type".into(),
            "+Y 1".into(),
        ],
        ..none()
    };
    process
        .operator
        .publish(vec![mk_proxy(
            "p",
            "/proxy/*",
            mk_host(free_address()),
            directives,
        )])
        .await;
    let plain = ask(&process, "GET /proxy/x HTTP/1.1\r\nX-Request-Id: told-plainly")
        .await
        .unwrap();
    plain.assert_status(502);
    assert_eq!(plain.header("x-genkan-reason"), Some("BackendConnectFailed"));
    assert!(
        plain.header("x-request-id").is_some() && plain.header("y") == Some("1"),
        "{plain:?}"
    );

    let grpc = "POST /proxy/x HTTP/1.1\r\nContent-Type: application/grpc\r\nX-Request-Id: told-truly\r\nContent-Length: 0";
    let grpc = ask(&process, grpc).await.unwrap();
    assert_eq!(
        (grpc.status, grpc.header("grpc-status")),
        (200, Some("14")),
        "{grpc:?}"
    );
    assert_eq!(grpc.header("content-type"), Some("application/grpc"));
    process.logs_once("told-plainly").await;
    process.logs_once("told-truly").await;
    let log = process.log();
    let line = log.lines().find(|line| line.contains("told-truly")).unwrap();
    assert!(line.contains("\"status\":502"), "{line}");
    let mut client = Client::connect(process.admin).await;
    client
        .send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    let metrics = client.answer().await.unwrap().text();
    let series = r#"genkan_dataplane_requests_total{kind="ReverseProxy",namespace="",name="p",code="5xx"} 2"#;
    assert!(metrics.contains(series), "{metrics}");
    assert!(
        metrics.contains("genkan_dataplane_log_lines_dropped_total 0"),
        "{metrics}"
    );
}

#[tokio::test]
async fn mistakes_of_callers_and_authors_are_no_internal_errors() {
    let backend = Backend::ok().await;
    let process = Process::start(&[]).await;
    let rewrite = Directives {
        rewrite: vec!["/proxy/r/* /y?q=<5".into()],
        ..none()
    };
    let resources = vec![
        mk_proxy("p", "/proxy/p/*", mk_host(backend.address), none()),
        mk_proxy("r", "/proxy/r/*", mk_host(backend.address), rewrite),
    ];
    process.operator.publish(resources).await;
    let raw = "GET /proxy/p/a HTTP/1.1\r\nX-KubeSphere-Rawquery: a=<b>&c=\"";
    assert_eq!(ask(&process, raw).await.unwrap().status, 200);
    assert!(
        backend.received().contains("GET /proxy/p/a?a=%3Cb%3E&c=%22 "),
        "{}",
        backend.received()
    );
    assert_eq!(
        ask(&process, "GET /proxy/r/a HTTP/1.1").await.unwrap().status,
        200
    );
    assert!(
        backend.received().contains("GET /y?q=%3C5 "),
        "{}",
        backend.received()
    );
    let long = format!("GET /proxy/p/{} HTTP/1.1", "|".repeat(22_000));
    let long = ask(&process, &long).await.unwrap();
    long.assert_status(414);
    assert_eq!(long.header("x-genkan-reason"), Some("TargetTooLong"));
}

#[tokio::test]
async fn preferred_version_is_the_one_that_kubernetes_would_prefer() {
    let process = Process::start(&[]).await;
    let versions = ["v1", "v1alpha1", "v2beta1"];
    let resources = versions.map(|version| mk_api("shop.example", version, mk_host(free_address())));
    process.operator.publish(resources.into()).await;
    let group = ask(&process, "GET /kapis/shop.example HTTP/1.1").await.unwrap();
    assert!(
        group
            .text()
            .contains(r#""preferredVersion":{"groupVersion":"shop.example/v1","version":"v1"}"#),
        "{group:?}"
    );
}
