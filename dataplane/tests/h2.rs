//! HTTP/2 without TLS, with prior knowledge, on the port that speaks HTTP/1 too.

#![allow(clippy::unwrap_used)]

#[path = "wire/kit.rs"]
mod kit;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use genkan_dataplane::front::{Front, FrontConfig, Traffic};
use genkan_kit::http2::{self, Outcome, RawHttp2, ask};
use h2::client::SendRequest;
use http::{Method, Request};
use kit::{Backend, Client, Listener, PATIENCE, Then, engine};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

struct Served {
    backend: Backend,
    listener: Listener,
    traffic: Arc<Traffic>,
    draining: watch::Sender<bool>,
}

impl Served {
    async fn open(backend: Backend) -> Self {
        Self::open_with(backend, |_| {}).await
    }

    async fn open_with(backend: Backend, change: impl FnOnce(&mut FrontConfig)) -> Self {
        let (draining, watch) = watch::channel(false);
        let mut config = FrontConfig::new(watch);
        change(&mut config);
        let front = Front::new(engine(backend.address), config);
        let traffic = front.traffic();
        let listener = Listener::start(Arc::new(front)).await;
        Self {
            backend,
            listener,
            traffic,
            draining,
        }
    }

    async fn client(&self) -> SendRequest<Bytes> {
        let stream = TcpStream::connect(self.listener.address).await.unwrap();
        http2::client(stream).await
    }

    async fn raw(&self) -> RawHttp2 {
        RawHttp2::connect(self.listener.address).await
    }
}

fn request(method: Method, uri: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri(uri)
        .version(http::Version::HTTP_2)
        .body(())
        .unwrap()
}

const PLAIN: [(&str, &[u8]); 4] = [
    (":method", b"GET"),
    (":scheme", b"http"),
    (":authority", b"gw.example"),
    (":path", b"/r"),
];

#[tokio::test]
async fn both_protocols_on_one_port() {
    let served = Served::open(Backend::ok().await).await;
    let client = served.client().await;
    let answer = ask(&client, request(Method::GET, "http://gw.example/two?a=1"), None).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let mut old = Client::connect(served.listener.address).await;
    old.send("GET /one HTTP/1.1\r\nHost: gw.example\r\n\r\n").await;
    assert_eq!(old.answer().await.unwrap().status, 200);
    let received = served.backend.received();
    assert!(received.starts_with("GET /two?a=1 HTTP/1.1\r\n"), "{received}");
    assert!(
        received.to_ascii_lowercase().contains("host: gw.example\r\n"),
        "{received}"
    );
}

#[tokio::test]
async fn bodies_and_head() {
    let mut served = Served::open(Backend::ok().await).await;
    let client = served.client().await;
    let answer = ask(
        &client,
        request(Method::POST, "http://gw.example/up"),
        Some("a body"),
    )
    .await;
    assert_eq!(answer.status, 200);
    served.backend.wait_for("a body").await;
    let answer = ask(&client, request(Method::HEAD, "http://gw.example/head"), None).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
}

#[tokio::test]
async fn a_preface_cut_at_every_byte() {
    let served = Served::open(Backend::ok().await).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for cut in 1..preface.len() {
        let mut client = Client::connect(served.listener.address).await;
        client.send(&preface[..cut]).await;
        client.send(&preface[cut..]).await;
        assert!(client.until("\0\0").await, "no settings after a cut at {cut}");
        assert_eq!(client.buffered[3], http2::SETTINGS, "cut at {cut}");
    }
}

#[tokio::test]
async fn what_the_strict_front_refuses_gets_a_status_here_too() {
    let served = Served::open(Backend::ok().await).await;
    let client = served.client().await;
    let long = format!("http://gw.example/{}", "a".repeat(32_768));
    ask(&client, request(Method::GET, &long), None)
        .await
        .assert_status(414);
    ask(&client, request(Method::TRACE, "http://gw.example/t"), None)
        .await
        .assert_status(405);
    let mut many = request(Method::GET, "http://gw.example/many");
    for count in 0..201 {
        many.headers_mut().append("x-a", http::HeaderValue::from(count));
    }
    ask(&client, many, None).await.assert_status(431);
    let connect = Request::builder()
        .method(Method::CONNECT)
        .uri("db.example:5432")
        .body(())
        .unwrap();
    let answer = timeout(kit::PATIENCE, ask(&client, connect, None)).await.unwrap();
    assert_eq!(answer.status, 405);
    answer.assert_status(405);
    assert_eq!(served.backend.requests(), 0);
    assert_eq!(
        ask(&client, request(Method::GET, "http://gw.example/ok"), None)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_server_itself_answers_options() {
    let served = Served::open(Backend::ok().await).await;
    let mut raw = served.raw().await;
    let stream = raw
        .request(&[
            (":method", b"OPTIONS"),
            (":scheme", b"http"),
            (":authority", b"gw.example"),
            (":path", b"*"),
        ])
        .await;
    assert_eq!(raw.outcome(stream).await, Outcome::Status(200));
    assert_eq!(served.backend.requests(), 0);
}

/// A client of gRPC reads a status in the head that ends the stream, and nowhere else.
#[tokio::test]
async fn what_the_front_answers_ends_with_its_head_where_it_has_no_body() {
    use genkan_kit::http2::{DATA, HEADERS};
    let served = Served::open(Backend::ok().await).await;
    let grpc = ("content-type", &b"application/grpc+proto"[..]);
    let headless = &[(HEADERS, true)][..];
    let whole = &[(HEADERS, false), (DATA, true)][..];
    let odd = |method: &'static [u8]| {
        let mut fields = PLAIN.to_vec();
        fields[0] = (":method", method);
        fields.push(("expect", b"200-ok"));
        fields
    };
    let options = [
        (":method", &b"OPTIONS"[..]),
        (":scheme", b"http"),
        (":authority", b"gw.example"),
        (":path", b"*"),
    ];
    for (what, fields, expected) in [
        ("gRPC", [odd(b"POST"), vec![grpc]].concat(), headless),
        ("HEAD", odd(b"HEAD"), headless),
        ("GET", odd(b"GET"), whole),
        ("TRACE", odd(b"TRACE"), whole),
        ("OPTIONS *", options.to_vec(), headless),
    ] {
        let mut raw = served.raw().await;
        let stream = raw.request(&fields).await;
        assert_eq!(raw.frames_of(stream).await, expected, "{what}");
        let stream = raw.begin(&fields).await;
        raw.data(stream, b"\0\0\0\0\0", true).await;
        assert_eq!(raw.frames_of(stream).await, expected, "{what} with a body");
    }
    assert_eq!(served.backend.requests(), 0);
    let client = served.client().await;
    let refused = ask(&client, request(Method::TRACE, "http://gw.example/t"), None).await;
    assert!(
        refused
            .header("allow")
            .is_some_and(|methods| methods.contains("PATCH"))
    );
}

#[tokio::test]
async fn what_cannot_be_framed_is_refused_and_the_rest_goes_on() {
    let served = Served::open(Backend::ok().await).await;
    let refused = [Outcome::Reset, Outcome::Status(400)];
    for (name, value) in [
        (":path", &b"/a b"[..]),
        (":path", b"/a\rb"),
        (":path", b"/a\0b"),
        (":path", b"http://gw.example/a"),
        (":path", b""),
        (":authority", b"u@gw.example"),
    ] {
        let mut raw = served.raw().await;
        let fields = PLAIN.map(|(field, good)| (field, if field == name { value } else { good }));
        let stream = raw.request(&fields).await;
        let outcome = raw.outcome(stream).await;
        assert!(
            refused.contains(&outcome),
            "{name} {}: {outcome:?}",
            value.escape_ascii()
        );
        let stream = raw.request(&PLAIN).await;
        assert_eq!(raw.outcome(stream).await, Outcome::Status(200));
    }
    for (name, value) in [
        ("transfer-encoding", &b"chunked"[..]),
        ("connection", b"x-a"),
        ("upgrade", b"websocket"),
        ("host", b"other.example"),
        ("content-length", b"3, 4"),
    ] {
        let mut raw = served.raw().await;
        let stream = raw.request(&[&PLAIN[..], &[(name, value)]].concat()).await;
        let outcome = raw.outcome(stream).await;
        assert!(refused.contains(&outcome), "{name}: {outcome:?}");
    }
    assert_eq!(served.backend.received().matches("GET /r HTTP/1.1").count(), 6);
}

#[tokio::test]
async fn a_client_that_sends_only_rubbish_is_sent_away() {
    let served = Served::open(Backend::ok().await).await;
    let mut raw = served.raw().await;
    let bad = [&PLAIN[..], &[("host", b"other.example")]].concat();
    for _ in 0..33 {
        raw.request(&bad).await;
    }
    assert!(raw.is_sent_away().await);
}

#[tokio::test]
async fn a_header_list_over_the_limit_is_431() {
    let served = Served::open(Backend::ok().await).await;
    let client = served.client().await;
    let mut large = request(Method::GET, "http://gw.example/large");
    for _ in 0..8 {
        large
            .headers_mut()
            .append("x-large", "a".repeat(8_200).parse().unwrap());
    }
    assert_eq!(ask(&client, large, None).await.status, 431);
    assert_eq!(served.backend.requests(), 0);
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let served = Served::open(Backend::start(b"", Then::Silent).await).await;
    let mut raw = served.raw().await;
    for _ in 0..10_000 {
        let stream = raw.request(&PLAIN).await;
        raw.reset(stream).await;
    }
    assert!(raw.is_sent_away().await);
}

#[tokio::test]
async fn a_thousand_streams_on_one_connection() {
    let served = Served::open(Backend::ok().await).await;
    let client = served.client().await;
    // How many streams the server takes at once is known only after its first answer.
    assert_eq!(
        ask(&client, request(Method::GET, "http://gw.example/first"), None)
            .await
            .status,
        200
    );
    let streams = (0..1_000).map(|count| {
        let client = client.clone();
        async move {
            ask(
                &client,
                request(Method::GET, &format!("http://gw.example/{count}")),
                None,
            )
            .await
            .status
        }
    });
    let codes = futures::future::join_all(streams).await;
    assert!(codes.iter().all(|code| *code == 200), "{codes:?}");
    assert_eq!(
        (served.traffic.connections(), served.backend.requests()),
        (1, 1_001)
    );
}

#[tokio::test]
async fn draining_lets_streams_finish_and_sends_the_client_away() {
    let mut served = Served::open(Backend::start(b"", Then::Silent).await).await;
    let mut raw = served.raw().await;
    raw.request(&PLAIN).await;
    served.backend.wait_for("GET /r").await;
    assert_eq!((served.traffic.connections(), served.traffic.requests()), (1, 1));
    served.draining.send_replace(true);
    served.listener.shut_down();
    let mut goaway = raw.frame().await.unwrap();
    while goaway.kind != http2::GOAWAY {
        goaway = raw.frame().await.unwrap();
    }
    assert_eq!(&goaway.payload[4..8], &[0; 4], "not a plain farewell: {goaway:?}");
    assert_eq!(served.traffic.requests(), 1, "the stream was cut");
    drop(raw);
    timeout(kit::PATIENCE, served.traffic.drained()).await.unwrap();
}

#[tokio::test]
async fn body_that_never_comes_is_not_waited_for() {
    let backend = Backend::start(b"", Then::Stay).await;
    let served = Served::open_with(backend, |config| config.body_timeout = Duration::from_millis(120)).await;
    let mut raw = served.raw().await;
    let stream = raw.begin(&PLAIN).await;
    assert_eq!(raw.outcome(stream).await, Outcome::Reset);
    let idle = async {
        while served.traffic.requests() > 0 {
            kit::a_moment().await;
        }
    };
    assert!(timeout(PATIENCE, idle).await.is_ok());
    assert_eq!(served.traffic.connections(), 1, "the others go on");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_not_kept_for_ever() {
    let answer: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsomething";
    let backend = Backend::start(answer, Then::Stay).await;
    let served = Served::open_with(backend, |config| {
        config.write_timeout = Duration::from_millis(120)
    })
    .await;
    let mut raw = served.raw().await;
    raw.no_window().await;
    let stream = raw.request(&PLAIN).await;
    assert_eq!(raw.outcome(stream).await, Outcome::Status(200));
    assert_eq!(raw.outcome(stream).await, Outcome::Reset);
    assert_eq!(served.traffic.requests(), 0);
}

#[tokio::test]
async fn requests_take_no_more_files_than_there_are_for_backends() {
    let served = Served::open_with(Backend::start(b"", Then::Silent).await, |config| {
        config.most_requests = 2
    })
    .await;
    let mut raw = served.raw().await;
    for _ in 0..2 {
        raw.request(&PLAIN).await;
    }
    let waiting = async {
        while served.traffic.requests() < 2 {
            kit::a_moment().await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
    let third = raw.request(&PLAIN).await;
    assert_eq!(raw.outcome(third).await, Outcome::Status(503));
    let mut old = Client::connect(served.listener.address).await;
    old.send("GET /one HTTP/1.1\r\nHost: gw.example\r\n\r\n").await;
    let answer = old.answer().await.unwrap();
    assert_eq!(answer.header("x-genkan-reason"), Some("TooManyAtOnce"));
    answer.assert_status(503);
}

#[tokio::test]
async fn a_connection_without_streams_is_closed() {
    let served = Served::open_with(Backend::ok().await, |config| {
        config.http2_idle_timeout = Duration::from_millis(120);
    })
    .await;
    let mut raw = served.raw().await;
    let stream = raw.request(&PLAIN).await;
    assert_eq!(raw.outcome(stream).await, Outcome::Status(200));
    assert!(raw.is_sent_away().await);
    // Half a head keeps it no longer than nothing does.
    let mut raw = served.raw().await;
    let stream = raw.request(&PLAIN).await;
    assert_eq!(raw.outcome(stream).await, Outcome::Status(200));
    raw.half_a_head().await;
    assert!(raw.is_sent_away().await);
}
