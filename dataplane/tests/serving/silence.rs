//! Backends that say nothing for longer than `--upstream-read-timeout`.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::kit::{Backend, Client, Then};
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::Process;

const LIMIT: [&str; 2] = ["--upstream-read-timeout", "300ms"];

/// Answers with a beginning, and with the end of it when it is told to.
async fn pausing(kind: &'static str, go_on: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut go_on = go_on.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
                }
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(b"5\r\nfirst\r\n").await.unwrap();
                go_on.wait_for(|go_on| *go_on).await.unwrap();
                let _ = stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").await;
            });
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_says_so_may_be_silent_and_no_other() {
    let silent = Backend::start(b"", Then::Silent).await;
    let (tell, told) = watch::channel(false);
    let events = pausing("text/event-stream; charset=utf-8", told.clone()).await;
    let watched = pausing("application/json;stream=watch", told.clone()).await;
    let page = pausing("text/html", told).await;
    let process = Process::start(&LIMIT).await;
    let resources = [
        ("events", events),
        ("page", page),
        ("silent", silent.address),
        ("watched", watched),
    ];
    let resources = resources
        .map(|(name, backend)| mk_proxy(name, &format!("/proxy/{name}/*"), mk_host(backend), none()));
    process.operator.publish(resources.into()).await;

    let ask = async |method: &str, path: &str| {
        let mut client = Client::connect(process.address).await;
        let body = if method == "POST" {
            "Content-Length: 2\r\n\r\n{}"
        } else {
            "\r\n"
        };
        client
            .send(format!(
                "{method} {path} HTTP/1.1\r\nHost: gw.example\r\nAccept: */*\r\n{body}"
            ))
            .await;
        client
    };
    let mut quiet = Vec::new();
    for (method, path) in [
        ("GET", "/proxy/events/x"),
        ("POST", "/proxy/events/x"),
        ("GET", "/proxy/watched/x"),
    ] {
        let mut client = ask(method, path).await;
        assert!(client.until("first").await, "{path}");
        quiet.push(client);
    }
    let mut cut = ask("GET", "/proxy/page/x").await;
    assert!(cut.until("first").await);
    // What began later has had its time already.
    for method in ["GET", "POST"] {
        let answer = ask(method, "/proxy/silent/x").await.answer().await.unwrap();
        answer.assert_status(504);
        assert_eq!(answer.header("x-genkan-reason"), Some("BackendTimeout"));
        assert!(answer.text().contains("300ms"), "{answer:?}");
    }
    assert!(!cut.rest_of_it().await.contains("last"));
    tell.send_replace(true);
    for mut client in quiet {
        assert!(client.until("last\r\n0\r\n\r\n").await);
    }
}

#[tokio::test]
async fn a_connection_is_kept_behind_an_answer_that_was_silent() {
    let (tell, told) = watch::channel(true);
    let events = pausing("text/event-stream", told).await;
    let process = Process::serving(events, &LIMIT).await;
    let mut client = Client::connect(process.address).await;
    for _ in 0..3 {
        client
            .send("GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n")
            .await;
        let answer = client.answer().await.unwrap();
        let whole = ["first", "last"].iter().all(|part| answer.text().contains(part));
        assert!(answer.status == 200 && whole, "{answer:?}");
    }
    drop(tell);
}

#[tokio::test]
async fn clients_of_http2_may_hear_nothing_for_as_long() {
    let silent = Backend::start(b"", Then::Silent).await;
    let (tell, told) = watch::channel(false);
    let events = pausing("text/event-stream", told.clone()).await;
    let page = pausing("text/html", told).await;
    let process = Process::start(&LIMIT).await;
    let resources = [("events", events), ("page", page), ("silent", silent.address)];
    let resources = resources
        .map(|(name, backend)| mk_proxy(name, &format!("/proxy/{name}/*"), mk_host(backend), none()));
    process.operator.publish(resources.into()).await;

    let stream = TcpStream::connect(process.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let ask = async |method: &str, path: &str| {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://gw.example{path}"))
            .body(())
            .unwrap();
        let (answer, _) = client
            .clone()
            .ready()
            .await
            .unwrap()
            .send_request(request, true)
            .unwrap();
        answer.await.unwrap()
    };
    let mut events = ask("GET", "/proxy/events/x").await.into_body();
    assert_eq!(events.data().await.unwrap().unwrap(), "first");
    let mut page = ask("GET", "/proxy/page/x").await.into_body();
    assert_eq!(page.data().await.unwrap().unwrap(), "first");
    for method in ["GET", "POST"] {
        let answer = ask(method, "/proxy/silent/x").await;
        assert_eq!(answer.status(), 504);
        assert_eq!(answer.headers()["x-genkan-reason"], "BackendTimeout");
    }
    assert!(page.data().await.unwrap().is_err(), "it is cut off");
    tell.send_replace(true);
    assert_eq!(events.data().await.unwrap().unwrap(), "last");
    while let Some(end) = events.data().await {
        assert_eq!(end.unwrap(), "");
    }
}

#[tokio::test]
async fn clients_of_http2_use_connections_to_backends_again() {
    let backend = Backend::ok().await;
    let process = Process::serving(backend.address, &LIMIT).await;
    let stream = TcpStream::connect(process.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for method in ["GET", "GET", "HEAD", "GET"] {
        let request = http::Request::builder()
            .method(method)
            .uri("http://gw.example/proxy/x")
            .body(())
            .unwrap();
        let mut client = client.clone().ready().await.unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        while let Some(piece) = body.data().await {
            piece.unwrap();
        }
    }
    // It goes back a moment after the answer has come.
    assert!(backend.lengths().len() <= 2, "{:?}", backend.lengths());
    let mut client = Client::connect(process.address).await;
    client
        .send("GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert!(backend.lengths().len() <= 2, "it is that of all clients");
}
