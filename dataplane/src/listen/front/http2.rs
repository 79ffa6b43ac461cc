use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use genkan_accept::Place;
use genkan_routing::answer::{ALLOWED, Answer, Form, REQUEST_ID, Refused};
use genkan_routing::arriving;
use genkan_routing::strict::Decoded;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{
    H2Accept, H2Options, HttpSession, default_h2_options, handshake,
};
use pingora_core::protocols::{Digest, Stream};
use pingora_core::server::ShutdownWatch;
use pingora_http::{RequestHeader, ResponseHeader};

use super::answer::{self, Client, RefusedRequest};
use super::progress::BodyProgress;
use super::silence::Silence;
use super::{FrontConfig, Traffic};
use crate::answer::{discard, engine_head, give};
use crate::listening::Socket;
use crate::request_id;

/// What an HTTP/2 client with prior knowledge sends first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client that sends so many requests that cannot be framed is not worth another one.
const MOST_MALFORMED: u32 = 32;

/// The streams of HTTP/2 connections, on their way to the engine.
pub(super) struct Http2<A> {
    engine: Arc<A>,
    config: Arc<FrontConfig>,
    traffic: Arc<Traffic>,
}

/// Puts the preface back. Only a plain connection can take it; over TLS the protocol is agreed on before.
pub(super) fn rewind(stream: Stream, bytes: &[u8]) -> Option<Stream> {
    let mut plain = stream.into_any().downcast::<Socket>().ok()?;
    plain.rewind(bytes);
    Some(plain)
}

// === impl Http2 ===

impl<A: HttpServerApp + Send + Sync + 'static> Http2<A> {
    pub(super) fn new(engine: Arc<A>, config: Arc<FrontConfig>, traffic: Arc<Traffic>) -> Self {
        Self {
            engine,
            config,
            traffic,
        }
    }

    /// Serves a connection until its client leaves it, or has had no stream for too long. The engine has a deadline
    /// neither for the preface nor for what follows it: until its first request is whole the connection waits in its
    /// place, as one without a place of its own would have to go first.
    pub(super) async fn serve(self: &Arc<Self>, stream: Stream, place: &Place, shutdown: &ShutdownWatch) {
        let client = Client::of(&stream);
        let digest = Arc::new(Digest {
            ssl_digest: stream.get_ssl_digest(),
            timing_digest: stream.get_timing_digest(),
            proxy_digest: stream.get_proxy_digest(),
            socket_digest: stream.get_socket_digest(),
        });
        let Ok(mut connection) = handshake(stream, Some(options())).await else {
            return;
        };
        let (mut shutdown, mut away) = (shutdown.clone(), self.config.away.clone());
        let mut is_ending = false;
        let mut malformed = 0;
        let idle_timeout = match place.is_crowded() {
            true => self.config.crowded_idle,
            false => self.config.http2_idle_timeout,
        };
        // From the first request to the end.
        let mut call = None;
        // Of this connection alone; each stream is one of its connections.
        let streams = Arc::<Traffic>::default();
        loop {
            let idle = async {
                streams.drained().await;
                tokio::time::sleep(idle_timeout).await;
            };
            // Who is new was sent here by somebody who does not know yet, and is served once.
            let sent_away = async {
                if away.wait_for(|away| *away).await.is_err() {
                    std::future::pending().await
                }
            };
            let accepted = tokio::select! {
                biased;
                () = sent_away, if !is_ending && call.is_some() => {
                    connection.graceful_shutdown();
                    is_ending = true;
                    continue;
                }
                _ = shutdown.changed(), if !is_ending => {
                    connection.graceful_shutdown();
                    is_ending = true;
                    continue;
                }
                accepted = HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest)) => accepted,
                () = idle, if !is_ending => return,
            };
            match accepted {
                Ok(Some(H2Accept::Session(session))) => {
                    if call.is_none() {
                        call = place.begin();
                        if call.is_none() {
                            return;
                        }
                    }
                    let (this, stream) = (Arc::clone(self), streams.connection());
                    tokio::spawn(async move {
                        let _stream = stream;
                        this.serve_stream(ServerSession::new_http2(session)).await;
                    });
                }
                Ok(Some(H2Accept::Rejected)) => {
                    malformed += 1;
                    self.record_rejected(&client);
                    if malformed >= MOST_MALFORMED {
                        return;
                    }
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn serve_stream(&self, mut session: ServerSession) {
        let _request = self.traffic.request();
        session.set_write_timeout(Some(self.config.write_timeout));
        session.set_total_drain_timeout(Some(self.config.discard_timeout));
        if self.traffic.requests() > self.config.most_requests {
            self.refuse(&mut session, &Refused::busy()).await;
            return;
        }
        let header = session.req_header();
        let judged = decoded(header);
        if let Err(refused) = judged.check(fields(header), &self.config.limits) {
            self.refuse(&mut session, &refused).await;
            return;
        }
        if judged.is_server_options() {
            self.server_options(&mut session).await;
            return;
        }
        let (endless, silence) = (&self.traffic.endless, Arc::<Silence>::default());
        // Letting go of what serves the stream resets it.
        if session.is_body_done() {
            let serving = self.engine.process_new_http(session, &self.config.draining);
            endless.serve(silence.watch_and_end(serving)).await;
            return;
        }
        let limit = self.limit(&session);
        let serving = self.engine.process_new_http(session, &self.config.draining);
        endless
            .serve(silence.watch_and_end(BodyProgress::watch(limit, serving)))
            .await;
    }

    /// How long nothing may move while the body is unfinished. A little longer than for HTTP/1, where the silence of
    /// the client is answered: here the answer to it is due when the backend has been waited for as long.
    fn limit(&self, session: &ServerSession) -> Duration {
        if is_grpc(session.req_header()) {
            self.config.grpc_timeout
        } else {
            self.config.body_timeout + self.config.body_timeout / 12
        }
    }

    async fn refuse(&self, session: &mut ServerSession, refused: &Refused) {
        let request_id = self.record(session, refused);
        let request = session.req_header();
        let (is_head, is_grpc) = (request.method == http::Method::HEAD, is_grpc(request));
        let form = if is_grpc { Form::Grpc } else { Form::Http };
        let (head, body) = Answer::from(refused.clone()).render(form, &request_id);
        let Ok(head) = engine_head(head) else { return };
        let body = if is_head { String::new() } else { body };
        self.send(session, head, Bytes::from(body)).await;
    }

    fn record(&self, session: &ServerSession, refused: &Refused) -> String {
        let header = session.req_header();
        let sent = header.headers.get("x-request-id").map(|id| id.as_bytes());
        let request_id = request_id::choose(sent);
        let client = session
            .client_addr()
            .and_then(|address| address.as_inet().copied());
        let line = (header.method.as_str().as_bytes(), header.raw_path());
        self.config
            .record(&RefusedRequest::new(&request_id, client, line, "HTTP/2", refused));
        request_id
    }

    /// The engine judges lengths and hosts before anybody else can, resets the stream or answers 400 without a body, and
    /// keeps what was sent to itself. So this is all that can be told.
    fn record_rejected(&self, client: &Client) {
        let refused = Refused::framing(
            "the layer of HTTP/2 refused the request: its Host and :authority, its Content-Length or its path \
             can be read in two ways",
        );
        let request_id = request_id::choose(None);
        let line = (&b""[..], &b""[..]);
        let request = RefusedRequest::new(&request_id, client.address, line, "HTTP/2", &refused);
        self.config.record(&request);
    }

    /// A client that is gone does not get its answer; there is nobody to tell.
    async fn send(&self, session: &mut ServerSession, header: ResponseHeader, body: Bytes) {
        if give(session, header, body).await.is_ok() {
            discard(session).await;
        }
    }

    async fn server_options(&self, session: &mut ServerSession) {
        let request_id = self.record(session, &answer::SERVER_OPTIONS);
        let answer = ResponseHeader::build(200, Some(3)).and_then(|mut header| {
            header.insert_header(http::header::ALLOW, ALLOWED)?;
            header.insert_header(http::header::CONTENT_LENGTH, "0")?;
            header.insert_header(REQUEST_ID, request_id)?;
            Ok(header)
        });
        let Ok(header) = answer else { return };
        self.send(session, header, Bytes::new()).await;
    }
}

fn is_grpc(request: &RequestHeader) -> bool {
    let content_type = request.headers.get(http::header::CONTENT_TYPE);
    content_type.is_some_and(|kind| arriving::is_grpc(kind.as_bytes()))
}

fn decoded(header: &RequestHeader) -> Decoded<'_> {
    let authority = header.uri.authority();
    Decoded {
        method: header.method.as_str(),
        scheme: header.uri.scheme_str(),
        target: header.raw_path(),
        authority: authority.map(|authority| authority.as_str().as_bytes()),
    }
}

fn fields(header: &RequestHeader) -> impl Iterator<Item = (&[u8], &[u8])> {
    let fields = header.headers.iter();
    fields.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}

fn options() -> H2Options {
    let mut options = default_h2_options();
    options
        .initial_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024)
        .max_send_buffer_size(256 * 1024);
    options
}
