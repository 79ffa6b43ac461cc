//! Between the strict front and the engine: bodies that turn out to be malformed, targets that grow, and what the layer of
//! HTTP/2 answers by itself.

use crate::attacks::ledger::Ledger;
use crate::kit::{Backend, Client, Then};
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::Process;
use genkan_kit::http2::{Outcome, RawHttp2};
use genkan_proto::v1alpha1::Directives;

const POST: &str =
    "POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\nX-Request-Id: told\r\n\r\n";

fn line_of(process: &Process, id: &str) -> String {
    let log = process.log();
    let mut lines = log.lines().filter(|line| line.contains(id));
    let line = lines.next().unwrap().to_owned();
    assert!(lines.next().is_none(), "more than one line: {log}");
    line
}

#[tokio::test]
async fn malformed_body_behind_its_head_is_told_and_never_repeated() {
    for method in ["POST", "PUT"] {
        let mut backend = Backend::start(b"", Then::Silent).await;
        let process = Process::serving(backend.address, &[]).await;
        let mut client = Client::connect(process.address).await;
        client.send(POST.replace("POST", method)).await;
        client.send("5\r\nhello\r\n").await;
        backend.wait_for("hello").await;
        client.send("5;\nxx\r\nhello\r\n0\r\n\r\n").await;
        let answer = client.answer().await.unwrap();
        answer.assert_status(400);
        assert_eq!(answer.header("x-genkan-reason"), Some("Framing"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.closes().await);
        process.logs_once("told").await;
        let line = line_of(&process, "told");
        assert!(
            line.contains("\"status\":400") && line.contains("Framing"),
            "{line}"
        );
        assert_eq!(backend.requests(), 1, "it was sent again");
        assert!(
            !backend.received().contains("0\r\n\r\n"),
            "{}",
            backend.received()
        );
    }
}

#[tokio::test]
async fn malformed_body_behind_an_answer_ends_the_connection() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n";
    let mut backend = Backend::start(answer, Then::Stay).await;
    let process = Process::serving(backend.address, &[]).await;
    let mut client = Client::connect(process.address).await;
    client.send(POST).await;
    assert!(client.until("early").await);
    client.send("5\r\nhello\r\n").await;
    backend.wait_for("hello").await;
    client.send("0\r\nno field\r\n\r\n").await;
    let rest = client.rest_of_it().await;
    assert!(
        !rest.contains("0\r\n\r\n") && !rest.contains("HTTP/1.1 400"),
        "{rest}"
    );
    process.logs_once("told").await;
    let line = line_of(&process, "told");
    assert!(
        line.contains("\"status\":200") && line.contains("Framing"),
        "{line}"
    );
    assert!(
        !backend.received().contains("0\r\n\r\n"),
        "{}",
        backend.received()
    );
}

#[tokio::test]
async fn malformed_body_of_a_request_that_is_answered_here_is_not_followed_by_another() {
    let process = Process::serving(Backend::ok().await.address, &[]).await;
    let mut client = Client::connect(process.address).await;
    client.send(POST.replace("/proxy/x", "/nowhere")).await;
    let answer = client.answer().await.unwrap();
    answer.assert_status(404);
    client
        .try_send("\r\nGET /proxy/x HTTP/1.1\r\nHost: gw.example\r\nX-Pad: 0\r\n\r\n")
        .await;
    let rest = client.rest_of_it().await;
    assert!(!rest.contains("HTTP/1.1"), "{rest}");
}

#[tokio::test]
async fn connection_is_kept_behind_chunked_bodies() {
    let ledger = Ledger::start().await;
    let process = Process::serving(ledger.address, &[]).await;
    let mut client = Client::connect(process.address).await;
    let bodies = [
        "5;a=b\r\nhello\r\n0\r\nX: 1\r\n\r\n",
        "",
        "5\r\nagain\r\n000;b\r\n\r\n",
    ];
    for (round, body) in bodies.into_iter().enumerate() {
        let framing = if body.is_empty() {
            ""
        } else {
            "Transfer-Encoding: chunked\r\n"
        };
        client
            .send(format!(
                "PUT /proxy/x HTTP/1.1\r\nHost: gw.example\r\n{framing}\r\n"
            ))
            .await;
        ledger.wait(|book| book.begun > round).await;
        for piece in body.as_bytes().chunks(3) {
            client.send(piece).await;
        }
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.status, 200, "{round}: {answer:?}");
        assert_eq!(
            answer.header("connection"),
            Some("keep-alive"),
            "{round}: {answer:?}"
        );
    }
    assert_eq!(ledger.book().whole.len(), bodies.len());
}

#[tokio::test]
async fn targets_that_grow_are_414_with_a_short_line() {
    let backend = Backend::ok().await;
    let process = Process::start(&[]).await;
    let rewrite = Directives {
        replace: vec!["a bb".to_owned()],
        ..none()
    };
    let resources = vec![
        mk_proxy("p", "/proxy/p/*", mk_host(backend.address), none()),
        mk_proxy("r", "/proxy/r/*", mk_host(backend.address), rewrite),
    ];
    process.operator.publish(resources).await;
    let latin = [b"GET /proxy/p/", &[0xe9; 20_000][..]].concat();
    let text = format!("GET /proxy/p/{}", "\u{e9}".repeat(10_000)).into_bytes();
    let grown = format!("GET /proxy/r/{}", "a".repeat(20_000)).into_bytes();
    let query = [b"GET /proxy/p/a?", &[0xe9; 20_000][..]].concat();
    for (round, start) in [latin, text, query, grown].iter().enumerate() {
        let rest = format!(" HTTP/1.1\r\nHost: gw.example\r\nX-Request-Id: grown-{round}\r\n\r\n");
        let mut client = Client::connect(process.address).await;
        client.send([start, rest.as_bytes()].concat()).await;
        let answer = client.answer().await.unwrap();
        answer.assert_status(414);
        assert_eq!(answer.header("x-genkan-reason"), Some("TargetTooLong"), "{round}");
        process.logs_once(&format!("grown-{round}")).await;
        let line = line_of(&process, &format!("grown-{round}"));
        assert!(
            line.len() < 6_000 && line.contains("TargetTooLong"),
            "{round}: {} bytes",
            line.len()
        );
    }
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn access_line_is_short_whatever_is_sent() {
    let process = Process::serving(Backend::ok().await.address, &[]).await;
    for (round, head) in [
        format!("{} /proxy/x HTTP/1.1\r\nHost: gw.example", "A".repeat(60_000)),
        format!("GET /proxy/{} HTTP/1.1\r\nHost: gw.example", "a".repeat(32_000)),
        format!("GET /proxy/{} HTTP/1.1\r\nHost: gw.example", "\\".repeat(32_000)),
        format!("GET /proxy/x HTTP/1.1\r\nHost: {}", "a".repeat(60_000)),
        format!(
            "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\nConnection: {}",
            "a".repeat(60_000)
        ),
        format!(
            "TRACE /proxy/x HTTP/1.1\r\nHost: gw.example\r\nX: {}",
            "a".repeat(60_000)
        ),
    ]
    .iter()
    .enumerate()
    {
        let mut client = Client::connect(process.address).await;
        client
            .send(format!("{head}\r\nX-Request-Id: long-{round}\r\n\r\n"))
            .await;
        client.answer().await.unwrap();
        process.logs_once(&format!("long-{round}")).await;
        let line = line_of(&process, &format!("long-{round}"));
        assert!(line.len() < 4_000, "{round}: {} bytes", line.len());
    }
}

#[tokio::test]
async fn what_the_layer_of_http2_refuses_leaves_a_line() {
    let process = Process::serving(Backend::ok().await.address, &[]).await;
    let mut client = RawHttp2::connect(process.address).await;
    let stream = client
        .request(&[
            (":method", b"GET"),
            (":scheme", b"http"),
            (":authority", b"gw.example"),
            (":path", b"/proxy/x"),
            ("host", b"other.example"),
        ])
        .await;
    assert_eq!(client.outcome(stream).await, Outcome::Status(400));
    process.logs_once("the layer of HTTP/2 refused").await;
    let line = line_of(&process, "the layer of HTTP/2 refused");
    for part in [
        "\"protocol\":\"HTTP/2\"",
        "\"status\":400",
        "\"reason\":\"Framing\"",
        "\"client\":\"127.0.0.1:",
    ] {
        assert!(line.contains(part), "{line}");
    }
}

#[tokio::test]
async fn client_of_http_1_0_gets_no_interim_answer() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let process = Process::serving(Backend::start(answer, Then::Stay).await.address, &[]).await;
    let mut client = Client::connect(process.address).await;
    client
        .send("POST /proxy/x HTTP/1.0\r\nHost: gw.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
        .await;
    let rest = client.rest_of_it().await;
    assert!(
        rest.starts_with("HTTP/1.") && rest[9..].starts_with("200 "),
        "{rest}"
    );
    assert_eq!(rest.matches("HTTP/1.").count(), 1, "{rest}");
}
