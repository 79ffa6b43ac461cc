//! Upgraded connections.

use std::time::Duration;

use tokio::time::Instant;

use crate::kit::{Backend, Client, Then};
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::Process;

const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n";

async fn serve(answer: &'static [u8], then: Then) -> (Process, Backend) {
    serve_with(answer, then, &[]).await
}

async fn serve_with(answer: &'static [u8], then: Then, arguments: &[&str]) -> (Process, Backend) {
    let (process, backend) = (
        Process::start(arguments).await,
        Backend::start(answer, then).await,
    );
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", mk_host(backend.address), none())])
        .await;
    (process, backend)
}

fn ask(upgrade: &str, connection: &str) -> String {
    format!(
        "GET /proxy/x HTTP/1.1\r\nHost: a\r\nX-Remote-User: root\r\nConnection: {connection}\r\nUpgrade: {upgrade}\r\n\r\n"
    )
}

#[tokio::test]
async fn bytes_flow_both_ways_and_identity_does_not() {
    let (process, backend) = serve(SWITCH, Then::Echo).await;
    for upgrade in ["websocket", "WebSocket", "SPDY/3.1", "websocket, SPDY/3.1"] {
        let mut client = Client::connect(process.address).await;
        // The first bytes come in one piece with the head.
        client.send(ask(upgrade, "keep-alive, Upgrade") + "first").await;
        let answer = client.answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.header("upgrade"), answer.header("x-a")),
            (101, Some("websocket"), Some("1"))
        );
        client.send("second").await;
        assert!(client.until("second").await, "{upgrade}: {}", process.log());
    }
    let received = backend.received();
    assert_eq!(received.matches("first").count(), 4, "{received}");
    assert!(
        received.contains("Upgrade: SPDY/3.1") && received.contains("Upgrade: websocket, SPDY/3.1"),
        "{received}"
    );
    assert!(!received.contains("root"));
}

/// An hour is the default.
#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_closed() {
    const LIMIT: [&str; 2] = ["--tunnel-idle-timeout", "1s"];
    let (process, _backend) = serve_with(SWITCH, Then::Echo, &LIMIT).await;
    let mut client = Client::connect(process.address).await;
    client.send(ask("websocket", "Upgrade")).await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    let last = Instant::now();
    client.send("a piece").await;
    assert_eq!(client.rest_of_it().await, "a piece");
    assert!(last.elapsed() >= Duration::from_secs(1), "{:?}", last.elapsed());
}

#[tokio::test]
async fn end_of_the_backend_is_the_end_of_the_tunnel() {
    let (process, _backend) = serve(SWITCH, Then::Close).await;
    let mut client = Client::connect(process.address).await;
    client.send(ask("websocket", "Upgrade")).await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    assert!(client.closes().await);
}

#[tokio::test]
async fn other_protocols_are_ordinary_requests() {
    let (process, backend) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Stay).await;
    for (upgrade, connection) in [
        ("h2c", "Upgrade"),
        ("tcp", "Upgrade"),
        ("websocket, h2c", "Upgrade"),
        ("websocket", "x"),
    ] {
        let mut client = Client::connect(process.address).await;
        client.send(ask(upgrade, connection)).await;
        assert_eq!(client.answer().await.unwrap().status, 200, "{upgrade}");
    }
    assert!(
        !backend.received().to_lowercase().contains("upgrade"),
        "{}",
        backend.received()
    );
}

#[tokio::test]
async fn answers_below_400_that_do_not_switch_are_502_and_others_end_the_connection() {
    for (answer, code) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..], 502),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            502,
        ),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403),
        (
            b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nno",
            426,
        ),
    ] {
        let (process, mut backend) = serve(answer, Then::Stay).await;
        let mut client = Client::connect(process.address).await;
        client.send(ask("websocket", "Upgrade")).await;
        backend.wait_for("\r\n\r\n").await;
        client
            .try_send("GET /proxy/smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        let refused = client.answer().await;
        if let Some(refused) = refused {
            // Bytes that come before the answer are an offence of the client.
            assert!([code, 400].contains(&refused.status), "{refused:?}");
        }
        client.rest_of_it().await;
        assert!(
            !backend.received().contains("/proxy/smuggled HTTP"),
            "{}",
            backend.received()
        );
    }
}
