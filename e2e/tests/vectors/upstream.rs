//! The test backend: on a fresh port for each case, it records every request and answers as the case says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use genkan_e2e::pki::Authority;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::case::text;
use super::wire::{Broken, Headers, Reader, has_token, latin, values};

/// Certificates of the TLS backend, and one that is another's.
pub struct Keys {
    pub ca: String,
    pub other_ca: String,
    tls: Arc<ServerConfig>,
}

pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    behaviour: Behaviour,
    requests: Mutex<Vec<Received>>,
    over: Mutex<bool>,
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
            over: Mutex::new(false),
        });
        if spec["mode"] != "down" {
            let shared = shared.clone();
            std::thread::spawn(move || accept(&listener, &shared));
        }
        Self { address, shared }
    }

    /// Everything that arrived, in order.
    pub fn taken(&self) -> Vec<Received> {
        self.shared.requests.lock().clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        *self.shared.over.lock() = true;
        // Wakes the listener; if it is down already, nothing has to be woken.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if *shared.over.lock() {
            return;
        }
        let shared = shared.clone();
        // A client that breaks off is none of the backend's business.
        std::thread::spawn(move || drop(connection(stream, &shared)));
    }
}

fn connection(stream: TcpStream, shared: &Shared) -> Result<(), Broken> {
    let ended = |_| Broken::Ended;
    stream.set_nodelay(true).map_err(ended)?;
    stream.set_read_timeout(Some(LIMIT)).map_err(ended)?;
    match &shared.behaviour.tls {
        Some(config) => {
            let tls = ServerConnection::new(config.clone()).map_err(|_| Broken::Ended)?;
            let mut tls = StreamOwned::new(tls, stream);
            serve(&mut tls, shared)?;
            tls.conn.send_close_notify();
            let _ = tls.flush();
            linger(&tls.sock);
        }
        None => {
            serve(&stream, shared)?;
            linger(&stream);
        }
    }
    Ok(())
}

/// Lets the other side read before the connection goes away: a reset could overtake the answer.
fn linger(mut stream: &TcpStream) {
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let mut rest = [0; 512];
    while matches!(stream.read(&mut rest), Ok(read) if read > 0) {}
}

fn serve<S: Read + Write>(stream: S, shared: &Shared) -> Result<(), Broken> {
    let mut reader = Reader::new(stream);
    let received = receive(&mut reader)?;
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
    reader
        .stream
        .write_all(answer.as_bytes())
        .map_err(|_| Broken::Ended)?;
    reader.stream.flush().map_err(|_| Broken::Ended)?;
    if behaviour.echo && answer.starts_with("HTTP/1.1 101") {
        echo(&mut reader)?;
    }
    Ok(())
}

fn echo<S: Read + Write>(reader: &mut Reader<S>) -> Result<(), Broken> {
    let mut greeting: &[u8] = b"echo:";
    while !reader.buffer.is_empty() || reader.fill()? {
        let piece = std::mem::take(&mut reader.buffer);
        let sent = reader
            .stream
            .write_all(&[greeting, &piece].concat())
            .and_then(|()| reader.stream.flush());
        sent.map_err(|_| Broken::Ended)?;
        greeting = b"";
    }
    Ok(())
}

fn receive<S: Read + Write>(reader: &mut Reader<S>) -> Result<Received, Broken> {
    let line = reader.line()?;
    let mut words = line.splitn(2, ' ');
    let (method, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (target, _) = rest
        .rsplit_once(' ')
        .ok_or_else(|| Broken::Malformed(line.clone()))?;
    let (method, target) = (method.to_owned(), target.to_owned());
    let headers = reader.headers()?;
    if has_token(&headers, "expect", "100-continue") && reader.buffer.is_empty() {
        reader
            .stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .map_err(|_| Broken::Ended)?;
        reader.stream.flush().map_err(|_| Broken::Ended)?;
    }
    let (body, trailers) = if has_token(&headers, "transfer-encoding", "chunked") {
        reader.chunked()?
    } else {
        let length = values(&headers, "content-length")
            .next()
            .and_then(|length| length.parse().ok());
        (reader.exactly(length.unwrap_or(0))?, Vec::new())
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
