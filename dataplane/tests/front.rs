//! The front before the bare engine: deadlines, limits, connections, draining.

#![allow(clippy::unwrap_used)]

#[path = "wire/kit.rs"]
mod kit;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use genkan_accept::{Closed, Places, Shares};
use genkan_dataplane::front::{Front, FrontConfig, Refusals, RefusedRequest};
use genkan_dataplane::listening;
use kit::{Backend, Client, Listener, Then, engine};
use parking_lot::Mutex;
use pingora_core::apps::{HttpServerApp, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_http::ResponseHeader;
use pingora_proxy::HttpProxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const GET: &str = "GET /a HTTP/1.1\r\nHost: gw.example\r\n\r\n";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// SETTINGS, and HEADERS that go on in frames which never come.
const HALF_A_HEAD: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x01\0\0\0\x01\x82";

/// Remembers refusals.
#[derive(Default)]
struct Ledger(Mutex<Vec<(String, String, u16)>>);

impl Refusals for Ledger {
    fn refused(&self, request: &RefusedRequest<'_>) {
        self.0.lock().push((
            request.method.clone(),
            request.target.clone(),
            request.refused.code,
        ));
    }
}

/// The whole arrangement on sockets.
struct Setup {
    backend: Backend,
    listener: Listener,
    front: Arc<Front<HttpProxy<kit::Through>>>,
    draining: watch::Sender<bool>,
    ledger: Arc<Ledger>,
}

impl Setup {
    async fn start(backend: Backend, adjust: impl FnOnce(&mut FrontConfig)) -> Self {
        Self::start_with(backend, adjust, listening::shares()).await
    }

    async fn start_with(backend: Backend, adjust: impl FnOnce(&mut FrontConfig), shares: Shares) -> Self {
        let (draining, watch) = watch::channel(false);
        let ledger = Arc::new(Ledger::default());
        let mut config = FrontConfig::new(watch);
        config.refusals = Arc::<Ledger>::clone(&ledger);
        adjust(&mut config);
        let front = Arc::new(Front::new(engine(backend.address), config));
        let listener = Listener::start_with(Arc::clone(&front), shares).await;
        Self {
            backend,
            listener,
            front,
            draining,
            ledger,
        }
    }

    async fn plain() -> Self {
        Self::start(Backend::ok().await, |_| {}).await
    }

    async fn client(&self) -> Client {
        Client::connect(self.listener.address).await
    }
}

/// Answers every request by itself, so that a test can stop the clock.
struct Hello;

#[async_trait]
impl HttpServerApp for Hello {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        draining: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        session.read_request().await.ok().filter(|read| *read)?;
        if *draining.borrow() {
            session.set_keepalive(None);
        }
        let mut header = ResponseHeader::build(200, None).unwrap();
        header.insert_header("content-length", "0").unwrap();
        session.write_response_header(Box::new(header)).await.ok()?;
        let memo = pingora_core::apps::HttpPersistentSettings::for_session(&session);
        let reusable = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(reusable, memo))
    }
}

/// A connection without a socket, on a clock that the test moves.
struct Still {
    client: DuplexStream,
    draining: watch::Sender<bool>,
    shutdown: watch::Sender<bool>,
    began: Instant,
}

impl Still {
    fn start() -> Self {
        Self::start_with(listening::shares())
    }

    fn start_with(shares: Shares) -> Self {
        let (draining, draining_watch) = watch::channel(false);
        let (shutdown, shutdown_watch) = watch::channel(false);
        let (client, server) = tokio::io::duplex(65_536);
        let front = Arc::new(Front::new(Hello, FrontConfig::new(draining_watch)));
        let places = Places::new("requests", shares, &Closed::default());
        places.seat("192.0.2.7:4711".parse().unwrap(), |place| async move {
            front
                .serve_connection(Box::new(server), &place, &shutdown_watch)
                .await;
        });
        tokio::spawn(async move { places.keep().await });
        Self {
            client,
            draining,
            shutdown,
            began: Instant::now(),
        }
    }

    async fn get(&mut self) {
        self.client.write_all(GET.as_bytes()).await.unwrap();
        let mut answer = vec![0; 15];
        self.client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 200 OK");
        let mut byte = [0];
        let mut tail = [0; 4];
        while tail != *b"\r\n\r\n" {
            self.client.read_exact(&mut byte).await.unwrap();
            tail.rotate_left(1);
            tail[3] = byte[0];
        }
    }

    /// What arrives until the end, and in which second the end came.
    async fn end(&mut self) -> (String, u64) {
        let mut rest = String::new();
        self.client.read_to_string(&mut rest).await.unwrap();
        (rest, self.began.elapsed().as_secs())
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed_without_an_answer() {
    let mut still = Still::start();
    assert_eq!(still.end().await, (String::new(), 10));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_is_given_up() {
    let mut still = Still::start();
    let sender = async {
        for byte in GET.as_bytes().iter().take(20) {
            still.client.write_all(&[*byte]).await.ok();
            sleep(Duration::from_secs(1)).await;
            if still.began.elapsed() > Duration::from_secs(10) {
                break;
            }
        }
    };
    sender.await;
    let (answer, _) = still.end().await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.contains("X-Genkan-Reason: RequestTimeout\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_head_runs_from_its_first_byte() {
    let mut still = Still::start();
    still.get().await;
    sleep(Duration::from_secs(70)).await;
    still.client.write_all(&GET.as_bytes()[..10]).await.unwrap();
    sleep(Duration::from_secs(9)).await;
    still.client.write_all(&GET.as_bytes()[10..]).await.unwrap();
    let mut answer = vec![0; 15];
    still.client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 OK");
}

#[tokio::test(start_paused = true)]
async fn eighteen_bytes_of_a_preface_do_not_hold_a_connection() {
    let mut still = Still::start();
    still.client.write_all(b"PRI * HTTP/2.0\r\n\r\n").await.unwrap();
    let (_, after) = still.end().await;
    assert_eq!(after, 10);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_75_seconds() {
    let mut still = Still::start();
    still.get().await;
    sleep(Duration::from_secs(74)).await;
    still.get().await;
    assert_eq!(still.end().await, (String::new(), 74 + 75));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_keeps_a_rare_place_for_five_seconds() {
    let shares = Shares {
        most: 1,
        ..listening::shares()
    };
    let mut still = Still::start_with(shares);
    still.get().await;
    assert_eq!(still.end().await, (String::new(), 5));
}

#[tokio::test(start_paused = true)]
async fn draining_ends_an_idle_connection_after_a_second() {
    let mut still = Still::start();
    still.get().await;
    sleep(Duration::from_secs(5)).await;
    still.draining.send_replace(true);
    assert_eq!(still.end().await, (String::new(), 6));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_on_its_way_when_draining_began_is_answered() {
    let mut still = Still::start();
    still.get().await;
    still.draining.send_replace(true);
    sleep(Duration::from_millis(900)).await;
    still.client.write_all(GET.as_bytes()).await.unwrap();
    let (answer, _) = still.end().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.to_ascii_lowercase().contains("connection: close\r\n"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_served_until_the_listeners_close() {
    let mut still = Still::start();
    still.draining.send_replace(true);
    sleep(Duration::from_secs(5)).await;
    still.get().await;
    let mut quiet = Still::start();
    quiet.draining.send_replace(true);
    sleep(Duration::from_secs(3)).await;
    quiet.shutdown.send_replace(true);
    assert_eq!(quiet.end().await, (String::new(), 4));
}

#[tokio::test]
async fn requests_follow_each_other_on_a_connection() {
    let setup = Setup::plain().await;
    let mut client = setup.client().await;
    for path in ["/1", "/2", "/3"] {
        client
            .send(format!(
                "POST {path} HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 3\r\n\r\nabc"
            ))
            .await;
        let answer = client.answer().await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        assert_eq!(answer.header("connection"), Some("keep-alive"));
    }
    assert_eq!(setup.backend.received().matches("\r\n\r\nabc").count(), 3);
    assert_eq!(setup.front.traffic().connections(), 1);
}

#[tokio::test]
async fn a_head_cut_at_every_byte_is_read_the_same() {
    let setup = Setup::plain().await;
    let head = "POST /cut HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 3\r\nUpgrade: h2c\r\n\r\nabc";
    for cut in 1..head.len() {
        let mut client = setup.client().await;
        client.send(&head[..cut]).await;
        client.send(&head[cut..]).await;
        assert_eq!(client.answer().await.unwrap().status, 200, "cut at {cut}");
    }
    let received = setup.backend.received();
    assert_eq!(received.matches("POST /cut HTTP/1.1\r\n").count(), head.len() - 1);
    assert!(!received.to_ascii_lowercase().contains("upgrade"), "{received}");
}

#[tokio::test]
async fn the_last_request_of_a_connection_says_so() {
    let setup = Setup::start(Backend::ok().await, |config| config.requests_per_connection = 3).await;
    let mut client = setup.client().await;
    for _ in 0..2 {
        client.send(GET).await;
        assert_eq!(
            client.answer().await.unwrap().header("connection"),
            Some("keep-alive")
        );
    }
    client.send(GET).await;
    assert_eq!(client.answer().await.unwrap().header("connection"), Some("close"));
    assert!(client.closes().await);
}

#[tokio::test]
async fn a_refusal_is_answered_recorded_and_ends_the_connection() {
    let setup = Setup::plain().await;
    let mut client = setup.client().await;
    client
        .send("GET /x HTTP/1.1\r\nHost: gw.example\r\nX-Request-ID: abc-1\r\nX-A : 1\r\n\r\n")
        .await;
    let answer = client.answer().await.unwrap();
    answer.assert_status(400);
    assert_eq!(answer.header("x-genkan-reason"), Some("Framing"));
    assert_eq!(answer.header("x-request-id"), Some("abc-1"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.closes().await);
    assert_eq!(setup.backend.received(), "");
    assert_eq!(*setup.ledger.0.lock(), [("GET".to_owned(), "/x".to_owned(), 400)]);
}

#[tokio::test]
async fn a_request_id_that_could_do_harm_is_replaced() {
    let setup = Setup::plain().await;
    let mut client = setup.client().await;
    client
        .send("GET /x HTTP/1.1\r\nHost: gw.example\r\nX-Request-Id: a\"b\r\nX-A : 1\r\n\r\n")
        .await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.header("x-request-id").unwrap().len(), 36);
}

#[tokio::test]
async fn a_refused_head_request_gets_no_body() {
    let setup = Setup::plain().await;
    let mut client = setup.client().await;
    client
        .send("HEAD /a#f HTTP/1.1\r\nHost: gw.example\r\n\r\n")
        .await;
    let rest = client.rest_of_it().await;
    assert!(
        rest.starts_with("HTTP/1.1 400 Bad Request\r\n") && rest.ends_with("\r\n\r\n"),
        "{rest}"
    );
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let setup = Setup::plain().await;
    let mut client = setup.client().await;
    client
        .send("PUT /a HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 03000000\r\n\r\n")
        .await;
    client.try_send(vec![b'x'; 3_000_000]).await;
    client.answer().await.unwrap().assert_status(400);
}

#[tokio::test]
async fn the_server_itself_answers_options() {
    let setup = Setup::plain().await;
    let mut client = setup.client().await;
    client
        .send("OPTIONS * HTTP/1.1\r\nHost: gw.example\r\n\r\n")
        .await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
    assert!(answer.header("allow").is_some() && answer.header("x-request-id").is_some());
    client.send(GET).await;
    assert_eq!(client.answer().await.unwrap().text(), "ok");
    client
        .send("OPTIONS * HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 1\r\n\r\nx")
        .await;
    assert_eq!(client.answer().await.unwrap().header("connection"), Some("close"));
    assert!(client.closes().await);
    assert_eq!(setup.backend.requests(), 1);
    let line = ("OPTIONS".to_owned(), "*".to_owned(), 200);
    assert_eq!(*setup.ledger.0.lock(), [line.clone(), line]);
}

#[tokio::test]
async fn bytes_behind_the_head_stay_in_order() {
    let setup = Setup::plain().await;
    let mut client = setup.client().await;
    let body = "0123456789".repeat(2_000);
    let head = format!(
        "POST http://gw.example/up HTTP/1.1\r\nHost: gw.example\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(format!("{head}{body}")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    let received = setup.backend.received();
    assert!(received.starts_with("POST /up HTTP/1.1\r\n"), "{received}");
    assert!(received.ends_with(&body));
}

#[tokio::test]
async fn a_second_request_in_the_same_segment_is_not_served() {
    let setup = Setup::plain().await;
    let mut client = setup.client().await;
    client
        .send(format!("{GET}GET /smuggled HTTP/1.1\r\nHost: gw.example\r\n\r\n"))
        .await;
    assert_eq!(client.answer().await.unwrap().text(), "ok");
    assert!(client.closes().await);
    assert!(!setup.backend.received().contains("smuggled"));
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_ends_the_connection() {
    // The engine goes on reading the body until its deadline.
    let deadline = Duration::from_millis(100);
    let setup = Setup::start(Backend::ok().await, |config| config.body_timeout = deadline).await;
    let mut client = setup.client().await;
    client
        .send("POST /a HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(client.closes().await);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends_the_connection() {
    // More than all the sockets on its way hold.
    let length = 64 << 20;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let answer: &[u8] = [head.into_bytes(), vec![b'a'; length]].concat().leak();
    let deadline = Duration::from_millis(100);
    let backend = Backend::start(answer, Then::Stay).await;
    let setup = Setup::start(backend, |config| config.write_timeout = deadline).await;
    let mut client = setup.client().await;
    client.send(GET).await;
    while setup.front.traffic().requests() == 0 {
        kit::a_moment().await;
    }
    let drained = tokio::time::timeout(kit::PATIENCE, setup.front.traffic().drained()).await;
    assert!(drained.is_ok(), "it is still written");
}

#[tokio::test]
async fn draining_answers_what_is_open_and_counts_to_zero() {
    let setup = Setup::start(Backend::start(b"", Then::Silent).await, |_| {}).await;
    let (mut backend, traffic) = (setup.backend, setup.front.traffic());
    let mut client = Client::connect(setup.listener.address).await;
    client.send(GET).await;
    backend.wait_for("GET /a").await;
    assert_eq!((traffic.connections(), traffic.requests()), (1, 1));
    setup.draining.send_replace(true);
    setup.listener.shut_down();
    drop(client);
    tokio::time::timeout(kit::PATIENCE, traffic.drained())
        .await
        .unwrap();
    assert_eq!((traffic.connections(), traffic.requests()), (0, 0));
}

#[tokio::test]
async fn a_preface_and_nothing_behind_it_does_not_hold_a_connection() {
    let setup = Setup::plain().await;
    for more in [&b""[..], SETTINGS, HALF_A_HEAD] {
        let mut client = TcpStream::connect(setup.listener.address).await.unwrap();
        client.write_all(&[PREFACE, more].concat()).await.unwrap();
        // The server's own settings.
        client.read_u8().await.unwrap();
        tokio::time::pause();
        let start = Instant::now();
        let _ = client.read_to_end(&mut Vec::new()).await;
        let took = start.elapsed().as_secs_f64().round();
        assert!(took == 15.0, "{took} s after {}", more.escape_ascii());
        tokio::time::resume();
    }
    assert_eq!(setup.listener.closed("late"), 3);
}

#[tokio::test]
async fn too_many_connections_are_turned_away_and_the_others_live_on() {
    let shares = Shares {
        most: 2,
        ..listening::shares()
    };
    let setup = Setup::start_with(Backend::ok().await, |_| {}, shares).await;
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    for client in [&mut first, &mut second] {
        client.send(GET).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    assert!(setup.client().await.closes().await);
    assert_eq!(setup.listener.closed("full"), 1);
    first
        .send("GET /a HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(first.answer().await.unwrap().status, 200);
    assert!(first.closes().await);
    let mut third = setup.client().await;
    third.send(GET).await;
    assert_eq!(third.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn who_says_nothing_makes_room_for_those_who_do() {
    let shares = Shares {
        most: 2,
        ..listening::shares()
    };
    let setup = Setup::start_with(Backend::ok().await, |_| {}, shares).await;
    let (mut oldest, mut half) = (setup.client().await, setup.client().await);
    half.send(PREFACE).await;
    for _ in 0..20 {
        let mut client = setup.client().await;
        client
            .send("GET /a HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        assert!(client.closes().await);
    }
    assert!(oldest.closes().await);
    assert_eq!(setup.listener.closed("crowded"), 1, "the other kept its place");
}

#[tokio::test]
async fn a_panic_in_one_request_is_not_counted_for_ever() {
    let setup = Setup::plain().await;
    let mut client = setup.client().await;
    client
        .send("GET /a HTTP/1.1\r\nHost: gw.example\r\nX-Panic: now\r\n\r\n")
        .await;
    assert!(client.closes().await);
    setup.front.traffic().drained().await;
    assert_eq!(setup.front.traffic().requests(), 0);
}

/// Some clients send one behind the body of a POST, where it was not counted.
#[tokio::test]
async fn an_empty_line_between_two_requests_is_passed_over() {
    let setup = Setup::start(Backend::ok().await, |_| {}).await;
    let mut client = Client::connect(setup.listener.address).await;
    for lead in ["", "\r\n", "\r\n"] {
        client.send(lead).await;
        client.send(GET).await;
        assert_eq!(client.answer().await.unwrap().status, 200, "{lead:?}");
    }
    client.send("\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 400);
    assert_eq!(setup.backend.requests(), 3);
}
