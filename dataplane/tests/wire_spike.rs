//! What the bare proxy engine does on the wire, as measured.
//!
//! genkan's front and its filters are built around these facts. A failure here after an upgrade of the engine
//! means that one of them has changed: read what relies on it before changing the test.

#![allow(clippy::unwrap_used)]

#[path = "wire/kit.rs"]
mod kit;

use std::sync::Arc;

use bytes::BytesMut;
use kit::{Answer, Backend, Client, Listener, Then, Through, engine};
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_proxy::HttpProxy;
use tokio::io::AsyncWriteExt;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const WEBSOCKET: &str =
    "GET /ws HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

struct Bare {
    backend: Backend,
    listener: Listener,
    engine: Arc<HttpProxy<Through>>,
}

impl Bare {
    async fn start(answer: &'static [u8], then: Then) -> Self {
        let backend = Backend::start(answer, then).await;
        let engine = Arc::new(engine(backend.address));
        let listener = Listener::start(Arc::clone(&engine)).await;
        Self {
            backend,
            listener,
            engine,
        }
    }

    async fn client(&self) -> Client {
        Client::connect(self.listener.address).await
    }

    /// One request on a connection of its own.
    async fn ask(&self, request: &str) -> (Client, Option<Answer>) {
        let mut client = self.client().await;
        client.send(request).await;
        let answer = client.answer().await;
        (client, answer)
    }

    async fn code(&self, request: &str) -> u16 {
        self.ask(request).await.1.map_or(0, |answer| answer.status)
    }
}

fn get(lines: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: gw.example\r\n{lines}\r\n")
}

#[tokio::test]
async fn s01_spdy_is_stripped_and_its_101_is_a_502() {
    let bare = Bare::start(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
        Then::Echo,
    )
    .await;
    assert_eq!(
        bare.code(&get("Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"))
            .await,
        502
    );
    assert!(!bare.backend.received().contains("SPDY"));
}

#[tokio::test]
async fn s02_bytes_with_the_head_of_an_upgrade_are_held_back_until_the_101() {
    let bare = Bare::start(SWITCH, Then::Echo).await;
    let mut client = bare.client().await;
    client.send(format!("{WEBSOCKET}early")).await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    assert!(client.until("early").await);
    assert!(bare.backend.received().ends_with("\r\n\r\nearly"));
}

#[tokio::test]
async fn s03_bytes_after_the_head_but_before_the_101_end_the_request() {
    let mut bare = Bare::start(b"", Then::Silent).await;
    let mut client = bare.client().await;
    client.send(WEBSOCKET).await;
    bare.backend.wait_for("GET /ws").await;
    client.send("too early").await;
    assert_eq!(client.answer().await.unwrap().status, 400);
    assert!(!bare.backend.received().contains("too early"));
}

#[tokio::test]
async fn s04_interim_answers_are_relayed() {
    let bare = Bare::start(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Then::Stay,
    )
    .await;
    let (mut client, answer) = bare.ask(&get("")).await;
    assert_eq!(answer.unwrap().status, 103);
    assert_eq!(client.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn s05_bare_line_feeds_are_accepted() {
    let bare = Bare::start(OK, Then::Stay).await;
    assert_eq!(bare.code("GET /a HTTP/1.1\nHost: gw.example\n\n").await, 200);
}

#[tokio::test]
async fn s06_a_length_beside_chunked_is_dropped_and_the_connection_closed() {
    let bare = Bare::start(OK, Then::Stay).await;
    let (mut client, answer) = bare
        .ask(
            &get("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")
                .replace("\r\n\r\n", "\r\n\r\n0\r\n\r\n"),
        )
        .await;
    assert_eq!(answer.unwrap().status, 200);
    assert!(client.closes().await);
    let received = bare.backend.received().to_ascii_lowercase();
    assert!(received.contains("transfer-encoding: chunked") && !received.contains("content-length"));
}

#[tokio::test]
async fn s07_trailers_and_chunk_extensions_are_dropped_both_ways() {
    let bare = Bare::start(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2;a=b\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
        Then::Close,
    )
    .await;
    let mut client = bare.client().await;
    client
        .send(get(
            "Connection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-R\r\n",
        ))
        .await;
    client.send("3;x=y\r\nabc\r\n0\r\nX-R: 1\r\n\r\n").await;
    let rest = client.rest_of_it().await;
    assert!(rest.ends_with("\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "{rest}");
    assert!(
        rest.contains("Trailer: X-T"),
        "the header about trailers passes: {rest}"
    );
    let received = bare.backend.received();
    assert!(
        !received.contains("X-R: 1") && !received.contains("x=y"),
        "{received}"
    );
}

#[tokio::test]
async fn s08_expectations_pass_and_so_does_the_100() {
    let mut bare = Bare::start(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Then::Stay,
    )
    .await;
    let mut client = bare.client().await;
    client
        .send(get("Expect: 100-continue\r\nContent-Length: 3\r\n"))
        .await;
    bare.backend.wait_for("Expect: 100-continue").await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.send("abc").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn s09_a_half_close_aborts_the_exchange() {
    let mut bare = Bare::start(b"", Then::Silent).await;
    let mut client = bare.client().await;
    client.send(get("")).await;
    bare.backend.wait_for("GET /a").await;
    client.stream.shutdown().await.unwrap();
    assert!(client.closes().await);
}

#[tokio::test]
async fn s10_an_answer_before_the_end_of_the_body_says_close() {
    let bare = Bare::start(OK, Then::Stay).await;
    let (_, answer) = bare.ask(&get("Content-Length: 10\r\n")).await;
    assert_eq!(answer.unwrap().header("connection"), Some("close"));
}

#[tokio::test]
async fn s11_shutting_down_answers_with_close_and_cleanup_drops_what_is_idle() {
    let bare = Bare::start(OK, Then::Stay).await;
    let (mut early, answer) = bare.ask(&get("")).await;
    assert_eq!(answer.unwrap().header("connection"), Some("keep-alive"));
    bare.listener.shut_down();
    early.send(get("")).await;
    assert_eq!(early.answer().await.unwrap().header("connection"), Some("close"));
    assert!(early.closes().await);

    let bare = Bare::start(OK, Then::Stay).await;
    let (mut idle, answer) = bare.ask(&get("")).await;
    assert_eq!(answer.unwrap().status, 200);
    bare.engine.http_cleanup().await;
    assert!(idle.closes().await);
}

#[tokio::test]
async fn s12_a_panic_closes_one_connection_without_an_answer() {
    let bare = Bare::start(OK, Then::Stay).await;
    let (mut other, answer) = bare.ask(&get("")).await;
    assert_eq!(answer.unwrap().status, 200);
    let (mut broken, answer) = bare.ask(&get("X-Panic: now\r\n")).await;
    assert!(answer.is_none() && broken.closes().await);
    other.send(get("")).await;
    assert_eq!(other.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn s13_a_101_that_nobody_asked_for_is_forwarded_with_the_bytes_behind_it() {
    let bare = Bare::start(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsmuggled",
        Then::Stay,
    )
    .await;
    let (mut client, answer) = bare.ask(&get("")).await;
    assert_eq!(answer.unwrap().status, 101);
    assert!(client.until("smuggled").await);
}

#[tokio::test]
async fn s14_a_pipelined_request_is_not_served() {
    let bare = Bare::start(OK, Then::Stay).await;
    let mut client = bare.client().await;
    client
        .send(format!("{}{}", get(""), get("X-Second: 1\r\n")))
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert!(client.closes().await);
    assert!(!bare.backend.received().contains("X-Second"));

    let mut bare = Bare::start(b"", Then::Silent).await;
    let mut client = bare.client().await;
    client.send(get("")).await;
    bare.backend.wait_for("GET /a").await;
    client.send(get("X-Second: 1\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 400);
}

#[tokio::test]
async fn s15_targets_are_changed_or_passed_as_they_are() {
    let bare = Bare::start(OK, Then::Stay).await;
    for (sent, got) in [
        (
            "http://gw.example/abs?a=1",
            "GET http://gw.example/abs?a=1 HTTP/1.1\r\n",
        ),
        ("/fragment?x=1#f", "GET /fragment?x=1 HTTP/1.1\r\n"),
        ("/raw space", "GET /raw%20space HTTP/1.1\r\n"),
        ("/dots/../x", "GET /dots/../x HTTP/1.1\r\n"),
        ("/back\\slash", "GET /back\\slash HTTP/1.1\r\n"),
    ] {
        assert_eq!(
            bare.code(&format!("GET {sent} HTTP/1.1\r\nHost: gw.example\r\n\r\n"))
                .await,
            200,
            "{sent}"
        );
        assert!(
            bare.backend.received().contains(got),
            "{sent}: {}",
            bare.backend.received()
        );
    }
}

#[tokio::test]
async fn s16_a_bad_head_is_answered_without_a_body_and_without_a_callback() {
    let bare = Bare::start(OK, Then::Stay).await;
    let (_, answer) = bare.ask(&get("X-A : 1\r\n")).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (400, ""));
    let (_, answer) = bare
        .ask("CONNECT db.example:1 HTTP/1.1\r\nHost: db.example:1\r\n\r\n")
        .await;
    assert_eq!((answer.unwrap().status, bare.backend.requests()), (405, 0));
}

#[tokio::test]
async fn s17_doubtful_lengths_are_forwarded_as_written() {
    let bare = Bare::start(OK, Then::Stay).await;
    for lines in [
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3,3\r\n",
        "Content-Length: 03\r\n",
    ] {
        let request = format!("{}abc", get(lines));
        assert_eq!(bare.code(&request).await, 200, "{lines}");
        assert!(bare.backend.received().contains(lines), "{lines}");
    }
}

#[tokio::test]
async fn s18_an_upgrade_header_alone_makes_an_upgrade() {
    let bare = Bare::start(SWITCH, Then::Echo).await;
    let (_, answer) = bare.ask(&get("Upgrade: websocket\r\n")).await;
    assert_eq!(answer.unwrap().status, 101);
}

#[tokio::test]
async fn s19_a_session_reads_its_head_from_the_prefix_and_keeps_the_rest_as_body() {
    let (_client, server) = tokio::io::duplex(64);
    let mut session = ServerSession::new_http1(Box::new(server));
    let head = "POST /p HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 5\r\n\r\nabcde";
    session.set_pipelined_prefix(BytesMut::from(head));
    assert!(session.read_request().await.unwrap());
    assert_eq!(session.req_header().raw_path(), b"/p");
    assert_eq!(session.read_request_body().await.unwrap().unwrap(), "abcde");
}

#[tokio::test]
async fn s20_hop_by_hop_headers_of_an_answer_are_forwarded() {
    let bare = Bare::start(
        b"HTTP/1.1 200 OK\r\nConnection: X-Foo\r\nX-Foo: 1\r\nKeep-Alive: 5\r\nContent-Length: 2\r\n\r\nok",
        Then::Stay,
    )
    .await;
    let (_, answer) = bare.ask(&get("")).await;
    let answer = answer.unwrap();
    assert_eq!(
        (answer.header("x-foo"), answer.header("keep-alive")),
        (Some("1"), Some("5"))
    );
}
