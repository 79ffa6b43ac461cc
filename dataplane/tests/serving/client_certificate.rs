//! Backends that ask who connects.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::identity::send;
use crate::kit::PATIENCE;
use crate::objects::{mk_proxy, mk_tls, none};
use crate::process::Process;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn mk_authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Lets in only whom this authority vouches for, and tells them the digest of what they showed.
async fn start(authority: &Authority) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let names = vec!["backend.example".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, authority)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n{}",
                    blake3::hash(&shown)
                );
                let mut buffer = vec![0; 4096];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    address
}

/// A new pair in the folder; gives the digest of its certificate.
fn write(folder: &Path, authority: &Authority) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["genkan".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    blake3::hash(certificate.der()).to_string()
}

async fn publish(process: &Process, address: SocketAddr, authority: &Authority) {
    let upstream = mk_tls(address, "backend.example", &authority.pem());
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", upstream, none())])
        .await;
}

async fn logs(process: &Process, text: &str) {
    let waiting = async {
        while !process.log().contains(text) {
            crate::kit::a_moment().await;
        }
    };
    let found = timeout(PATIENCE * 2, waiting).await;
    assert!(found.is_ok(), "{text:?} in {}", process.log());
}

#[tokio::test]
async fn certificate_is_shown_to_who_asks_and_replaced_when_its_files_are() {
    let (authority, folder) = (mk_authority(), tempfile::tempdir().unwrap());
    let address = start(&authority).await;
    let stranger = Process::start(&[]).await;
    publish(&stranger, address, &authority).await;
    assert_eq!(
        send(&stranger, "GET /proxy/x", &[]).await.status,
        502,
        "it shows none"
    );

    let first = write(folder.path(), &authority);
    let file = |name| folder.path().join(name).display().to_string();
    let (certificate, key) = (file("tls.crt"), file("tls.key"));
    let flags = [
        "--proxy-client-cert-file",
        &certificate,
        "--proxy-client-key-file",
        &key,
    ];
    let process = Process::start(&flags).await;
    publish(&process, address, &authority).await;
    assert_eq!(send(&process, "GET /proxy/x", &[]).await.text(), first);

    let second = write(folder.path(), &authority);
    logs(&process, "changed files are in use").await;
    assert_eq!(
        send(&process, "GET /proxy/x", &[]).await.text(),
        second,
        "no connection is used again"
    );

    std::fs::write(&key, "junk").unwrap();
    logs(&process, "stays in use").await;
    assert_eq!(send(&process, "GET /proxy/x", &[]).await.text(), second);
}
