use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn mk_authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority {
        issuer: Issuer::new(params, key),
        pem,
    }
}

/// A server that completes handshakes and nothing else.
async fn mk_server(authority: &Authority, name: &str, expired: bool) -> SocketAddr {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    }
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(socket).await {
                    std::future::pending::<()>().await;
                    drop(stream);
                }
            });
        }
    });
    address
}

fn mk_credentials(folder: &tempfile::TempDir) -> Credentials {
    Credentials {
        ca: folder.path().join("ca.crt"),
        token: folder.path().join("token"),
    }
}

async fn told(server: SocketAddr, credentials: &Credentials) -> ConnectError {
    let operator = format!("https://{server}");
    connect(&operator, Some(credentials)).await.unwrap_err()
}

#[tokio::test]
async fn files_may_come_late_and_change() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = mk_credentials(&folder);
    let authority = mk_authority();
    let server = mk_server(&authority, "127.0.0.1", false).await;
    assert!(matches!(
        told(server, &credentials).await,
        ConnectError::NoAuthority { .. }
    ));
    for bad in [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&credentials.ca, bad).unwrap();
        assert!(
            matches!(told(server, &credentials).await, ConnectError::BadAuthority(_)),
            "{bad}"
        );
    }
    std::fs::write(&credentials.ca, mk_authority().pem).unwrap();
    assert!(matches!(told(server, &credentials).await, ConnectError::Unsigned));
    // While an authority is replaced, the file holds both.
    std::fs::write(&credentials.ca, mk_authority().pem + &authority.pem).unwrap();
    connect(&format!("https://{server}"), Some(&credentials))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = mk_credentials(&folder);
    let authority = mk_authority();
    std::fs::write(&credentials.ca, &authority.pem).unwrap();
    let other = mk_server(&authority, "elsewhere.example", false).await;
    let said = told(other, &credentials).await;
    assert!(
        matches!(&said, ConnectError::Name(name) if name == "127.0.0.1"),
        "{said}"
    );
    let expired = mk_server(&authority, "127.0.0.1", true).await;
    let said = told(expired, &credentials).await;
    assert!(matches!(said, ConnectError::Time), "{said}");
}

#[tokio::test]
async fn nobody_there_is_not_a_matter_of_trust() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = mk_credentials(&folder);
    std::fs::write(&credentials.ca, mk_authority().pem).unwrap();
    let server = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let said = told(server, &credentials).await;
    assert!(
        matches!(&said, ConnectError::Unreachable(why) if why.contains("refused")),
        "{said}"
    );
}

#[test]
fn a_token_is_read_each_time_and_printed_never() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = mk_credentials(&folder);
    assert!(matches!(credentials.bearer(), Err(ConnectError::NoToken { .. })));
    for bad in ["", " \n", "a\nb"] {
        std::fs::write(&credentials.token, bad).unwrap();
        assert!(
            matches!(credentials.bearer(), Err(ConnectError::BadToken(_))),
            "{bad:?}"
        );
    }
    for token in ["first", "second"] {
        std::fs::write(&credentials.token, format!("{token}\n")).unwrap();
        let value = credentials.bearer().unwrap();
        assert_eq!(value.to_str().unwrap(), format!("Bearer {token}"));
        assert!(!format!("{value:?}").contains(token));
    }
}
