//! Requests that fail on the way to a backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use genkan_kit::deaf::Deaf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::kit::{Answer, Backend, Client};
use crate::objects::{mk_proxy, mk_service, none};
use crate::process::{Process, free_address};

async fn serve(addresses: &[SocketAddr]) -> Process {
    let process = Process::start(&[]).await;
    let (upstream, endpoints) = mk_service("shop", addresses);
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", upstream, none()), endpoints])
        .await;
    process
}

/// Answers the first request of each connection and closes when the second arrives. Counts what arrives.
async fn fickle() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                request(&mut stream, &counter).await?;
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await?;
                request(&mut stream, &counter).await
            });
        }
    });
    (address, count)
}

/// Reads one request, body included.
async fn request(stream: &mut TcpStream, counter: &AtomicUsize) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\nhi") {
        bytes.push(stream.read_u8().await?);
    }
    counter.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

async fn send(client: &mut Client, method: &str) -> Answer {
    client
        .send(format!(
            "{method} /proxy/x HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 2\r\n\r\nhi"
        ))
        .await;
    client.answer().await.unwrap()
}

#[tokio::test]
async fn connection_that_is_refused_leads_to_another_endpoint() {
    let backend = Backend::ok().await;
    let process = serve(&[free_address(), backend.address, free_address()]).await;
    for method in ["GET", "POST"] {
        for _ in 0..10 {
            let mut client = Client::connect(process.address).await;
            assert_eq!(send(&mut client, method).await.status, 200);
        }
    }
    assert_eq!(backend.requests(), 20);
    // Lines are written behind the answers.
    let is_told = || {
        let log = process.log();
        log.contains("\"attempts\":2") || log.contains("\"attempts\":3")
    };
    let waiting = async {
        while !is_told() {
            crate::kit::a_moment().await;
        }
    };
    let told = tokio::time::timeout(crate::kit::PATIENCE, waiting).await;
    assert!(told.is_ok(), "{}", process.log());
}

/// The engine's own clock cannot be moved: this takes as long as it says.
#[tokio::test]
async fn no_other_endpoint_is_tried_behind_fifteen_seconds() {
    let deaf: Vec<Deaf> = (0..5).map(|_| Deaf::start()).collect();
    let addresses: Vec<SocketAddr> = deaf.iter().map(|deaf| deaf.address).collect();
    let process = serve(&addresses).await;
    let begin = Instant::now();
    let mut client = Client::connect(process.address).await;
    let answer = send(&mut client, "GET").await;
    let took = begin.elapsed();
    assert_eq!(answer.status, 502);
    assert!((15.0..18.0).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test]
async fn nobody_left_is_502_and_nobody_at_all_503() {
    let process = serve(&[free_address(), free_address()]).await;
    let mut client = Client::connect(process.address).await;
    let refused = send(&mut client, "GET").await;
    refused.assert_status(502);
    assert_eq!(refused.header("x-genkan-reason"), Some("BackendConnectFailed"));
    assert!(
        refused.text().contains("ReverseProxy p") && !refused.text().contains("127.0.0.1"),
        "{refused:?}"
    );

    let process = serve(&[]).await;
    let mut client = Client::connect(process.address).await;
    let empty = send(&mut client, "GET").await;
    empty.assert_status(503);
    assert_eq!(empty.header("x-genkan-reason"), Some("NoReadyEndpoints"));
}

#[tokio::test]
async fn kept_connection_that_dies_is_made_up_for_where_that_is_safe() {
    let (address, count) = fickle().await;
    let process = serve(&[address]).await;
    let mut client = Client::connect(process.address).await;
    assert_eq!(send(&mut client, "PUT").await.status, 200);
    assert_eq!(send(&mut client, "PUT").await.status, 200);
    // The second came on the first connection, and again on a new one.
    assert_eq!(count.load(Ordering::SeqCst), 3);

    let (address, count) = fickle().await;
    let process = serve(&[address]).await;
    let mut client = Client::connect(process.address).await;
    assert_eq!(send(&mut client, "POST").await.status, 200);
    send(&mut client, "POST").await.assert_status(502);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn endpoint_that_left_is_never_used_again() {
    let (old, new) = (Backend::ok().await, Backend::ok().await);
    let process = serve(&[old.address]).await;
    let mut client = Client::connect(process.address).await;
    assert_eq!(send(&mut client, "GET").await.status, 200);
    let (upstream, endpoints) = mk_service("shop", &[new.address]);
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", upstream, none()), endpoints])
        .await;
    for _ in 0..5 {
        assert_eq!(send(&mut client, "GET").await.status, 200);
    }
    assert_eq!((old.requests(), new.requests()), (1, 5));
}
