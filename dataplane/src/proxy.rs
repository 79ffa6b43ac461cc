pub mod access;
pub mod address;
pub mod answer;
pub(crate) mod arriving;
pub mod context;
mod deciding;
mod failing;
pub mod fields;
mod generating;
mod login;
mod moving;
mod peering;
mod policies;
mod receiving;
mod removed_length;
mod repeated_length;
pub mod request_id;
pub mod rewriting;
mod sending;
mod tool;

pub use failing::DOES_NOT_RESOLVE;
pub use generating::Generators;
pub use policies::{Outside, Running};

use std::any::Any;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use genkan_callers::login::Taken;
use genkan_routing::answer::{Answer, Form};
use genkan_routing::guard::Guard;
use genkan_routing::public::Front;
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::access::Access;
use crate::callers::Callers;
use crate::context::Context;
use crate::front;
use crate::health::HealthReports;
use crate::metrics::Metrics;
use crate::tables::Current;
use crate::upstream::tokens::Tokens;
use crate::usage::Usage;
use answer::{WriteOptions, discard};
use arriving::Rest;
use policies::Answered;

/// Forwards requests: what the engine asks at each step is answered by the module with that job.
#[derive(Debug)]
pub struct Proxy {
    pub current: Arc<Current>,
    pub health: Arc<HealthReports>,
    pub metrics: Arc<Metrics>,
    pub access: Arc<Access>,
    pub callers: Arc<Callers>,
    pub generators: Generators,
    pub tokens: Arc<Tokens>,
    /// Of policies.
    pub outside: Arc<Outside>,
    pub usage: Arc<Usage>,
    /// How people reach it.
    pub front: Front,
    /// By those who logged in to web UIs.
    pub taken_codes: Taken,
    /// For how long a backend that is to answer may be silent.
    pub upstream_read_timeout: Duration,
    /// A tunnel in which nothing moves, either way, for so long is given up; `None`: never.
    pub tunnel_idle_timeout: Option<Duration>,
}

#[async_trait]
impl ProxyHttp for Proxy {
    /// Behind a pointer: the engine moves it from one future into the next, and so does every byte of it.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        Box::new(Context::new(Arc::clone(&self.access), Arc::clone(&self.metrics)))
    }

    /// None: the engine's own would add one for compression.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Self::CTX) -> Result<bool> {
        arriving::note(session, context);
        if session.req_header().version == http::Version::HTTP_10 {
            session.set_ignore_info_resp(true);
        }
        let Err(answer) = self.decide(session, context).await else {
            return Ok(false);
        };
        self.answer(session, context, answer).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        self.choose_peer(session, context).await
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        peer: &HttpPeer,
        context: &mut Self::CTX,
        error: Box<Error>,
    ) -> Box<Error> {
        self.connection_failed(peer, context, error)
    }

    async fn connected_to_upstream(
        &self,
        session: &mut Session,
        is_reused: bool,
        _: &HttpPeer,
        connection: RawFd,
        digest: Option<&Digest>,
        context: &mut Self::CTX,
    ) -> Result<()> {
        self.connected(session, connection, is_reused, digest, context)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Self::CTX,
    ) -> Result<()> {
        sending::prepare(session, request, context, &self.front).await?;
        self.before_sending(session, request, context).await?;
        let call = context
            .outgoing
            .as_ref()
            .and_then(|outgoing| outgoing.call.as_ref());
        let carries = call.is_some_and(|call| !call.injected.is_empty());
        if let Some(route) = context.route.as_ref().filter(|_| carries) {
            self.usage.note(route);
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Self::CTX,
    ) -> Result<()> {
        self.receive(session, response, context)?;
        match context.running {
            None => Ok(()),
            Some(_) => {
                self.on_answer(session, response, context, Answered::ByBackend)
                    .await
            }
        }
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Self::CTX,
    ) -> Result<()> {
        if response.status == http::StatusCode::SWITCHING_PROTOCOLS {
            // What the backend sends starts the time anew as well: the engine reads again behind every piece.
            session.set_read_timeout(self.tunnel_idle_timeout);
        }
        receiving::dress(session, response, context, &self.front)?;
        receiving::guard(session, context, &self.front, self.token_cookie(), response);
        match context.running {
            None => Ok(()),
            Some(_) => {
                self.on_answer(session, response, context, Answered::ForClient)
                    .await
            }
        }
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        is_end: bool,
        context: &mut Self::CTX,
    ) -> Result<()> {
        front::body_moved(is_end);
        policies::replace_body(context, body, is_end);
        tool::hold(context, body, is_end)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        is_end: bool,
        context: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        match is_end {
            // Who is waited for from now on is the client.
            true => front::allow_silence(None),
            false => front::answer_moved(),
        }
        receiving::body(session, body, is_end, context)
    }

    /// Behind trailers nothing of the body is asked for any more: what was held back of it goes in their place.
    async fn response_trailer_filter(
        &self,
        session: &mut Session,
        _: &mut http::HeaderMap,
        context: &mut Self::CTX,
    ) -> Result<Option<Bytes>> {
        let mut rest = None;
        receiving::body(session, &mut rest, true, context)?;
        Ok(rest)
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        context: &mut Self::CTX,
        is_reused: bool,
    ) -> Box<Error> {
        front::leave_backend();
        failing::judge(session, error, context, is_reused)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Self::CTX,
    ) -> FailToProxy {
        let error_code = self.fail(session, error, context).await;
        FailToProxy {
            error_code,
            can_reuse_downstream: false,
        }
    }

    fn persist_connection_context(
        &self,
        _: &Session,
        context: &Self::CTX,
    ) -> Option<Box<dyn Any + Send + Sync>> {
        let recent = context.recent.clone()?;
        Some(Box::new(recent))
    }

    fn on_connection_reuse(
        &self,
        _: &mut Session,
        context: &mut Self::CTX,
        last: Box<dyn Any + Send + Sync>,
    ) {
        context.recent = last.downcast().ok().map(|recent| *recent);
    }

    /// Everything that the engine would say stands in the access line.
    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Self::CTX, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, context: &mut Self::CTX) {
        front::leave_backend();
        if let (false, Some(written)) = (context.is_own_answer, session.response_written()) {
            context.line.status = written.status.as_u16();
        }
        context.line.received = session.body_bytes_read();
        context.line.sent = session.body_bytes_sent();
        context.close();
    }
}

// === impl Proxy ===

impl Proxy {
    /// A cookie that says who calls.
    fn token_cookie(&self) -> Option<&str> {
        self.callers.identity.places()?.cookie.as_deref()
    }

    /// Gives an answer of our own.
    async fn answer(&self, session: &mut Session, context: &mut Context, answer: Answer) -> Result<()> {
        let answer = match context.connectors {
            Some(writes) => answer.of_connectors(writes),
            None => answer,
        };
        let answer = match context.running {
            None => answer,
            Some(_) => self.replaced(session, context, answer).await,
        };
        failing::account(&self.metrics, context, &answer);
        if let Some(running) = &mut context.running {
            running.note_answer(&answer);
        }
        front::allow_silence(None);
        let rest = arriving::rest(session);
        if rest == Rest::Little {
            // With the body out of the way the connection can be kept.
            let _ = session.drain_request_body().await;
        }
        let request_id = context.line.request_id.clone();
        let is_last = rest == Rest::Withheld;
        let options = WriteOptions {
            request_id: &request_id,
            form: if context.kind.is_grpc {
                Form::Grpc
            } else {
                Form::Http
            },
            is_last,
        };
        let route = context
            .outgoing
            .is_some()
            .then_some(context.route.as_ref())
            .flatten();
        let running = context.running.as_deref();
        let guard = receiving::guard_of(session, context, &self.front, self.token_cookie());
        let guard = guard.map(Guard::into_owned);
        answer::write(&answer, session, options, |head| {
            receiving::header_down(route, head);
            policies::dress(running, answer.policy.as_deref(), head);
            if let Some(guard) = &guard {
                guard.apply(&mut fields::Fields(head));
            }
        })
        .await?;
        match rest {
            // Closing on unread bytes would reset the connection and could cost the client the answer.
            Rest::Much => {
                let _ = session.drain_request_body().await;
            }
            Rest::Stream => discard(&mut session.downstream_session).await,
            Rest::Nothing | Rest::Little | Rest::Withheld => {}
        }
        Ok(())
    }
}
