//! `directives.method`: what a change of the method means for bodies.

use genkan_proto::v1alpha1::Directives;

use crate::kit::{Backend, Client, PATIENCE, Then};
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::Process;
use genkan_kit::http2::{HEADERS, Outcome, RawHttp2};

async fn serve(answer: &'static [u8], method: &str) -> (Process, Backend) {
    let (process, backend) = (
        Process::start(&[]).await,
        Backend::start(answer, Then::Stay).await,
    );
    let directives = Directives {
        method: method.into(),
        wrap_transport: true,
        ..none()
    };
    let proxy = mk_proxy("p", "/proxy/*", mk_host(backend.address), directives);
    process.operator.publish(vec![proxy]).await;
    (process, backend)
}

const HEAD_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n";
const CHUNKED_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// Whose end does not come.
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";

fn head(method: &str) -> String {
    format!("{method} /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n")
}

fn fields(method: &'static str) -> [(&'static str, &'static [u8]); 4] {
    [
        (":method", method.as_bytes()),
        (":scheme", b"http"),
        (":authority", b"gw.example"),
        (":path", b"/proxy/x"),
    ]
}

#[tokio::test]
async fn nobody_waits_for_the_body_of_what_was_asked_as_head() {
    for answer in [HEAD_ANSWER, CHUNKED_HEAD] {
        let (process, backend) = serve(answer, "HEAD").await;
        let mut client = Client::connect(process.address).await;
        for _ in 0..2 {
            client.send(head("GET")).await;
            let found = client.answer().await.unwrap();
            assert_eq!(
                (found.status, found.header("content-length")),
                (200, Some("0")),
                "{found:?}"
            );
            assert_eq!(found.header("transfer-encoding"), None);
            assert_eq!(found.header("content-encoding"), None);
        }
        let mut raw = RawHttp2::connect(process.address).await;
        let stream = raw.request(&fields("GET")).await;
        assert_eq!(raw.frames_of(stream).await, [(HEADERS, true)]);
        assert_eq!(backend.received().matches("HEAD /proxy/x").count(), 3);
    }
}

#[tokio::test]
async fn what_stays_head_keeps_its_length() {
    let (process, _backend) = serve(HEAD_ANSWER, "").await;
    let mut raw = RawHttp2::connect(process.address).await;
    let stream = raw.request(&fields("HEAD")).await;
    assert_eq!(raw.frames_of(stream).await, [(HEADERS, true)]);
}

#[tokio::test]
async fn who_asks_for_a_head_gets_no_body() {
    for answer in [OK, ENDLESS] {
        let (process, backend) = serve(answer, "GET").await;
        let mut client = Client::connect(process.address).await;
        client.send(head("HEAD")).await;
        assert!(client.until("\r\n\r\n").await);
        let found = String::from_utf8_lossy(&client.buffered).into_owned();
        assert!(
            found.starts_with("HTTP/1.1 200") && found.ends_with("\r\n\r\n"),
            "{found}"
        );
        client.buffered.clear();
        if found.to_lowercase().contains("connection: keep-alive") {
            client.send(head("HEAD")).await;
            assert!(client.until("\r\n\r\n").await);
            let again = String::from_utf8_lossy(&client.buffered).into_owned();
            assert!(
                again.starts_with("HTTP/1.1 200") && again.ends_with("\r\n\r\n"),
                "{again}"
            );
        }
        let mut raw = RawHttp2::connect(process.address).await;
        for _ in 0..2 {
            let stream = raw.request(&fields("HEAD")).await;
            let frames = tokio::time::timeout(PATIENCE, raw.frames_of(stream))
                .await
                .unwrap();
            assert_eq!(frames, [(HEADERS, true)]);
        }
        assert!(!backend.received().contains("HEAD"), "{}", backend.received());
    }
}

#[tokio::test]
async fn codes_without_a_body_stay_without_one_whatever_the_method() {
    for (answer, code) in [
        (&b"HTTP/1.1 204 No Content\r\n\r\n"[..], 204),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304),
    ] {
        for (asked, sent) in [
            ("GET", "HEAD"),
            ("HEAD", "GET"),
            ("GET", "OPTIONS"),
            ("POST", "GET"),
        ] {
            let (process, _backend) = serve(answer, sent).await;
            let mut client = Client::connect(process.address).await;
            for _ in 0..2 {
                client.send(head(asked)).await;
                assert_eq!(client.answer().await.unwrap().status, code, "{asked} {sent}");
            }
            let mut raw = RawHttp2::connect(process.address).await;
            let stream = raw.request(&fields(asked)).await;
            assert_eq!(raw.outcome(stream).await, Outcome::Status(code));
        }
    }
}

#[tokio::test]
async fn bodies_pass_framed_and_their_want_is_said() {
    for (asked, sent) in [
        ("POST", "GET"),
        ("POST", "OPTIONS"),
        ("GET", "POST"),
        ("POST", "HEAD"),
    ] {
        let answer = if sent == "HEAD" { HEAD_ANSWER } else { OK };
        let (process, mut backend) = serve(answer, sent).await;
        let mut client = Client::connect(process.address).await;
        client
            .send(format!(
                "{asked} /proxy/x HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 6\r\n\r\na body"
            ))
            .await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        backend.wait_for("a body").await;
        let received = backend.received().to_lowercase();
        assert!(received.contains("content-length: 6\r\n"), "{received}");
        let mut raw = RawHttp2::connect(process.address).await;
        let stream = raw.begin(&fields(asked)).await;
        raw.data(stream, b"another", true).await;
        assert_eq!(raw.outcome(stream).await, Outcome::Status(200));
        backend.wait_for("7\r\nanother\r\n0\r\n\r\n").await;
    }
    let (process, backend) = serve(OK, "POST").await;
    let mut raw = RawHttp2::connect(process.address).await;
    let stream = raw.request(&fields("GET")).await;
    assert_eq!(raw.frames_of(stream).await.first(), Some(&(HEADERS, false)));
    assert!(
        backend
            .received()
            .to_lowercase()
            .contains("content-length: 0\r\n")
    );
}
