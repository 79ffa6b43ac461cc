//! Raw sockets for tests: a backend that does as it is told, and a listener for an engine.

#![allow(dead_code, unused_imports, clippy::unwrap_used, missing_debug_implementations)]

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use genkan_accept::{Closed, Place, Places, Shares};
use genkan_dataplane::front::Front;
use genkan_dataplane::listening::Socket;
pub use genkan_kit::http1::{Answer, Client};
pub use genkan_kit::wire::PATIENCE;
use parking_lot::Mutex;
use pingora_core::apps::{HttpServerApp, ServerApp as _};
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{HttpProxy, ProxyHttp, Session, http_proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

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
