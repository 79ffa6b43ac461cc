//! Bodies pass as they come, in bounded memory.

use std::net::SocketAddr;
use std::time::Duration;

use genkan_proto::v1alpha1::{Directives, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::kit::Client;
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::Process;

const MIB: usize = 1 << 20;
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// Takes every byte of an upload and then sends as many.
async fn mirror(size: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                if head.starts_with(b"POST") {
                    discard(&mut stream, size).await;
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        .await?;
                } else {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
                    stream.write_all(head.as_bytes()).await?;
                    pour(&mut stream, size).await;
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}

async fn pour(stream: &mut TcpStream, size: usize) {
    for _ in 0..size / PIECE.len() {
        stream.write_all(&PIECE).await.unwrap();
    }
}

async fn discard(stream: &mut TcpStream, size: usize) {
    let (mut buffer, mut left) = (vec![0; PIECE.len()], size);
    while left > 0 {
        left -= match stream.read(&mut buffer).await.unwrap() {
            0 => panic!("{left} bytes are missing"),
            read => read,
        };
    }
}

#[tokio::test]
async fn bodies_of_1_gib_do_not_stay_in_memory() {
    let size = 1024 * MIB;
    let process = Process::start(&[]).await;
    let backend = mirror(size).await;
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", mk_host(backend), none())])
        .await;
    let before = process.most_memory();
    let mut client = Client::connect(process.address).await;
    client
        .send(format!(
            "POST /proxy/x HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        ))
        .await;
    pour(&mut client.stream, size).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    client.send("GET /proxy/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.until("\r\n\r\n").await);
    let head = client
        .buffered
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap()
        + 4;
    discard(&mut client.stream, size - (client.buffered.len() - head)).await;
    let grown = process.most_memory().saturating_sub(before);
    assert!(grown < 32 * MIB, "the program grew by {} KiB", grown / 1024);
}

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = listener.local_addr().unwrap();
    let process = Process::start(&[]).await;
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", mk_host(backend), none())])
        .await;
    let mut client = Client::connect(process.address).await;
    client
        .send("GET /proxy/x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        .await
        .unwrap();
    assert!(client.until("\r\n\r\n").await);
    for number in 0..20 {
        let event = format!("data: {number}\n\n");
        let sent = Instant::now();
        stream.write_all(event.as_bytes()).await.unwrap();
        assert!(client.until(&event).await);
        assert!(
            sent.elapsed() < Duration::from_millis(500),
            "event {number} took {:?}",
            sent.elapsed()
        );
    }
}

#[tokio::test]
async fn client_that_leaves_frees_its_backend() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let process = Process::start(&[]).await;
    let backend = mk_host(listener.local_addr().unwrap());
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", backend, none())])
        .await;
    let mut client = Client::connect(process.address).await;
    client.send("GET /proxy/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut buffer = vec![0; 4096];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    drop(client);
    let end = timeout(Duration::from_secs(5), stream.read(&mut buffer))
        .await
        .unwrap();
    assert!(matches!(end, Ok(0) | Err(_)));
}

/// Speaks HTTP/2 without TLS: a page whose last tag never ends, and trailers.
async fn page_with_trailers() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let head = http::Response::builder().header("content-type", "text/html");
            let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
            body.send_data("<a href=/one>1</a><b title=".into(), false)
                .unwrap();
            let trailers = [(
                http::HeaderName::from_static("x-sum"),
                http::HeaderValue::from_static("1"),
            )];
            body.send_trailers(trailers.into_iter().collect()).unwrap();
        }
    });
    address
}

#[tokio::test]
async fn nothing_of_a_rewritten_body_is_lost_before_trailers() {
    let process = Process::start(&[]).await;
    let upstream = Upstream {
        http2: true,
        ..mk_host(page_with_trailers().await)
    };
    let directives = Directives {
        wrap_transport: true,
        strip_path_prefix: "/proxy".into(),
        ..none()
    };
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", upstream, directives)])
        .await;
    let mut client = Client::connect(process.address).await;
    client
        .send("GET /proxy/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    let answer = client.answer().await.unwrap();
    assert!(
        answer.text().contains("<a href=/proxy/one>1</a>") && answer.text().contains("<b title="),
        "{answer:?}"
    );
}
