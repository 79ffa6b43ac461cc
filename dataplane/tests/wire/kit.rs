//! Raw sockets for tests: a client, a backend that does as it is told, and a listener for an engine.

#![allow(dead_code, clippy::unwrap_used, missing_debug_implementations)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use genkan_accept::{Closed, Place, Places, Shares};
use genkan_dataplane::front::Front;
use genkan_dataplane::listening::Socket;
use parking_lot::Mutex;
use pingora_core::apps::{HttpServerApp, ServerApp as _};
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{HttpProxy, ProxyHttp, Session, http_proxy};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Longer than anything in these tests takes, so that a failure ends.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at something that tells nobody when it changes; the programs under test need the processor.
pub async fn a_moment() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

/// Forwards everything to one backend, as the engine does by itself.
pub struct Through {
    pub backend: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Through {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, _: &mut ()) -> pingora_core::Result<bool> {
        assert!(session.get_header("x-panic").is_none(), "a panic on demand");
        Ok(false)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.backend, false, String::new())))
    }
}

/// The bare engine in front of a backend.
pub fn engine(backend: SocketAddr) -> HttpProxy<Through> {
    http_proxy(&Arc::new(ServerConf::default()), Through { backend })
}

/// Something that serves connections.
pub trait App: Send + Sync + 'static {
    fn converse(
        self: Arc<Self>,
        stream: Stream,
        place: Place,
        watch: ShutdownWatch,
    ) -> impl Future<Output = ()> + Send;
}

impl<A: HttpServerApp + Send + Sync + 'static> App for Front<A> {
    async fn converse(self: Arc<Self>, stream: Stream, place: Place, watch: ShutdownWatch) {
        self.serve_connection(stream, &place, &watch).await;
    }
}

impl App for HttpProxy<Through> {
    async fn converse(self: Arc<Self>, stream: Stream, _: Place, watch: ShutdownWatch) {
        let mut stream = Some(stream);
        while let Some(next) = stream {
            stream = self.process_new(next, &watch).await;
        }
    }
}

/// An application on a port of its own.
pub struct Listener {
    pub address: SocketAddr,
    /// Connections that were closed for what they did not do.
    pub closed: Closed,
    shutdown: watch::Sender<bool>,
}

impl Listener {
    pub async fn start<A: App>(app: Arc<A>) -> Self {
        Self::start_with(app, genkan_dataplane::listening::shares()).await
    }

    pub async fn start_with<A: App>(app: Arc<A>, shares: Shares) -> Self {
        let (shutdown, watch) = watch::channel(false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closed = Closed::default();
        let places = Places::new("requests", shares, &closed);
        tokio::spawn(accept(listener, places, app, watch));
        Self {
            address,
            closed,
            shutdown,
        }
    }

    /// How many connections were closed for this reason.
    pub fn closed(&self, reason: &'static str) -> u64 {
        let labels = [("listener", "requests"), ("reason", reason)];
        self.closed.get_or_create(&labels).get()
    }

    /// Stops accepting and tells the application, as the last step of draining does.
    pub fn shut_down(&self) {
        self.shutdown.send_replace(true);
    }
}

async fn accept<A: App>(listener: TcpListener, places: Arc<Places>, app: Arc<A>, watch: ShutdownWatch) {
    let mut ending = watch.clone();
    let serve = move |stream: TcpStream, place: Place| {
        let (app, watch) = (Arc::clone(&app), watch.clone());
        async move {
            let stream = Socket::new(stream, place.peer());
            app.converse(Box::new(stream), place, watch).await;
        }
    };
    tokio::select! {
        never = genkan_accept::accept(listener, places, serve) => match never {},
        _ = ending.wait_for(|ending| *ending) => {}
    }
}

/// A backend that answers each head with the same bytes and remembers what it got.
pub struct Backend {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    arrived: watch::Receiver<usize>,
}

/// What a backend does with a connection once a head has arrived.
#[derive(Clone, Copy)]
pub enum Then {
    /// Go on reading; answer the next head too.
    Stay,
    /// Close after the answer.
    Close,
    /// Send back what arrives.
    Echo,
    /// Do not answer at all.
    Silent,
}

impl Backend {
    pub async fn start(answer: &'static [u8], then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let (told, arrived) = watch::channel(0);
        let told = Arc::new(told);
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let index = {
                    let mut log = log.lock();
                    log.push(Vec::new());
                    log.len() - 1
                };
                tokio::spawn(serve(
                    stream,
                    answer,
                    then,
                    index,
                    Arc::clone(&log),
                    Arc::clone(&told),
                ));
            }
        });
        Self {
            address,
            received,
            arrived,
        }
    }

    /// Answers 200 with two bytes and keeps the connection.
    pub async fn ok() -> Self {
        Self::start(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Stay).await
    }

    /// Everything that arrived, connections one after the other.
    pub fn received(&self) -> String {
        String::from_utf8_lossy(&self.received.lock().concat()).into_owned()
    }

    /// How much arrived on each connection so far.
    pub fn lengths(&self) -> Vec<usize> {
        self.received.lock().iter().map(Vec::len).collect()
    }

    /// What arrived since then, on whichever connection.
    pub fn received_since(&self, lengths: &[usize]) -> String {
        let received = self.received.lock();
        let known = lengths.iter().copied().chain(std::iter::repeat(0));
        let new: Vec<_> = received
            .iter()
            .zip(known)
            .map(|(all, known)| &all[known..])
            .collect();
        String::from_utf8_lossy(&new.concat()).into_owned()
    }

    /// Waits until what arrived contains `text`.
    pub async fn wait_for(&mut self, text: &str) {
        let waiting = async {
            while !self.received().contains(text) {
                self.arrived.changed().await.unwrap();
            }
        };
        let done = timeout(PATIENCE, waiting).await;
        assert!(
            done.is_ok(),
            "{text:?} never arrived; there is {:?}",
            self.received()
        );
    }

    /// Heads that arrived.
    pub fn requests(&self) -> usize {
        self.received().matches("\r\n\r\n").count()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &'static [u8],
    then: Then,
    index: usize,
    log: Arc<Mutex<Vec<Vec<u8>>>>,
    told: Arc<watch::Sender<usize>>,
) {
    let (mut answered, mut buffer) = (0, vec![0; 65_536]);
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        let heads = {
            let mut log = log.lock();
            log[index].extend_from_slice(&buffer[..read]);
            String::from_utf8_lossy(&log[index])
                .matches("HTTP/1.1\r\n")
                .count()
        };
        told.send_modify(|count| *count += read);
        if matches!(then, Then::Echo) && answered > 0 {
            stream.write_all(&buffer[..read]).await.unwrap();
        }
        while answered < heads && !matches!(then, Then::Silent) {
            answered += 1;
            if stream.write_all(answer).await.is_err() || matches!(then, Then::Close) {
                return;
            }
        }
    }
}

/// One answer, head and body apart.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Checks that genkan itself made this answer, as a Status with everything it owes.
    #[track_caller]
    pub fn assert_status(&self, code: u16) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let status: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(
            (&status["kind"], &status["code"]),
            (&"Status".into(), &code.into()),
            "{self:?}"
        );
        assert!(
            !status["reason"].as_str().unwrap().is_empty() && !status["message"].as_str().unwrap().is_empty()
        );
        assert!(
            self.header("x-genkan-reason")
                .is_some_and(|reason| !reason.is_empty()),
            "{self:?}"
        );
        assert!(
            self.header("x-request-id").is_some_and(|id| !id.is_empty()),
            "{self:?}"
        );
    }
}

/// A client that sends bytes as they stand.
pub struct Client<S = TcpStream> {
    pub stream: S,
    pub buffered: Vec<u8>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            buffered: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends, and does not mind if the other side has closed.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// The next answer; `None` if the connection ends before it is complete.
    pub async fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = find(&self.buffered, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&self.buffered[..end]).into_owned();
        self.buffered.drain(..end);
        let code = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Answer {
            code,
            head,
            body: String::new(),
        };
        if (100..200).contains(&code) || matches!(code, 204 | 304) {
            return Some(answer);
        }
        if let Some(length) = answer
            .header("content-length")
            .map(|length| length.parse().unwrap())
        {
            while self.buffered.len() < length {
                if !self.more().await {
                    return None;
                }
            }
            answer.body = String::from_utf8_lossy(&self.buffered[..length]).into_owned();
            self.buffered.drain(..length);
        } else if answer.header("transfer-encoding").is_some() {
            let end = loop {
                if let Some(at) = find(&self.buffered, b"0\r\n\r\n") {
                    break at + 5;
                }
                if !self.more().await {
                    return None;
                }
            };
            answer.body = String::from_utf8_lossy(&self.buffered[..end]).into_owned();
            self.buffered.drain(..end);
        } else {
            answer.body = self.rest().await;
        }
        Some(answer)
    }

    /// Everything until the other side closes.
    pub async fn rest(&mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffered)).into_owned()
    }

    /// Whether the other side closes without another byte.
    pub async fn closes(&mut self) -> bool {
        self.rest().await.is_empty()
    }

    /// Reads until what arrived contains `text`.
    pub async fn until(&mut self, text: &str) -> bool {
        loop {
            if find(&self.buffered, text.as_bytes()).is_some() {
                return true;
            }
            if !self.more().await {
                return false;
            }
        }
    }

    /// One read; false at the end of the connection.
    pub async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffered)).await;
        matches!(read.expect("neither bytes nor the end of the connection"), Ok(read) if read > 0)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
