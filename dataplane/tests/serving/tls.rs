//! Backends with TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use genkan_proto::v1alpha1::health::State;
use genkan_proto::v1alpha1::{Tls, Upstream};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::health::told;
use crate::kit::{Answer, Client};
use crate::objects::{mk_bundled, mk_proxy, mk_tls, none};
use crate::process::Process;

struct Server {
    address: SocketAddr,
    /// In PEM: what a client must know to trust the server.
    ca: String,
    received: Arc<Mutex<Vec<u8>>>,
    connections: Arc<AtomicUsize>,
}

fn mk_params(names: &[&str], is_ca: bool) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

/// Signed by a CA of its own.
async fn signed(names: &[&str]) -> Server {
    let ca = CertifiedIssuer::self_signed(mk_params(&[], true), KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = mk_params(names, false).signed_by(&key, &ca).unwrap();
    start(certificate.der().clone(), &key, ca.pem(), &[]).await
}

/// CA and server at once, as `openssl req -x509` makes them.
async fn self_signed(names: &[&str]) -> Server {
    let key = KeyPair::generate().unwrap();
    let certificate = mk_params(names, true).self_signed(&key).unwrap();
    start(certificate.der().clone(), &key, certificate.pem(), &[]).await
}

/// `protocols` are all that it agrees to; with none it does not take part in the agreement.
async fn start(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    ca: String,
    protocols: &[&str],
) -> Server {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = config
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received: Arc<Mutex<Vec<u8>>> = Arc::default();
    let log = Arc::clone(&received);
    let connections = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let (config, log) = (Arc::clone(&config), Arc::clone(&log));
            tokio::spawn(async move {
                let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await else {
                    return;
                };
                let mut buffer = vec![0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    log.lock().extend_from_slice(&buffer[..read]);
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                        .await;
                }
            });
        }
    });
    Server {
        address,
        ca,
        received,
        connections,
    }
}

async fn get(process: &Process, upstream: Upstream) -> Answer {
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", upstream, none())])
        .await;
    let mut client = Client::connect(process.address).await;
    client
        .send("GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n")
        .await;
    client.answer().await.unwrap()
}

#[tokio::test]
async fn a_bundle_that_many_name_is_trusted_by_all_and_one_that_is_missing_by_none() {
    let (process, server) = (Process::start(&[]).await, signed(&["b.example"]).await);
    let (upstream, bundle) = mk_bundled(server.address, "b.example", &server.ca);
    let proxy = |name: &str| {
        let mut proxy = mk_proxy(name, &format!("/proxy/{name}/*"), upstream.clone(), none());
        proxy.requires = vec!["blobs".into()];
        proxy
    };
    let ask = async |name: &str| {
        let mut client = Client::connect(process.address).await;
        client
            .send(format!(
                "GET /proxy/{name}/x HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n"
            ))
            .await;
        client.answer().await.unwrap()
    };
    let both = vec![proxy("a"), proxy("b")];
    let ack = process.operator.publish(both.clone()).await;
    assert_eq!(ack.verdicts.len(), 2);
    let refused = ask("a").await;
    refused.assert_status(503);
    assert_eq!(refused.header("x-genkan-reason"), Some("InvalidCABundle"));
    let ack = process.operator.publish([both, vec![bundle]].concat()).await;
    assert!(ack.verdicts.is_empty(), "{ack:?}");
    for name in ["a", "b"] {
        assert_eq!(ask(name).await.status, 200);
    }
}

#[tokio::test]
async fn certificates_are_verified_and_changes_take_effect_at_once() {
    let (process, server, other) = (
        Process::start(&[]).await,
        signed(&["b.example", "127.0.0.1"]).await,
        signed(&["x"]).await,
    );
    let at = |name: &str, ca: &str| mk_tls(server.address, name, ca);
    assert_eq!(get(&process, at("b.example", &server.ca)).await.status, 200);
    assert_eq!(get(&process, at("127.0.0.1", &server.ca)).await.status, 200);
    let arrived = server.received.lock().len();
    // The connections made before must not be used under other settings.
    for (name, ca) in [
        ("b.example", other.ca.as_str()),
        ("other.example", &server.ca),
        ("b.example", ""),
    ] {
        let refused = get(&process, at(name, ca)).await;
        refused.assert_status(502);
        assert_eq!(
            refused.header("x-genkan-reason"),
            Some("BackendTLSVerify"),
            "{refused:?}"
        );
    }
    assert_eq!(
        server.received.lock().len(),
        arrived,
        "no byte of a request reaches a server that is not trusted"
    );
    told(&process, "p", State::TlsFailed).await;
    let tls = Tls {
        server_name: "other.example".into(),
        beside_roots: false,
        insecure_skip_verify: true,
        ..Tls::default()
    };
    assert_eq!(
        get(
            &process,
            Upstream {
                tls: Some(tls),
                ..at("", "")
            }
        )
        .await
        .status,
        200
    );
}

#[tokio::test]
async fn certificate_that_is_its_own_ca_is_pinned() {
    let (process, server) = (Process::start(&[]).await, self_signed(&["b.example"]).await);
    for _ in 0..2 {
        assert_eq!(
            get(&process, mk_tls(server.address, "b.example", &server.ca))
                .await
                .status,
            200
        );
    }
    let arrived = server.received.lock().len();
    let other = self_signed(&["b.example"]).await;
    let both = format!("{}{}", other.ca, server.ca);
    get(&process, mk_tls(server.address, "b.example", &other.ca))
        .await
        .assert_status(502);
    let health = told(&process, "p", State::TlsFailed).await;
    assert!(health.error.contains("caBundle"), "{health:?}");
    get(&process, mk_tls(server.address, "other.example", &server.ca))
        .await
        .assert_status(502);
    assert_eq!(server.received.lock().len(), arrived);
    assert_eq!(
        get(&process, mk_tls(server.address, "b.example", &both))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn pinned_server_is_remembered_and_forgotten() {
    let (process, server) = (Process::start(&[]).await, self_signed(&["b.example"]).await);
    let upstream = mk_tls(server.address, "b.example", &server.ca);
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", upstream, none())])
        .await;
    let mut client = Client::connect(process.address).await;
    for _ in 0..3 {
        client
            .send("GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n")
            .await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    // One that failed and showed what is needed, and one that was kept.
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn caller_who_says_grpc_brings_no_backend_into_disrepute() {
    let process = Process::start(&[]).await;
    let ca = CertifiedIssuer::self_signed(mk_params(&[], true), KeyPair::generate().unwrap()).unwrap();
    for protocols in [&["http/1.1"][..], &[]] {
        let key = KeyPair::generate().unwrap();
        let certificate = mk_params(&["b.example"], false).signed_by(&key, &ca).unwrap();
        let server = start(certificate.der().clone(), &key, ca.pem(), protocols).await;
        let upstream = mk_tls(server.address, "b.example", &server.ca);
        assert_eq!(get(&process, upstream.clone()).await.status, 200);
        let mut client = Client::connect(process.address).await;
        client
            .send("POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n")
            .await;
        let refused = client.answer().await.unwrap();
        assert_eq!(refused.header("grpc-status"), Some("14"), "{refused:?}");
        assert_eq!(refused.header("x-genkan-reason"), Some("BackendProtocol"));
        assert!(
            refused
                .header("grpc-message")
                .unwrap()
                .contains("does not speak HTTP/2"),
            "{refused:?}"
        );
        assert!(!String::from_utf8_lossy(&server.received.lock()).contains("POST"));
        assert_eq!(get(&process, upstream).await.status, 200);
    }
    let down = mk_tls(crate::process::free_address(), "b.example", "");
    get(&process, down).await.assert_status(502);
    told(&process, "p", State::Unreachable).await;
    let health = process.operator.heard().health.lock().clone();
    assert!(
        health.iter().all(|health| health.state() != State::TlsFailed),
        "{health:?}"
    );
}

#[tokio::test]
async fn plain_http_behind_https_gets_the_sentence_that_helps() {
    let process = Process::start(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        // What servers of HTTP say to a greeting in TLS.
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                .await;
        }
    });
    let upstream = Upstream {
        https_by_default: true,
        ..mk_tls(address, "b.example", "")
    };
    let answer = get(&process, upstream).await;
    answer.assert_status(502);
    assert!(answer.text().contains("set service.scheme: http"), "{answer:?}");
}
