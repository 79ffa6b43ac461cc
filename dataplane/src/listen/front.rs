//! The strict front: reads and judges each request head before the proxy engine sees it.
//!
//! The engine answers a bad head by itself, without a body and without telling anybody, and lets heads pass
//! that can be read in two ways. So this stands in its place on the listener: it waits for a head under its own
//! deadlines, refuses what is not plain, and hands the bytes of the rest to the engine. A chunked body, which the engine
//! reads as loosely, is judged on its way there.

mod answer;
mod chunks;
mod deadline;
mod endless;
mod head;
mod http2;
mod progress;
mod silence;
mod traffic;

pub use answer::{Refusals, RefusedRequest};
pub use chunks::refusal;
pub use endless::{Endless, EndlessAnswer, Unawaited, answers_without_end, goes_unawaited};
pub use progress::is_stalled;
pub use silence::{Vigil, allow_silence, is_backend_silent, is_watched, leave_backend, watch_backend};
pub use traffic::{Guard, Traffic};

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use genkan_accept::{Place, share};
use genkan_routing::strict::{self, Framing, Limits, Refused};
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::server::ShutdownWatch;
use tokio::sync::watch;

use crate::listening::{ProxyProtocol, Socket};
use answer::Client;
use chunks::{Body, Judged};
use head::{Head, Patience, Wait};
use http2::Http2;
use silence::Silence;

/// The application of a listener: the engine `A` behind the strict reading of heads.
pub struct Front<A> {
    engine: Arc<A>,
    http2: Arc<Http2<A>>,
    config: Arc<FrontConfig>,
    traffic: Arc<Traffic>,
}

/// Budgets and deadlines of the front.
#[derive(Clone)]
pub struct FrontConfig {
    pub limits: Limits,
    /// For a whole head, from its first byte; for a new connection, from the start.
    pub head_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// The same of HTTP/2 and HTTP/1, from when few places are left.
    pub crowded_idle: Duration,
    /// How long an idle connection is kept once draining has begun, so that a request that is on its way
    /// at that moment is still answered.
    pub drain_idle: Duration,
    /// Between two reads of a request body.
    pub body_timeout: Duration,
    /// For a gRPC call of HTTP/2 in which nothing moves, either way.
    pub grpc_timeout: Duration,
    /// For one write of an answer.
    pub write_timeout: Duration,
    /// For the rest of a request body that nobody wanted.
    pub discard_timeout: Duration,
    pub requests_per_connection: u32,
    /// At a time, on all connections: each may need a file towards its backend.
    pub most_requests: usize,
    /// HTTP/2 connections without a stream.
    pub http2_idle_timeout: Duration,
    /// True from the first step of draining on: connections end with the answer they wait for.
    pub draining: ShutdownWatch,
    /// True while connections of HTTP/2 are to be sent away though the listeners stay.
    pub away: ShutdownWatch,
    /// What is going on is counted here.
    pub traffic: Arc<Traffic>,
    /// Told of every request that the front answers by itself.
    pub refusals: Arc<dyn Refusals>,
    /// Read on connections without TLS; with TLS it was, before the handshake.
    pub proxy_protocol: Arc<ProxyProtocol>,
}

/// Hundredths of the open files; one connection of HTTP/2 can have many.
const REQUESTS: usize = 40;

/// A piece of the request body, or its end, has arrived.
pub fn body_moved(is_end: bool) {
    progress::body_moved(is_end);
    silence::moved();
}

/// A piece of the answer has arrived.
pub fn answer_moved() {
    progress::answer_moved();
    silence::moved();
}

// === impl FrontConfig ===

impl FrontConfig {
    /// The defaults; `draining` becomes true when the process is told to end.
    pub fn new(draining: ShutdownWatch) -> Self {
        Self {
            limits: Limits::default(),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            crowded_idle: Duration::from_secs(5),
            drain_idle: Duration::from_secs(1),
            body_timeout: Duration::from_secs(60),
            grpc_timeout: Duration::from_secs(60 * 60),
            write_timeout: Duration::from_secs(60),
            discard_timeout: Duration::from_secs(5),
            requests_per_connection: 10_000,
            most_requests: share(REQUESTS),
            http2_idle_timeout: Duration::from_secs(300),
            draining,
            away: watch::Sender::new(false).subscribe(),
            traffic: Arc::default(),
            refusals: Arc::new(answer::AccessLine),
            proxy_protocol: Arc::default(),
        }
    }

    /// Tells about a refused request.
    fn record(&self, request: &RefusedRequest<'_>) {
        self.refusals.refused(request);
    }
}

impl std::fmt::Debug for FrontConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FrontConfig")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

// === impl Front ===

impl<A> std::fmt::Debug for Front<A> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Front")
            .field("traffic", &self.traffic)
            .finish_non_exhaustive()
    }
}

impl<A: HttpServerApp + Send + Sync + 'static> Front<A> {
    pub fn new(engine: A, config: FrontConfig) -> Self {
        let (engine, config) = (Arc::new(engine), Arc::new(config));
        let traffic = Arc::clone(&config.traffic);
        let http2 = Arc::new(Http2::new(
            Arc::clone(&engine),
            Arc::clone(&config),
            Arc::clone(&traffic),
        ));
        Self {
            engine,
            http2,
            config,
            traffic,
        }
    }

    /// Counts what is going on; draining waits for it.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// The engine behind the front. Its `http_cleanup` comes last in draining: it drops requests.
    pub fn engine(&self) -> Arc<A> {
        Arc::clone(&self.engine)
    }

    /// Serves HTTP/1 until the connection cannot be used again, or turns out to speak HTTP/2.
    async fn serve(&self, mut stream: Stream, place: &Place, shutdown: &ShutdownWatch) -> Option<Stream> {
        let client = Client::of(&stream);
        let mut call = None;
        let mut memo: Option<HttpPersistentSettings> = None;
        let mut served = 0;
        let silence = Arc::<Silence>::default();
        let mut patience = Patience::new(shutdown);
        loop {
            let wait = match served {
                0 => Wait::First,
                _ if place.is_crowded() => Wait::Next(self.config.crowded_idle),
                _ => Wait::Next(self.config.idle_timeout),
            };
            let (bytes, end) = match head::read(&mut stream, wait, &mut patience, &self.config).await {
                Head::Whole { bytes, end } => (bytes, end),
                Head::Http2Preface { bytes } => return http2::rewind(stream, &bytes),
                Head::Refused { bytes, refused } => {
                    self.refuse(stream, &client, &bytes, &refused).await;
                    return None;
                }
                Head::Gone => return None,
            };
            if call.is_none() {
                call = Some(place.begin()?);
                patience.keep(&self.config.draining);
            }
            let _request = self.traffic.request();
            if self.traffic.requests() > self.config.most_requests {
                self.refuse(stream, &client, &bytes, &Refused::busy()).await;
                return None;
            }
            let accepted = match strict::check(&bytes[..end], &self.config.limits) {
                Ok(accepted) => accepted,
                Err(refused) => {
                    self.refuse(stream, &client, &bytes, &refused).await;
                    return None;
                }
            };
            served += 1;
            if accepted.is_server_options() {
                let last = bytes.len() > end
                    || !accepted.keep_alive
                    || accepted.framing.has_body()
                    || *self.config.draining.borrow();
                answer::server_options(&mut stream, &client, &bytes, last, &self.config)
                    .await
                    .ok()?;
                if last {
                    return None;
                }
                continue;
            }
            let is_chunked = accepted.framing == Framing::Chunked;
            let body = match Body::begin(is_chunked, &bytes[end..]) {
                Ok(body) => body,
                Err(refused) => {
                    self.refuse(stream, &client, &bytes, &refused).await;
                    return None;
                }
            };
            let rewritten = match accepted.head {
                Cow::Borrowed(_) => None,
                Cow::Owned(head) => Some(head),
            };
            let prefix = match rewritten {
                None => bytes,
                Some(head) => [head.as_slice(), &bytes[end..]].concat().as_slice().into(),
            };
            let mut session = ServerSession::new_http1(Judged::over(stream, body)?);
            if let Some(memo) = memo.take() {
                memo.apply_to_session(&mut session);
            }
            self.prepare(&mut session, prefix, served);
            let serving = self.engine.process_new_http(session, &self.config.draining);
            let reused = silence.watch(serving).await?;
            (stream, memo) = reused.consume();
            if !Judged::is_at_end(&stream) {
                return None;
            }
        }
    }

    /// Lets a load balancer say who its client is.
    async fn learn(&self, stream: Stream) -> Option<Stream> {
        if !stream.as_any().is::<Socket>() {
            return Some(stream);
        }
        let mut plain = stream.into_any().downcast::<Socket>().ok()?;
        self.config.proxy_protocol.learn(&mut plain).await.ok()?;
        Some(plain)
    }

    /// Deadlines of one request, and its head and whatever came behind it.
    fn prepare(&self, session: &mut ServerSession, prefix: BytesMut, served: u32) {
        let config = &self.config;
        session.set_read_timeout(Some(config.body_timeout));
        session.set_write_timeout(Some(config.write_timeout));
        session.set_total_drain_timeout(Some(config.discard_timeout));
        session.set_keepalive_reuses_remaining(Some(config.requests_per_connection.saturating_sub(served)));
        session.set_pipelined_prefix(prefix);
    }

    async fn refuse(&self, stream: Stream, client: &Client, bytes: &[u8], refused: &Refused) {
        answer::refuse(stream, client, bytes, refused, &self.config).await;
    }

    /// Serves a connection to its end. It waits in its place until its first request is whole.
    pub async fn serve_connection(&self, stream: Stream, place: &Place, shutdown: &ShutdownWatch) {
        let _connection = self.traffic.connection();
        let Some(stream) = self.learn(stream).await else {
            return;
        };
        let http2 = if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            stream
        } else {
            let serving = self.serve(stream, place, shutdown);
            match self.traffic.endless.serve(serving).await.flatten() {
                Some(stream) => stream,
                None => return,
            }
        };
        self.http2.serve(http2, place, shutdown).await;
    }
}
