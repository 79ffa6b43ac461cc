//! The far side: every tool and every API of a class, behind one address. Its first byte says whether a connection speaks
//! TLS.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use genkan_e2e::pki::Authority;
use genkan_kit::wire::{Broken, Headers, Reader, has_token, latin, values};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::Acceptor;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;
use tokio_util::sync::CancellationToken;

/// Where it listens: EndpointSlices may not hold 127.x.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Taken {
    pub method: String,
    /// Scheme of the connection, `Host` and target.
    pub url: String,
    pub target: String,
    pub headers: Headers,
    pub body: String,
    pub port: u16,
    pub server_name: Option<String>,
}

/// What it does with requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Answers,
    /// It reads, and is silent.
    Hangs,
    /// Its certificate is of an authority that nobody trusts.
    IsAnother,
    /// It says in its body and in a header what it was called with.
    Echoes,
}

#[derive(Debug)]
pub struct Far {
    /// The certificate of the authority that signed for all of its names.
    pub ca: PathBuf,
    shared: Arc<Shared>,
    ports: BTreeSet<u16>,
    listening: tokio::sync::Mutex<BTreeMap<u16, CancellationToken>>,
}

impl Drop for Far {
    fn drop(&mut self) {
        for end in self.listening.get_mut().values() {
            end.cancel();
        }
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    own: Arc<ServerConfig>,
    another: Arc<ServerConfig>,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    /// `status`, `headers`, `location` and `body` of the answer; or a list of such, in turn.
    answer: Value,
    taken: Vec<Taken>,
    /// Port and server name of every TLS connection that was begun.
    greeted: Vec<(u16, Option<String>)>,
    /// Ends the connections that were open before.
    before: CancellationToken,
}

// === impl Far ===

impl Far {
    /// Listens on these ports, with a certificate for these names.
    pub async fn start(folder: &Path, names: &BTreeSet<String>, ports: &BTreeSet<u16>) -> Result<Self> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let authority = Authority::new(folder, "tools-ca")?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            own: server(&authority, &names)?,
            another: server(&Authority::new(folder, "another-ca")?, &names)?,
        });
        let far = Self {
            ca: authority.certificate,
            shared,
            ports: ports.clone(),
            listening: tokio::sync::Mutex::default(),
        };
        far.begin(Mode::Answers, Value::Null, &[]).await?;
        Ok(far)
    }

    /// From now on: answers so, refuses connections to these ports, and remembers anew.
    pub async fn begin(&self, mode: Mode, answer: Value, closed: &[u16]) -> Result<()> {
        let before = {
            let state = State {
                mode,
                answer,
                ..State::default()
            };
            std::mem::replace(&mut *self.shared.state.lock(), state).before
        };
        // Nobody is to go on with whom it knows already.
        before.cancel();
        let mut listening = self.listening.lock().await;
        for port in &self.ports {
            if closed.contains(port) {
                if let Some(end) = listening.remove(port) {
                    end.cancel();
                    refuses((ADDRESS, *port).into()).await?;
                }
            } else if !listening.contains_key(port) {
                let address = SocketAddr::from((ADDRESS, *port));
                let listener = TcpListener::bind(address)
                    .await
                    .with_context(|| format!("listen on {address}"))?;
                let end = CancellationToken::new();
                tokio::spawn(accept(listener, *port, self.shared.clone(), end.clone()));
                listening.insert(*port, end);
            }
        }
        Ok(())
    }

    /// What arrived since it began, in order; questions of genkan's own whether anybody is there do not count.
    pub fn taken(&self) -> Vec<Taken> {
        let state = self.shared.state.lock();
        state
            .taken
            .iter()
            .filter(|taken| !is_own(taken))
            .cloned()
            .collect()
    }

    /// The questions of genkan's own.
    pub fn asked(&self) -> Vec<Taken> {
        let state = self.shared.state.lock();
        state
            .taken
            .iter()
            .filter(|taken| is_own(taken))
            .cloned()
            .collect()
    }

    pub fn greeted(&self) -> Vec<(u16, Option<String>)> {
        self.shared.state.lock().greeted.clone()
    }

    /// Lets go of what it remembers.
    pub fn forget(&self) {
        self.shared.state.lock().taken.clear();
    }

    pub async fn stop(&self) {
        let mut listening = self.listening.lock().await;
        for (port, end) in std::mem::take(&mut *listening) {
            end.cancel();
            // Whoever listens next finds the port free.
            let _ = refuses((ADDRESS, port).into()).await;
        }
    }
}

fn server(authority: &Authority, names: &[&str]) -> Result<Arc<ServerConfig>> {
    let pair = authority.server("tools", names)?;
    let certificate = CertificateDer::from_pem_file(&pair.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&pair.key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn is_own(taken: &Taken) -> bool {
    values(&taken.headers, "user-agent").any(|agent| agent.starts_with("genkan"))
}

async fn refuses(address: SocketAddr) -> Result<()> {
    genkan_e2e::wait::until_true(
        "the port refuses",
        std::time::Duration::from_secs(5),
        || async move { Ok(TcpStream::connect(address).await.is_err()) },
    )
    .await
}

async fn accept(listener: TcpListener, port: u16, shared: Arc<Shared>, end: CancellationToken) {
    let accepting = async {
        while let Ok((stream, _)) = listener.accept().await {
            let (shared, end) = (shared.clone(), end.clone());
            // A client that breaks off is none of the tool's business.
            tokio::spawn(async move {
                let before = shared.state.lock().before.clone();
                let served = before.run_until_cancelled(connection(stream, port, &shared));
                end.run_until_cancelled(served).await
            });
        }
    };
    let _ = end.run_until_cancelled(accepting).await;
}

async fn connection(stream: TcpStream, port: u16, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(());
    }
    if first != [0x16] {
        return Ok(serve(stream, port, None, shared).await?);
    }
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let name = hello.client_hello().server_name().map(str::to_owned);
    let config = {
        let mut state = shared.state.lock();
        state.greeted.push((port, name.clone()));
        if state.mode == Mode::IsAnother {
            &shared.another
        } else {
            &shared.own
        }
    };
    let tls = hello.into_stream(config.clone()).await?;
    Ok(serve(tls, port, Some(name), shared).await?)
}

/// `tls` holds the server name that was asked for.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    port: u16,
    tls: Option<Option<String>>,
    shared: &Shared,
) -> Result<(), Broken> {
    let ended = |_| Broken::Ended { read: 0 };
    let mut reader = Reader::new(stream);
    reader.patience = std::time::Duration::MAX;
    while let Some(mut taken) = next(&mut reader).await? {
        let host = values(&taken.headers, "host").next().unwrap_or("?");
        let scheme = if tls.is_some() { "https" } else { "http" };
        taken.url = format!("{scheme}://{host}{}", taken.target);
        taken.port = port;
        taken.server_name = tls.clone().flatten();
        let is_head = taken.method == "HEAD";
        let (mode, answer) = {
            let mut state = shared.state.lock();
            let answer = written(&state, &taken, is_head);
            state.taken.push(taken);
            (state.mode, answer)
        };
        if mode == Mode::Hangs {
            std::future::pending::<()>().await;
        }
        reader.stream.write_all(answer.as_bytes()).await.map_err(ended)?;
        reader.stream.flush().await.map_err(ended)?;
    }
    Ok(())
}

fn written(state: &State, taken: &Taken, is_head: bool) -> String {
    let answer = match state.answer.as_array() {
        Some(all) => &all[state.taken.len() % all.len()],
        None => &state.answer,
    };
    let (mut body, mut kind) = match (&answer["body"], answer["status"].is_null()) {
        (Value::Null, true) => ("ok".to_owned(), "text/plain"),
        (Value::Null, false) => (String::new(), "text/plain"),
        (Value::String(text), _) => (text.clone(), "text/plain"),
        (body, _) => (body.to_string(), "application/json"),
    };
    let mut more = String::new();
    if state.mode == Mode::Echoes {
        let lines = taken
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"));
        (body, kind) = (lines.collect(), "text/plain");
        more.push_str(&format!("X-Echo-Target: {}\r\n", taken.target));
        for (name, value) in &taken.headers {
            more.push_str(&format!("X-Echo-{name}: {value}\r\n"));
        }
    }
    if let Some(location) = answer["location"].as_str() {
        more.push_str(&format!("Location: {location}\r\n"));
    }
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        more.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap_or_default()));
    }
    format!(
        "HTTP/1.1 {} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{more}\r\n{}",
        answer["status"].as_u64().unwrap_or(200),
        body.len(),
        if is_head { "" } else { &body }
    )
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(reader: &mut Reader<S>) -> Result<Option<Taken>, Broken> {
    let line = match reader.line().await {
        Err(Broken::Ended { read: 0 }) => return Ok(None),
        line => line?,
    };
    let headers = reader.headers().await?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let body = if has_token(&headers, "transfer-encoding", "chunked") {
        reader.chunked().await?.0
    } else {
        let length = values(&headers, "content-length")
            .next()
            .and_then(|length| length.parse().ok());
        reader.exactly(length.unwrap_or(0)).await?.into()
    };
    Ok(Some(Taken {
        method,
        url: String::new(),
        target,
        headers,
        body: latin(&body),
        port: 0,
        server_name: None,
    }))
}
