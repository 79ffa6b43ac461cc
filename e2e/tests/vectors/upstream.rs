//! The test backend: on a fresh port for each case, it records every request and answers as the case says.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use genkan_e2e::pki::Authority;
use genkan_kit::wire::{Broken, Headers, Reader, has_token, latin, values};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::case::text;

/// Certificates of the TLS backend, and one that is another's.
pub struct Keys {
    pub ca: String,
    pub other_ca: String,
    tls: Arc<ServerConfig>,
}

pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _end: oneshot::Sender<()>,
}

struct Shared {
    behaviour: Behaviour,
    requests: Mutex<Vec<Received>>,
}

struct Behaviour {
    /// Nothing is answered.
    closes: bool,
    raw: Option<String>,
    echo: bool,
    tls: Option<Arc<ServerConfig>>,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub target: String,
    pub headers: Headers,
    pub body: String,
    pub trailers: Headers,
}

/// Where the backend listens when a real API server is asked: an EndpointSlice may not hold 127.x.
pub const FAR: &str = "10.99.0.40";

const LIMIT: Duration = Duration::from_secs(15);
const DEFAULT: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

// === impl Keys ===

impl Keys {
    pub fn make(folder: &Path) -> Self {
        let authority = Authority::new(folder, "upstream-ca").unwrap();
        let other = Authority::new(folder, "other-ca").unwrap();
        let pair = authority.server("upstream", &["127.0.0.1", FAR]).unwrap();
        let certificate = CertificateDer::from_pem_file(&pair.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut tls = builder
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            ca: authority.pem,
            other_ca: other.pem,
            tls: Arc::new(tls),
        }
    }
}

// === impl Received ===

impl Received {
    /// As if the case had been alone.
    pub fn unmarked(mut self, mark: &str) -> Self {
        let marked = self.headers.iter_mut().filter(|(_, value)| value.contains(mark));
        marked.for_each(|(_, value)| *value = value.replace(mark, ""));
        self
    }
}

// === impl Upstream ===

impl Upstream {
    pub fn start(case: &Value, keys: &Keys) -> Self {
        Self::listen("127.0.0.1", case, keys)
    }

    pub fn listen(host: &str, case: &Value, keys: &Keys) -> Self {
        let spec = &case["upstream"];
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let behaviour = Behaviour {
            closes: spec["mode"] == "close",
            raw: spec["rawResponse"]
                .as_str()
                .map(|raw| fill(raw, &address.to_string())),
            echo: spec["echo"] == true,
            tls: spec["tls"].is_string().then(|| keys.tls.clone()),
        };
        let shared = Arc::new(Shared {
            behaviour,
            requests: Mutex::default(),
        });
        let (end, ended) = oneshot::channel();
        if spec["mode"] != "down" {
            let shared = shared.clone();
            std::thread::spawn(move || listen(listener, shared, ended));
        }
        Self {
            address,
            shared,
            _end: end,
        }
    }

    /// Everything that arrived, in order.
    pub fn taken(&self) -> Vec<Received> {
        self.shared.requests.lock().clone()
    }
}

fn listen(listener: TcpListener, shared: Arc<Shared>, ended: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let accepting = async {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                // A client that breaks off is none of the backend's business.
                tokio::spawn(async move { drop(connection(stream, &shared).await) });
            }
        };
        tokio::select! {
            () = accepting => {}
            _ = ended => {}
        }
    });
}

async fn connection(mut stream: TcpStream, shared: &Shared) -> Result<(), Broken> {
    stream.set_nodelay(true).map_err(ended)?;
    match &shared.behaviour.tls {
        Some(config) => {
            let mut tls = TlsAcceptor::from(config.clone())
                .accept(stream)
                .await
                .map_err(ended)?;
            serve(&mut tls, shared).await?;
            let _ = tls.shutdown().await;
            linger(tls.get_mut().0).await;
        }
        None => {
            serve(&mut stream, shared).await?;
            linger(&mut stream).await;
        }
    }
    Ok(())
}

/// Lets the other side read before the connection goes away: a reset could overtake the answer.
async fn linger(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let mut rest = [0; 512];
    let reading = async { while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {} };
    let _ = tokio::time::timeout(Duration::from_millis(500), reading).await;
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, shared: &Shared) -> Result<(), Broken> {
    let mut reader = Reader::new(stream);
    reader.patience = LIMIT;
    let received = receive(&mut reader).await?;
    let is_head = received.method == "HEAD";
    shared.requests.lock().push(received);
    let behaviour = &shared.behaviour;
    if behaviour.closes {
        return Ok(());
    }
    let raw = behaviour.raw.as_deref();
    let answer = raw.unwrap_or(if is_head {
        DEFAULT.trim_end_matches("ok")
    } else {
        DEFAULT
    });
    write(&mut reader, answer.as_bytes()).await?;
    if behaviour.echo && answer.starts_with("HTTP/1.1 101") {
        echo(&mut reader).await?;
    }
    Ok(())
}

async fn write<S: AsyncWrite + Unpin>(reader: &mut Reader<S>, bytes: &[u8]) -> Result<(), Broken> {
    reader.stream.write_all(bytes).await.map_err(ended)?;
    reader.stream.flush().await.map_err(ended)
}

fn ended(_: std::io::Error) -> Broken {
    Broken::Ended { read: 0 }
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(reader: &mut Reader<S>) -> Result<(), Broken> {
    let mut greeting: &[u8] = b"echo:";
    while !reader.buffered.is_empty() || reader.fill().await? {
        let piece = reader.buffered.split();
        write(reader, &[greeting, &piece].concat()).await?;
        greeting = b"";
    }
    Ok(())
}

async fn receive<S: AsyncRead + AsyncWrite + Unpin>(reader: &mut Reader<S>) -> Result<Received, Broken> {
    let line = reader.line().await?;
    let mut words = line.splitn(2, ' ');
    let (method, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (target, _) = rest
        .rsplit_once(' ')
        .ok_or_else(|| Broken::Malformed(line.clone()))?;
    let (method, target) = (method.to_owned(), target.to_owned());
    let headers = reader.headers().await?;
    if has_token(&headers, "expect", "100-continue") && reader.buffered.is_empty() {
        write(reader, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let (body, trailers) = if has_token(&headers, "transfer-encoding", "chunked") {
        reader.chunked().await?
    } else {
        let length = values(&headers, "content-length")
            .next()
            .and_then(|length| length.parse().ok());
        (reader.exactly(length.unwrap_or(0)).await?.into(), Vec::new())
    };
    Ok(Received {
        method,
        target,
        headers,
        body: latin(&body),
        trailers,
    })
}

/// A length that was right stays right when the address is filled in.
fn fill(raw: &str, address: &str) -> String {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap_or((raw, ""));
    let filled = body.replace("UPSTREAM", address);
    let (old, new) = (
        format!("Content-Length: {}", body.len()),
        format!("Content-Length: {}", filled.len()),
    );
    let head = if filled.len() == body.len() {
        head.to_owned()
    } else {
        head.replace(&old, &new)
    };
    format!("{}\r\n\r\n{filled}", head.replace("UPSTREAM", address))
}

/// The certificate that a placeholder in `caBundle` stands for, encoded as it says.
pub fn ca_bundle(value: &Value, keys: &Keys) -> Option<String> {
    use base64::Engine as _;
    let encode = |bytes: &str| base64::engine::general_purpose::STANDARD.encode(bytes);
    let written = text(value);
    let inner = written.strip_prefix("BASE64(")?.strip_suffix(')')?;
    let (name, twice) = match inner.strip_prefix("BASE64(") {
        Some(inner) => (inner.strip_suffix(')')?, true),
        None => (inner, false),
    };
    let once = encode(if name == "UPSTREAM_CA" {
        &keys.ca
    } else {
        &keys.other_ca
    });
    Some(if twice { encode(&once) } else { once })
}
