//! Every rule about the framing of HTTP/1 requests, against the program: what is refused is answered with a
//! Status, leaves one access line, closes the connection, and nothing of it reaches the backend, neither as the
//! first request of a connection nor as the second one.

#![allow(clippy::unwrap_used)]

#[path = "wire/kit.rs"]
mod kit;
#[path = "wire/process.rs"]
mod process;

use kit::{Answer, Backend, Client};
use process::Process;

/// The program before one backend, which takes everything below `/proxy/`.
struct Served {
    backend: Backend,
    process: Process,
}

impl Served {
    async fn open() -> Self {
        let backend = Backend::ok().await;
        let process = Process::serving(backend.address, &[]).await;
        Self { backend, process }
    }

    async fn client(&self) -> Client {
        Client::connect(self.process.address).await
    }

    /// The answer to `bytes`, on a new connection or on one that has served a request.
    async fn ask(&self, bytes: &[u8], used: bool) -> (Client, Answer) {
        let mut client = self.client().await;
        if used {
            client
                .send("GET /proxy/warm HTTP/1.1\r\nHost: gw.example\r\n\r\n")
                .await;
            assert_eq!(client.answer().await.unwrap().status, 200);
        }
        client.try_send(bytes).await;
        let answer = client.answer().await;
        let answer = answer.unwrap_or_else(|| panic!("no answer to {}", bytes.escape_ascii()));
        (client, answer)
    }

    async fn refuses(&self, bytes: &[u8], code: u16) {
        for used in [false, true] {
            let before = self.backend.requests() + usize::from(used);
            let (mut client, answer) = self.ask(bytes, used).await;
            assert_eq!(answer.status, code, "{}", bytes.escape_ascii());
            answer.assert_status(code);
            assert_eq!(
                answer.header("connection"),
                Some("close"),
                "{}",
                bytes.escape_ascii()
            );
            assert!(client.closes().await, "{}", bytes.escape_ascii());
            assert_eq!(
                self.backend.requests(),
                before,
                "the backend got {}",
                bytes.escape_ascii()
            );
        }
    }

    /// Sends and expects 200; returns what the backend got, in lower case.
    async fn passes(&self, bytes: &[u8]) -> String {
        let before = self.backend.lengths();
        let (_, answer) = self.ask(bytes, false).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", bytes.escape_ascii());
        self.backend.received_since(&before).to_ascii_lowercase()
    }
}

/// `POST` with a Host, the given lines and what follows the head.
fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /proxy/p HTTP/1.1\r\nHost: gw.example\r\n{lines}\r\n{body}").into_bytes()
}

fn target(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: gw.example\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn length_and_coding() {
    let served = Served::open().await;
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    for (lines, body, code) in [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", chunks, 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", chunks, 400),
        ("Transfer-Encoding: xchunked\r\n", chunks, 400),
        ("Transfer-Encoding: chunked, identity\r\n", chunks, 400),
        ("Transfer-Encoding: gzip, chunked\r\n", chunks, 501),
        (
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            chunks,
            400,
        ),
        ("Transfer-Encoding: chunked, chunked\r\n", chunks, 400),
        ("Transfer-Encoding : chunked\r\n", chunks, 400),
        ("Transfer-Encoding: \x0bchunked\r\n", chunks, 400),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", "abc", 400),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", "abc", 400),
        ("Content-Length: 3,3\r\n", "abc", 400),
        ("Content-Length: 3, 4\r\n", "abc", 400),
        ("Content-Length: 03\r\n", "abc", 400),
        ("Content-Length: +3\r\n", "abc", 400),
        ("Content-Length: 0x5\r\n", "abcde", 400),
        ("Content-Length: 5 5\r\n", "abcde", 400),
        ("Content-Length:\r\n", "", 400),
        ("Content-Length: 9223372036854775808\r\n", "", 400),
        ("Content-Length: 18446744073709551616\r\n", "", 400),
    ] {
        served.refuses(&post(lines, body), code).await;
    }
    served
        .refuses(
            b"POST /proxy/p HTTP/1.0\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        )
        .await;
}

#[tokio::test]
async fn a_get_with_a_length_is_forwarded_with_its_body() {
    let mut served = Served::open().await;
    served
        .passes(b"GET /proxy/g HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 3\r\n\r\nabc")
        .await;
    // The backend answers at the end of the head already.
    served.backend.wait_for("\r\n\r\nabc").await;
    let got = served.backend.received().to_ascii_lowercase();
    assert!(
        got.starts_with("get /proxy/g http/1.1\r\n") && got.ends_with("\r\n\r\nabc"),
        "{got}"
    );
}

#[tokio::test]
async fn chunks_are_framed_afresh() {
    let mut served = Served::open().await;
    let body = "3\r\nabc\r\n3;a=b\r\ndef\r\n03;a=\"b c\"\r\nghi\r\n0\r\nX-Trailer: 1\r\n\r\n";
    let mut client = served.client().await;
    client.send(post("Transfer-Encoding: chunked\r\n", body)).await;
    served.backend.wait_for("\r\n0\r\n\r\n").await;
    let received = served.backend.received();
    assert!(received.contains("abc") && received.contains("def") && received.contains("ghi"));
    assert!(
        !received.contains("a=b") && !received.contains("X-Trailer"),
        "{received}"
    );
}

#[tokio::test]
async fn chunks_that_two_programs_read_differently() {
    let served = Served::open().await;
    for body in [
        "5 \r\nhello\r\n0\r\n\r\n",
        "5 ;a\r\nhello\r\n0\r\n\r\n",
        "5;\nxx\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        "5\r\nhello\r\n0\r\nno field\r\n\r\n",
        "5\r\nhello\r\n0\r\n X: y\r\n\r\n",
    ] {
        served
            .refuses(&post("Transfer-Encoding: chunked\r\n", body), 400)
            .await;
    }
}

#[tokio::test]
async fn expectations() {
    let served = Served::open().await;
    for value in ["y 100-continue", "100-continue, x", "100 continue", ""] {
        let lines = format!("Expect: {value}\r\nContent-Length: 3\r\n");
        served.refuses(&post(&lines, "abc"), 417).await;
    }
}

#[tokio::test]
async fn hosts() {
    let served = Served::open().await;
    for head in [
        "GET /proxy/h HTTP/1.1\r\n\r\n",
        "GET /proxy/h HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /proxy/h HTTP/1.1\r\nHost: gw.example\r\nHost: gw.example\r\n\r\n",
        "GET /proxy/h HTTP/1.1\r\nHost: gw.example\r\nHost: other.example\r\n\r\n",
        "GET /proxy/h HTTP/1.1\r\nHost: user@gw.example\r\n\r\n",
        "GET /proxy/h HTTP/1.1\r\nHost: gw.example, other.example\r\n\r\n",
        "GET http://other.example/proxy/h HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        "GET https://gw.example/proxy/h HTTP/1.1\r\nHost: gw.example\r\n\r\n",
    ] {
        served.refuses(head.as_bytes(), 400).await;
    }
    let got = served.passes(&target("http://gw.example/proxy/abs?a=1")).await;
    assert!(got.starts_with("get /proxy/abs?a=1 http/1.1\r\n"), "{got}");
}

#[tokio::test]
async fn lines() {
    let served = Served::open().await;
    for head in [
        &b"GET /proxy/l HTTP/1.1\nHost: gw.example\n\n"[..],
        b"GET /proxy/l HTTP/1.1\r\nHost: gw.example\n\r\n",
        b"GET /proxy/l HTTP/1.1\r\nHost: gw.example\r\nX-A: 1\r\n folded\r\n\r\n",
        b"GET /proxy/l HTTP/1.1\r\nHost: gw.example\r\nX-A : 1\r\n\r\n",
        b"GET /proxy/l HTTP/1.1\r\nHost: gw.example\r\nX-A: 1\x002\r\n\r\n",
        b"GET /proxy/l HTTP/1.1\r\nHost: gw.example\r\nX-A: 1\r2\r\n\r\n",
        b"GET /proxy/l HTTP/1.1\r\nHost: gw.example\r\nX A: 1\r\n\r\n",
        b"GET /proxy/l HTTP/1.1\r\nHost: gw.example\r\nno colon\r\n\r\n",
        b"GET /proxy/l\r\n\r\n",
        b"GET /proxy/l HTTP/0.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        served.refuses(head, 400).await;
    }
}

#[tokio::test]
async fn targets() {
    let served = Served::open().await;
    for bad in [
        "/proxy/a b",
        "/proxy/a#f",
        "/proxy/a?x=1#f",
        "*",
        "proxy",
        "/proxy/a\tb",
    ] {
        served.refuses(&target(bad), 400).await;
    }
    for same in ["/proxy//x//y", "/proxy/a%2Fb", "/proxy/a;v=1"] {
        let got = served.passes(&target(same)).await;
        assert!(
            got.starts_with(&format!("get {} http/1.1\r\n", same.to_ascii_lowercase())),
            "{got}"
        );
    }
}

/// These are refused behind the front, because HTTP/2 needs the same rule; the connection may live on.
#[tokio::test]
async fn paths() {
    let served = Served::open().await;
    for bad in [
        "/proxy/a/../b",
        "/proxy/%2e%2e/b",
        "/proxy/a/.",
        "/proxy/a\\b",
        "/proxy/a%5Cb",
        "/proxy/%00",
        "/proxy/%zz",
    ] {
        let (_, answer) = served.ask(&target(bad), false).await;
        answer.assert_status(400);
    }
    assert_eq!(served.backend.requests(), 0);
    for (sent, got) in [
        ("/proxy/caf\u{e9}", "get /proxy/caf%c3%a9 http/1.1\r\n"),
        ("/proxy/a\"b<c>`", "get /proxy/a%22b%3cc%3e%60 http/1.1\r\n"),
        ("/proxy/%7Ea", "get /proxy/~a http/1.1\r\n"),
    ] {
        let received = served.passes(&target(sent)).await;
        assert!(received.starts_with(got), "{sent}: {received}");
    }
}

#[tokio::test]
async fn methods() {
    let served = Served::open().await;
    served
        .refuses(b"TRACE /proxy/m HTTP/1.1\r\nHost: gw.example\r\n\r\n", 405)
        .await;
    served
        .refuses(
            b"CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n",
            405,
        )
        .await;
    let got = served
        .passes(b"PURGE /proxy/m HTTP/1.1\r\nHost: gw.example\r\n\r\n")
        .await;
    assert!(got.starts_with("purge /proxy/m http/1.1\r\n"), "{got}");
}

#[tokio::test]
async fn connection() {
    let served = Served::open().await;
    for name in [
        "Host",
        "X-Forwarded-For",
        "Authorization",
        "Impersonate-User",
        "Content-Length",
    ] {
        served
            .refuses(
                &post(
                    &format!("Connection: close, {name}\r\nContent-Length: 3\r\n"),
                    "abc",
                ),
                400,
            )
            .await;
    }
    let got = served
        .passes(&post("Connection: X-Secret\r\nX-Secret: 1\r\nX-Kept: 1\r\n", ""))
        .await;
    assert!(
        !got.contains("x-secret") && got.contains("x-kept: 1\r\n"),
        "{got}"
    );
    let got = served
        .passes(&post(
            "Connection: keep-alive\r\nConnection: X-Secret, close\r\nX-Secret: 1\r\n",
            "",
        ))
        .await;
    assert!(!got.contains("x-secret"), "{got}");
}

#[tokio::test]
async fn upgrades() {
    let served = Served::open().await;
    for body in ["Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"] {
        let lines = format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{body}");
        served.refuses(&post(&lines, "abc"), 400).await;
    }
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: Upgrade\r\nUpgrade: tcp\r\n",
        "Connection: Upgrade\r\nUpgrade:\r\n",
        "Connection: close\r\nUpgrade: websocket\r\n",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
    ] {
        let got = served.passes(&post(lines, "")).await;
        assert!(
            !got.contains("upgrade") && !got.contains("http2-settings"),
            "{lines:?}: {got}"
        );
    }
}

#[tokio::test]
async fn budgets() {
    let served = Served::open().await;
    let base = "GET /proxy/b HTTP/1.1\r\nHost: gw.example\r\nX: \r\n\r\n".len();
    let head = |length: usize| {
        format!(
            "GET /proxy/b HTTP/1.1\r\nHost: gw.example\r\nX: {}\r\n\r\n",
            "a".repeat(length - base)
        )
        .into_bytes()
    };
    for length in [65_535, 65_536] {
        assert_eq!(head(length).len(), length);
        served.passes(&head(length)).await;
    }
    served.refuses(&head(65_537), 431).await;
    served.refuses(&head(1_200_000), 431).await;
    let path = |length: usize| target(&format!("/proxy/{}", "a".repeat(length - 7)));
    for length in [32_767, 32_768] {
        served.passes(&path(length)).await;
    }
    served.refuses(&path(32_769), 414).await;
    served.refuses(&path(70_000), 414).await;
    let lines = |count: usize| post(&"X-A: 1\r\n".repeat(count - 1), "");
    served.passes(&lines(200)).await;
    served.refuses(&lines(201), 431).await;
}
