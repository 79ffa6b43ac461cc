use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use genkan_accept::{Call, Place};
use genkan_routing::strict::{Decoded, Refused};
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;
use pingora_http::ResponseHeader;

use super::answer::{self, RefusedRequest};
use super::progress::Progress;
use super::{FrontConfig, Traffic};
use crate::listening::Socket;

/// What an HTTP/2 client with prior knowledge sends first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The streams of HTTP/2 connections, on their way to the engine.
pub(super) struct Http2<A> {
    engine: Arc<A>,
    config: Arc<FrontConfig>,
    traffic: Arc<Traffic>,
}

/// One connection of HTTP/2. The engine has a deadline neither for the preface nor for what follows it: until its first
/// request is whole the connection waits, as one without a place of its own would have to go first.
pub(super) struct Connection<A> {
    http2: Arc<Http2<A>>,
    place: Place,
    /// From the first request to the end: the engine ends connections without streams.
    call: OnceLock<Option<Call>>,
    options: HttpServerOptions,
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

    /// The rules of the strict front that a decoded head can still break.
    fn judge(&self, session: &ServerSession) -> Result<(), Refused> {
        let header = session.req_header();
        let host = header.headers.get(http::header::HOST).map(|host| host.as_bytes());
        let head = decoded(header, host);
        head.check(&self.config.limits)
    }

    /// How long nothing may move while the body is unfinished. A little longer than for HTTP/1, where the silence of
    /// the client is answered: here the answer to it is due when the backend has been waited for as long.
    fn limit(&self, session: &ServerSession) -> Duration {
        let content_type = session.req_header().headers.get(http::header::CONTENT_TYPE);
        let is_grpc = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if is_grpc {
            self.config.grpc_timeout
        } else {
            self.config.body_timeout + self.config.body_timeout / 12
        }
    }

    async fn refuse(&self, session: &mut ServerSession, refused: &Refused) {
        let request_id = self.record(session, refused);
        let body = refused.status().to_json();
        let head_only = session.req_header().method == http::Method::HEAD;
        let answer = ResponseHeader::build(refused.code, Some(4)).and_then(|mut header| {
            header.insert_header(http::header::CONTENT_TYPE, "application/json")?;
            header.insert_header(http::header::CONTENT_LENGTH, body.len().to_string())?;
            header.insert_header("x-genkan-reason", refused.reason)?;
            header.insert_header("x-request-id", request_id)?;
            Ok(header)
        });
        let Ok(header) = answer else { return };
        self.send(
            session,
            header,
            if head_only {
                Bytes::new()
            } else {
                Bytes::from(body)
            },
        )
        .await;
    }

    fn record(&self, session: &ServerSession, refused: &Refused) -> String {
        let header = session.req_header();
        let sent = header.headers.get("x-request-id").map(|id| id.as_bytes());
        let request_id = answer::request_id(sent);
        let client = session
            .client_addr()
            .and_then(|address| address.as_inet().copied());
        let line = (header.method.as_str().as_bytes(), header.raw_path());
        self.config
            .record(&RefusedRequest::new(&request_id, client, line, "HTTP/2", refused));
        request_id
    }

    /// A client that is gone does not get its answer; there is nobody to tell.
    async fn send(&self, session: &mut ServerSession, header: ResponseHeader, body: Bytes) {
        if session.write_response_header(Box::new(header)).await.is_ok() {
            let _ = session.write_response_body(body, true).await;
        }
    }

    async fn server_options(&self, session: &mut ServerSession) {
        let request_id = self.record(session, &answer::SERVER_OPTIONS);
        let answer = ResponseHeader::build(200, Some(3)).and_then(|mut header| {
            header.insert_header(http::header::ALLOW, answer::ALLOWED)?;
            header.insert_header(http::header::CONTENT_LENGTH, "0")?;
            header.insert_header("x-request-id", request_id)?;
            Ok(header)
        });
        let Ok(header) = answer else { return };
        self.send(session, header, Bytes::new()).await;
    }
}

fn decoded<'a>(header: &'a pingora_http::RequestHeader, host: Option<&'a [u8]>) -> Decoded<'a> {
    Decoded {
        method: header.method.as_str(),
        target: header.raw_path(),
        authority: header
            .uri
            .authority()
            .map(|authority| authority.as_str().as_bytes())
            .or(host),
        headers: header.headers.len(),
    }
}

impl<A: HttpServerApp + Send + Sync + 'static> Http2<A> {
    async fn process(&self, mut session: ServerSession) -> Option<ReusedHttpStream> {
        let _request = self.traffic.request();
        session.set_write_timeout(Some(self.config.write_timeout));
        session.set_total_drain_timeout(Some(self.config.discard_timeout));
        if self.traffic.requests() > self.config.most_requests {
            self.refuse(&mut session, &Refused::busy()).await;
            return None;
        }
        if let Err(refused) = self.judge(&session) {
            self.refuse(&mut session, &refused).await;
            return None;
        }
        let header = session.req_header();
        if decoded(header, None).is_server_options() {
            self.server_options(&mut session).await;
            return None;
        }
        let endless = &self.traffic.endless;
        // Letting go of what serves the stream resets it.
        if session.is_body_done() {
            let serving = self.engine.process_new_http(session, &self.config.draining);
            return endless.serve(serving).await.flatten();
        }
        let limit = self.limit(&session);
        let serving = self.engine.process_new_http(session, &self.config.draining);
        let serving = Progress::watch(limit, serving);
        endless.serve(serving).await.flatten().flatten()
    }
}

// === impl Connection ===

impl<A> Connection<A> {
    pub(super) fn new(http2: Arc<Http2<A>>, place: &Place) -> Arc<Self> {
        let config = &http2.config;
        let mut options = HttpServerOptions::default();
        // Safe only because the front has seen the preface: the engine waits for it without a deadline.
        options.h2c = true;
        options.h2_idle_timeout = Some(match place.is_crowded() {
            true => config.crowded_idle,
            false => config.http2_idle_timeout,
        });
        Arc::new(Self {
            http2,
            place: place.clone(),
            call: OnceLock::new(),
            options,
        })
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for Connection<A> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.call.get_or_init(|| self.place.begin());
        self.http2.process(session).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options
            .initial_window_size(1024 * 1024)
            .initial_connection_window_size(4 * 1024 * 1024)
            .max_send_buffer_size(256 * 1024);
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
