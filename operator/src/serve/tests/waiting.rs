//! Connections without a stream: none waits for ever, and none keeps a proxy out.

use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::closed::{Closed, mk_closed};
use super::*;
use crate::serve::gate::tests::mk_token;

const SECOND: Duration = Duration::from_secs(1);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// HEADERS that go on in frames which never come.
const HALF_A_HEAD: &[u8] = b"\0\0\x01\x01\x01\0\0\0\x01\x82";

impl Closed {
    async fn tls(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap())
            .unwrap();
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("genkan-operator").unwrap();
        let stream = TcpStream::connect(self.rig.address).await.unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }
}

/// Reads until the other end closes; how long that took.
async fn end(mut stream: impl AsyncRead + Unpin) -> Duration {
    // However it is closed.
    took(async { drop(stream.read_to_end(&mut Vec::new()).await) }).await
}

/// How long this takes on a clock that stands still while anybody has something to do. It is stopped only here: it would
/// run ahead of what is on its way between sockets.
async fn took(waiting: impl Future<Output = ()>) -> Duration {
    tokio::time::pause();
    let start = Instant::now();
    waiting.await;
    let took = start.elapsed();
    tokio::time::resume();
    took
}

fn is_about(took: Duration, seconds: u32) -> bool {
    (took.as_secs_f64() - f64::from(seconds)).abs() < 0.5
}

#[tokio::test]
async fn nobody_waits_on_the_port_of_the_stream_for_more_than_ten_seconds() {
    let closed = mk_closed(&[]).await;
    for said in [&b""[..], b"\x16\x03\x01\x02\x00", b"\x16\x03\x01\x00\x05\x01"] {
        let mut stream = TcpStream::connect(closed.rig.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        let took = end(stream).await;
        assert!(is_about(took, 10), "{}: {took:?}", said.escape_ascii());
    }
    for said in [
        vec![],
        PREFACE.to_vec(),
        [PREFACE, SETTINGS].concat(),
        [PREFACE, SETTINGS, HALF_A_HEAD].concat(),
    ] {
        let mut stream = closed.tls().await;
        stream.write_all(&said).await.unwrap();
        let took = end(stream).await;
        assert!(is_about(took, 10), "{}: {took:?}", said.escape_ascii());
    }
    let late = "connections_closed_total{listener=\"stream\",reason=\"late\"} 7";
    assert!(closed.metrics.text().contains(late), "{}", closed.metrics.text());
}

#[tokio::test]
async fn a_refused_token_prolongs_nothing() {
    let closed = mk_closed(&[]).await;
    let (mut client, connection) = h2::client::handshake(closed.tls().await).await.unwrap();
    let ended = tokio::spawn(connection);
    let asking = async {
        loop {
            let request = http::Request::post("https://genkan-operator/x").body(()).unwrap();
            let Ok((answer, _)) = client.send_request(request, true) else {
                return;
            };
            if answer.await.is_err() {
                return;
            }
            sleep(SECOND).await;
        }
    };
    let took = took(async { timeout(60 * SECOND, asking).await.unwrap() }).await;
    let _ = ended.await.unwrap();
    assert!(took < 12 * SECOND, "{took:?}");
}

#[tokio::test]
async fn a_stream_keeps_its_connection() {
    let token = mk_token("1", 36_000);
    let mut closed = mk_closed(&[(&token, "edge-1")]).await;
    let mut proxy = closed
        .subscribe(&token, mk_hello(PROTOCOL_VERSION))
        .await
        .unwrap();
    closed.admit().await;
    let chunk = proxy.chunk().await;
    let ack = Ack {
        nonce: chunk.nonce,
        hash: chunk.new_hash,
        ..Ack::default()
    };
    proxy.say(proxy_message::Message::Ack(ack)).await;
    let silence = async {
        let ended = timeout(600 * SECOND, proxy.messages.message()).await;
        assert!(ended.is_err(), "{ended:?}");
    };
    assert!(is_about(took(silence).await, 600));
}

#[tokio::test]
async fn a_connection_whose_stream_has_ended_is_closed() {
    let rig = mk_rig().await;
    rig.feed.publish();
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = tokio::spawn(connection);
    let request = http::Request::post("http://operator/genkan.config.v1alpha1.ConfigStream/Subscribe")
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    let took = took(async { drop(ended.await.unwrap()) }).await;
    assert!(is_about(took, 10), "{took:?}");
}

#[tokio::test]
async fn who_subscribes_and_says_nothing_is_refused() {
    let token = mk_token("1", 3600);
    let closed = mk_closed(&[(&token, "edge-1")]).await;
    let mut proxy = closed.call(&token, None).await.unwrap();
    let end = async { assert_eq!(proxy.end().await.code(), Code::InvalidArgument) };
    let took = took(end).await;
    assert!(is_about(took, 10), "{took:?}");
}

#[tokio::test]
async fn a_snapshot_that_is_not_acknowledged_ends_the_stream() {
    let token = mk_token("1", 3600);
    let mut closed = mk_closed(&[(&token, "edge-1")]).await;
    let mut proxy = closed
        .subscribe(&token, mk_hello(PROTOCOL_VERSION))
        .await
        .unwrap();
    closed.admit().await;
    proxy.chunk().await;
    let end = async { assert_eq!(proxy.end().await.code(), Code::DeadlineExceeded) };
    let took = took(end).await;
    assert!(is_about(took, 60), "{took:?}");
}

#[tokio::test]
async fn three_hundred_silent_connections_keep_no_proxy_out() {
    let token = mk_token("1", 3600);
    let mut closed = mk_closed(&[(&token, "edge-1")]).await;
    let mut silent = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(closed.rig.address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
        }
        silent.push(stream);
    }
    let subscribing = closed.subscribe(&token, mk_hello(PROTOCOL_VERSION));
    let proxy = timeout(5 * SECOND, subscribing).await;
    let mut proxy = proxy.expect("half of what the silent ones may take").unwrap();
    closed.admit().await;
    assert!(proxy.chunk().await.last);
    let text = closed.metrics.text();
    assert!(text.contains("reason=\"crowded\"} 2"), "{text}");
}
