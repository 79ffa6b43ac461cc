//! Draining, against the program itself: no request is lost, and the process ends by itself.

#![allow(clippy::unwrap_used)]

#[path = "wire/kit.rs"]
mod kit;
#[path = "wire/process.rs"]
mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use genkan_kit::http2::{self, RawHttp2};
use kit::{Backend, Client, Then};
use process::Process;
use tokio::time::{Instant, timeout};

const GET: &str = "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n";

/// The code that `/readyz` answers with.
async fn readiness(process: &Process) -> u16 {
    let mut client = Client::connect(process.admin).await;
    client
        .send("GET /readyz HTTP/1.1\r\nHost: admin.example\r\nConnection: close\r\n\r\n")
        .await;
    client.answer().await.unwrap().status
}

async fn until_draining(process: &Process) {
    let waiting = async {
        while readiness(process).await != 503 {
            kit::a_moment().await;
        }
    };
    timeout(kit::PATIENCE, waiting).await.unwrap();
}

/// Asks again and again on kept connections, as clients with a pool do. It goes on opening connections for a while
/// after the first answer that said close, as clients do until they have learnt that this proxy is leaving.
async fn hammer(address: std::net::SocketAddr, served: Arc<AtomicUsize>) {
    let mut leaving: Option<Instant> = None;
    while leaving.is_none_or(|since| since.elapsed() < Duration::from_millis(400)) {
        let mut client = Client::connect(address).await;
        loop {
            client.send(GET).await;
            let answer = client.answer().await.expect("a request was lost");
            assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
            served.fetch_add(1, Ordering::Relaxed);
            if answer.header("connection") == Some("close") {
                leaving.get_or_insert_with(Instant::now);
                break;
            }
        }
    }
}

#[tokio::test]
async fn no_request_is_lost_under_load() {
    let backend = Backend::ok().await;
    let mut process = Process::serving(backend.address, &["--drain-delay", "2s"]).await;
    let served = Arc::new(AtomicUsize::new(0));
    let hammers: Vec<_> = (0..8)
        .map(|_| tokio::spawn(hammer(process.address, Arc::clone(&served))))
        .collect();
    while served.load(Ordering::Relaxed) < 200 {
        kit::a_moment().await;
    }
    process.terminate();
    for hammer in hammers {
        hammer.await.unwrap();
    }
    assert!(process.ended().await.success(), "{}", process.log());
}

#[tokio::test]
async fn what_has_begun_is_finished_and_then_the_process_ends() {
    let mut backend = Backend::start(b"", Then::Silent).await;
    let mut process = Process::serving(backend.address, &["--drain-delay", "100ms"]).await;
    let mut client = Client::connect(process.address).await;
    client
        .send("POST /proxy/up HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    backend.wait_for("abc").await;
    process.terminate();
    until_draining(&process).await;
    client.send("def").await;
    backend.wait_for("abcdef").await;
    assert!(process.is_running());
    drop(client);
    let from = Instant::now();
    assert!(process.ended().await.success(), "{}", process.log());
    assert!(
        from.elapsed() < Duration::from_secs(3),
        "it took {:?}",
        from.elapsed()
    );
}

#[tokio::test]
async fn the_delay_accepts_and_says_close_and_streams_are_sent_away() {
    let backend = Backend::ok().await;
    let mut process = Process::serving(backend.address, &["--drain-delay", "1s"]).await;
    let mut http2 = RawHttp2::connect(process.address).await;
    let stream = http2
        .request(&[
            (":method", b"GET"),
            (":scheme", b"http"),
            (":authority", b"gw.example"),
            (":path", b"/proxy/h2"),
        ])
        .await;
    assert_eq!(http2.outcome(stream).await, http2::Outcome::Status(200));
    process.terminate();
    until_draining(&process).await;
    let mut late = Client::connect(process.address).await;
    late.send(GET).await;
    let answer = late.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(late.closes().await);
    assert!(http2.is_sent_away().await);
    drop(http2);
    assert!(process.ended().await.success(), "{}", process.log());
}

#[tokio::test]
async fn a_tunnel_is_cut_when_the_time_is_over() {
    let backend = Backend::start(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        Then::Echo,
    )
    .await;
    let flags = ["--drain-delay", "100ms", "--drain-timeout", "1s"];
    let mut process = Process::serving(backend.address, &flags).await;
    let mut client = Client::connect(process.address).await;
    client
        .send(
            "GET /proxy/ws HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    process.terminate();
    until_draining(&process).await;
    client.send("still alive").await;
    assert!(client.until("still alive").await);
    assert!(process.ended().await.success(), "{}", process.log());
    client.buffered.clear();
    assert!(client.closes().await);
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let backend = Backend::ok().await;
    let mut process = Process::serving(backend.address, &["--drain-delay", "1m"]).await;
    process.terminate();
    until_draining(&process).await;
    process.terminate();
    process.ended().await;
}

#[tokio::test]
async fn watches_are_ended_before_the_time_is_over() {
    let backend = Backend::start(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
        Then::Stay,
    )
    .await;
    let flags = ["--drain-delay", "0s", "--drain-timeout", "3s"];
    let mut process = Process::serving(backend.address, &flags).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(process.address).await;
        client
            .send("GET /proxy/x?watch=1 HTTP/1.1\r\nHost: gw.example\r\n\r\n")
            .await;
        assert!(client.until("one").await);
        clients.push(client);
    }
    process.terminate();
    assert!(process.ended().await.success(), "{}", process.log());
    assert!(!process.log().contains("are cut"), "{}", process.log());
    for mut client in clients {
        client.buffered.clear();
        assert!(client.closes().await);
    }
}
