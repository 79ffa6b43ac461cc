//! The listener with TLS, and load balancers in front.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use genkan_accept::{Closed, Places};
use genkan_dataplane::front::{Front, FrontConfig};
use genkan_dataplane::listening::{self, Bound, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity;
use crate::kit::{Backend, Client, PATIENCE, a_moment, engine};
use crate::process::{Process, route};
use genkan_kit::http2::{HEADERS, RawHttp2};

type Issuer = CertifiedIssuer<'static, KeyPair>;

const ASK: &str = "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n";

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(issuer: &Issuer, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

/// The files that the data plane is given, and who signed what is in them.
pub struct Files {
    folder: tempfile::TempDir,
    issuer: Issuer,
}

impl Files {
    pub fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
            issuer: authority(),
        };
        files.write("a", "gw.example");
        files.write("b", "other.example");
        files
    }

    pub fn write(&self, stem: &str, name: &str) {
        let (certificate, key) = issue(&self.issuer, name, ExtendedKeyUsagePurpose::ServerAuth);
        std::fs::write(self.path(&format!("{stem}.crt")), certificate).unwrap();
        std::fs::write(self.path(&format!("{stem}.key")), key).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The flags that make a data plane show these certificates.
    pub fn flags(&self) -> Vec<String> {
        let [a, a_key, b, b_key] = ["a.crt", "a.key", "b.crt", "b.key"].map(|name| text(&self.path(name)));
        let flags = [
            "--tls-listen",
            "127.0.0.1:0",
            "--tls-cert-file",
            &a,
            "--tls-key-file",
            &a_key,
            "--tls-cert-file",
            &b,
            "--tls-key-file",
            &b_key,
        ];
        flags.map(ToOwned::to_owned).to_vec()
    }

    async fn process(&self, more: &[&str]) -> (Process, Backend) {
        let backend = Backend::ok().await;
        let flags = self.flags();
        let flags: Vec<&str> = flags
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        let process = Process::start(&flags).await;
        process
            .operator
            .publish(route("p", "/proxy/*", backend.address))
            .await;
        (process, backend)
    }

    /// A client that trusts the issuer of these files.
    pub fn client(&self) -> Caller {
        Caller {
            roots: self.issuer.der().clone(),
            name: "gw.example",
            versions: vec![&TLS13, &TLS12],
            protocols: &[],
            identity: None,
        }
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// How a client shakes hands.
#[derive(Clone)]
pub struct Caller {
    roots: CertificateDer<'static>,
    pub name: &'static str,
    versions: Vec<&'static SupportedProtocolVersion>,
    protocols: &'static [&'static str],
    identity: Option<(String, String)>,
}

impl Caller {
    pub async fn connect(&self, process: &Process) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(process.tls_address()).await?;
        self.shake_hands(stream).await
    }

    async fn shake_hands(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.roots.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = self
            .protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let name = ServerName::try_from(self.name).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn get(&self, process: &Process) -> u16 {
        let mut client = Client::new(self.connect(process).await.unwrap());
        client.send(ASK).await;
        client.answer().await.unwrap().status
    }
}

#[tokio::test]
async fn both_versions_and_every_name_are_served() {
    let files = Files::new();
    let (process, _backend) = files.process(&[]).await;
    for versions in [vec![&TLS12], vec![&TLS13]] {
        for name in ["gw.example", "other.example"] {
            let caller = Caller {
                versions: versions.clone(),
                name,
                ..files.client()
            };
            assert_eq!(caller.get(&process).await, 200, "{name}");
        }
    }
    let stranger = Caller {
        name: "third.example",
        ..files.client()
    };
    let error = stranger.connect(&process).await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn http2_is_agreed_on() {
    let files = Files::new();
    let (process, backend) = files.process(&[]).await;
    let caller = Caller {
        protocols: &["h2", "http/1.1"],
        ..files.client()
    };
    let stream = caller.connect(&process).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = genkan_kit::http2::client(stream).await;
    let mut client = client.ready().await.unwrap();
    for path in ["a", "b"] {
        let request = http::Request::get(format!("https://gw.example/proxy/{path}"))
            .body(())
            .unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    assert_eq!(backend.requests(), 2);
    let old = Caller {
        protocols: &["http/1.1"],
        ..files.client()
    };
    assert_eq!(old.get(&process).await, 200);
}

#[tokio::test]
async fn renewed_certificate_is_shown_and_open_connections_stay() {
    let files = Files::new();
    let (process, _backend) = files.process(&[]).await;
    let mut open = Client::new(files.client().connect(&process).await.unwrap());
    files.write("a", "renewed.example");
    let renewed = Caller {
        name: "renewed.example",
        ..files.client()
    };
    let waiting = async {
        while renewed.connect(&process).await.is_err() {
            a_moment().await;
        }
    };
    timeout(PATIENCE * 2, waiting)
        .await
        .expect("the renewed certificate");
    open.send(ASK).await;
    assert_eq!(open.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn client_certificates_are_verified_but_not_demanded() {
    let (files, people, strangers) = (Files::new(), authority(), authority());
    std::fs::write(files.path("people.crt"), people.pem()).unwrap();
    let (process, _backend) = files
        .process(&["--client-ca-file", &text(&files.path("people.crt"))])
        .await;
    let with = |issuer, usage| Caller {
        identity: Some(issue(issuer, "jane", usage)),
        ..files.client()
    };
    assert_eq!(files.client().get(&process).await, 200);
    let jane = with(&people, ExtendedKeyUsagePurpose::ClientAuth);
    assert_eq!(jane.get(&process).await, 200);
    for caller in [
        with(&strangers, ExtendedKeyUsagePurpose::ClientAuth),
        with(&people, ExtendedKeyUsagePurpose::ServerAuth),
    ] {
        // In TLS 1.3 the client is done before the server has looked.
        let Ok(stream) = caller.connect(&process).await else {
            continue;
        };
        let mut client = Client::new(stream);
        client.try_send(ASK).await;
        assert!(client.answer().await.is_none());
    }
}

#[tokio::test]
async fn certificate_says_who_calls_until_its_authority_is_gone() {
    let (files, people, successors) = (Files::new(), authority(), authority());
    let trust = |issuer: &Issuer| std::fs::write(files.path("people.crt"), issuer.pem()).unwrap();
    trust(&people);
    let mut flags = files.flags();
    flags.extend(["--client-ca-file".to_owned(), text(&files.path("people.crt"))]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let (process, backend, _api) = identity::serve(&flags).await;
    let jane = |protocols| Caller {
        identity: Some(issue(
            &people,
            "jane-with-certificate",
            ExtendedKeyUsagePurpose::ClientAuth,
        )),
        protocols,
        ..files.client()
    };
    let mut kept = Client::new(jane(&[]).connect(&process).await.unwrap());
    let ask = ASK.replace("/proxy/x", "/proxy/known/x");
    kept.send(&ask).await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    // It cannot be handed on to Kubernetes, which would have to judge it.
    kept.send(ask.replace("/proxy/known/x", "/api/v1/pods")).await;
    let answer = kept.answer().await.unwrap();
    assert_eq!(answer.status, 401);
    assert!(
        answer.text().contains("kubectl create token"),
        "{}",
        answer.text()
    );
    // A token beside it changes nothing.
    kept.send(ask.replace("\r\n\r\n", "\r\nAuthorization: Bearer tok-joe\r\n\r\n"))
        .await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    let stream = jane(&["h2"]).connect(&process).await.unwrap();
    let client = genkan_kit::http2::client(stream).await;
    let request = http::Request::get("https://gw.example/proxy/known/y")
        .body(())
        .unwrap();
    let (answer, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    let received = backend.received().to_lowercase();
    assert_eq!(
        received
            .matches("x-remote-user: jane-with-certificate\r\n")
            .count(),
        3,
        "{received}"
    );
    assert_eq!(
        received
            .matches("x-remote-group: system:authenticated\r\n")
            .count(),
        3,
        "{received}"
    );
    assert!(!received.contains("tok-joe"));

    trust(&successors);
    let refused = async {
        loop {
            kept.send(&ask).await;
            let answer = kept.answer().await.unwrap();
            if answer.status != 200 {
                return answer;
            }
            a_moment().await;
        }
    };
    let refused = timeout(PATIENCE * 2, refused).await.expect("the new authority");
    refused.assert_status(401);
    assert_eq!(refused.header("x-genkan-reason"), Some("CertificateRejected"));
}

#[tokio::test]
async fn load_balancers_name_their_clients() {
    let files = Files::new();
    let (process, backend) = files.process(&["--proxy-protocol-from", "127.0.0.1/32"]).await;
    let header = "PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n";

    let mut plain = Client::connect(process.address).await;
    plain.send(format!("{header}{ASK}")).await;
    assert_eq!(plain.answer().await.unwrap().status, 200);
    plain.send(ASK).await;
    assert_eq!(plain.answer().await.unwrap().status, 200);
    assert_eq!(
        backend
            .received()
            .matches("X-Forwarded-For: 192.0.2.7\r\n")
            .count(),
        2
    );

    let mut version2 = Client::connect(process.tls_address()).await;
    version2
        .send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\x0a\0\0\x01\x1f\x90\0\x50")
        .await;
    let stream = files.client().shake_hands(version2.stream).await.unwrap();
    let mut secure = Client::new(stream);
    secure.send(ASK).await;
    assert_eq!(secure.answer().await.unwrap().status, 200);
    assert!(backend.received().contains("X-Forwarded-For: 192.0.2.9\r\n"));

    // Without the header nothing can be said about who is there.
    let mut bare = Client::connect(process.address).await;
    bare.send(ASK).await;
    assert!(bare.closes().await);
    let mut bare = TcpStream::connect(process.tls_address()).await.unwrap();
    assert!(
        files
            .client()
            .shake_hands(TcpStream::connect(process.tls_address()).await.unwrap())
            .await
            .is_err()
    );
    bare.write_all(b"\x16\x03\x01\x00\x05hello").await.unwrap();
    assert_eq!(bare.read(&mut [0; 8]).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn header_of_somebody_else_is_a_bad_request() {
    let files = Files::new();
    let (process, _backend) = files.process(&["--proxy-protocol-from", "192.0.2.0/24"]).await;
    let mut client = Client::connect(process.address).await;
    client
        .send(format!("PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n{ASK}"))
        .await;
    client.answer().await.unwrap().assert_status(400);
}

#[tokio::test]
async fn draining_answers_what_has_begun() {
    let files = Files::new();
    let (mut process, _backend) = files.process(&["--drain-delay", "200ms"]).await;
    let mut kept = Client::new(files.client().connect(&process).await.unwrap());
    kept.send(ASK).await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    process.terminate();
    kept.send(ASK).await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    assert!(process.ended().await.success());
}

#[tokio::test]
async fn silent_connections_to_the_administration_port_keep_no_probe_out() {
    let process = Process::start(&[]).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(process.admin).await.unwrap());
    }
    let mut probe = Client::connect(process.admin).await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: admin.example\r\n\r\n");
    probe.send(ask("/healthz")).await;
    assert_eq!(probe.answer().await.unwrap().status, 200);
    assert_eq!(silent[0].read(&mut [0; 8]).await.unwrap_or_default(), 0);
    probe.send(ask("/metrics")).await;
    let metrics = probe.answer().await.unwrap().text();
    let crowded = r#"genkan_dataplane_connections_closed_total{listener="admin",reason="crowded"}"#;
    assert!(metrics.contains(crowded), "{metrics}");
}

/// What a client of TLS says before it falls silent.
#[derive(Clone, Copy, Debug)]
enum Said {
    Plain(&'static [u8]),
    /// Once hands are shaken, in this protocol.
    Secure(&'static str, &'static [u8]),
}

#[tokio::test(start_paused = true)]
async fn nobody_keeps_a_place_without_a_request() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let files = Files::new();
    let (address, closed) = files.listen().await;
    for (said, after) in [
        (Said::Plain(b""), 15),
        (Said::Plain(b"\x16\x03\x01\x02\x00"), 15),
        (Said::Plain(b"\x16\x03\x01\x00\x05\x01"), 15),
        (Said::Secure("h2", b""), 15),
        (Said::Secure("h2", PREFACE), 15),
        (
            Said::Secure("h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
            15,
        ),
        (Said::Secure("http/1.1", b""), 10),
        (Said::Secure("http/1.1", b"GET / HT"), 10),
    ] {
        let stream = TcpStream::connect(address).await.unwrap();
        let start = tokio::time::Instant::now();
        let mut read = Vec::new();
        match said {
            Said::Plain(bytes) => {
                let mut stream = stream;
                stream.write_all(bytes).await.unwrap();
                let _ = stream.read_to_end(&mut read).await;
            }
            Said::Secure(protocol, bytes) => {
                let caller = Caller {
                    protocols: match protocol {
                        "h2" => &["h2"],
                        _ => &["http/1.1"],
                    },
                    ..files.client()
                };
                let mut stream = caller.shake_hands(stream).await.unwrap();
                stream.write_all(bytes).await.unwrap();
                let _ = stream.read_to_end(&mut read).await;
            }
        }
        // A head that came late is told so, for a second at most.
        let took = start.elapsed().as_secs();
        assert!(
            took == after || read.starts_with(b"HTTP/1.1 408") && took <= after + 1,
            "{said:?}: {took} s"
        );
    }
    let late = closed.get_or_create(&[("listener", "requests"), ("reason", "late")]);
    assert_eq!(late.get(), 6);
}

impl Files {
    /// Both listeners in this process, so that a test can stop the clock; the address of that with TLS.
    async fn listen(&self) -> (SocketAddr, Closed) {
        let backend = Backend::ok().await;
        let address = "127.0.0.1:0".parse().unwrap();
        let (plain, secure) = (
            Bound::bind("--listen", address),
            Bound::bind("--tls-listen", address),
        );
        let (plain, secure) = (plain.unwrap(), secure.unwrap());
        let address = secure.address;
        let listener = genkan_dataplane::cli::Listener {
            tls_cert_file: vec![self.path("a.crt")],
            tls_key_file: vec![self.path("a.key")],
            ..Default::default()
        };
        let settings = Tls::load(&listener).unwrap().settings(Arc::default()).unwrap();
        let closed = Closed::default();
        let places = Places::new("requests", listening::shares(), &closed);
        let stop = watch::Sender::new(false);
        let front = Front::new(engine(backend.address), FrontConfig::new(stop.subscribe()));
        let watch = stop.subscribe();
        tokio::spawn(async move {
            let _stop = stop;
            let serving = listening::serve(
                plain,
                Some((secure, settings)),
                Arc::default(),
                front,
                places,
                watch,
            );
            serving.await.unwrap();
        });
        (address, closed)
    }
}

#[tokio::test]
async fn own_answers_end_with_their_head_behind_tls_too() {
    let files = Files::new();
    let (process, _backend) = files.process(&[]).await;
    let caller = Caller {
        protocols: &["h2"],
        ..files.client()
    };
    let stream = caller.connect(&process).await.unwrap();
    let mut raw = RawHttp2::over(Client::new(stream)).await;
    for (method, content_type) in [("POST", "application/grpc"), ("HEAD", "text/plain")] {
        let fields = [
            (":method", method.as_bytes()),
            (":scheme", b"https"),
            (":authority", b"gw.example"),
            (":path", b"/nothing"),
            ("content-type", content_type.as_bytes()),
        ];
        let stream = raw.request(&fields).await;
        assert_eq!(raw.frames_of(stream).await, [(HEADERS, true)], "{method}");
    }
}
