use std::os::fd::RawFd;
use std::time::Duration;

use genkan_routing::model::BackendState;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

use super::{Proxy, failing};
use crate::context::Context;
use crate::front;
use crate::upstream::{NoEndpoint, PeerOptions, Upstream};

/// After so long no other endpoint is tried: the client has waited enough for an answer.
const CONNECTING_IN_ALL: Duration = Duration::from_secs(15);

impl Proxy {
    /// The endpoint and settings of the next attempt.
    pub(super) async fn choose_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        let (route, upstream) = context.destination()?;
        if context.attempt.number == 0 && upstream.needs_pin() {
            context.attempt.is_pinned = true;
            context.attempt.is_pin_remembered = true;
        }
        let mut wanted = wanted(context, &upstream);
        self.limit_silence(session, context, &mut wanted);
        context.attempt.number += 1;
        context.attempt.is_http2 = wanted.http2;
        context.line.attempts = context.attempt.number;
        // Pin mode repeats the handshake with the very server whose certificate made it necessary.
        if let (true, Some(lease)) = (wanted.is_pinned, &context.attempt.lease) {
            return Ok(self.equip(context, upstream.peer(lease.address(), wanted)));
        }
        context.attempt.lease = None;
        let failed = &context.attempt.failed;
        match upstream.choose(|address| !failed.contains(&address)).await {
            Ok(lease) => {
                let address = lease.address();
                context.line.upstream = Some(address);
                context.attempt.lease = Some(lease);
                Ok(self.equip(context, upstream.peer(address, wanted)))
            }
            Err(NoEndpoint::Exhausted) if !failed.is_empty() => {
                // The endpoints changed since the last attempt failed; that failure is what there is to say.
                let error = Error::new_in(ErrorType::ConnectError);
                let answer = failing::connect(&route, &upstream, &error);
                self.suspect(&route, BackendState::Unreachable, &answer);
                context.verdict = Some(answer);
                Err(error)
            }
            Err(none) => {
                context.verdict = Some(self.no_endpoint(&route, none));
                Err(Error::new_in(ErrorType::HTTPStatus(503)))
            }
        }
    }

    /// Shows who we are to whom we may: a tool of a Connector is somebody else's.
    fn equip(&self, context: &Context, peer: HttpPeer) -> Box<HttpPeer> {
        let is_tool = context.connectors.is_some();
        Box::new(if is_tool {
            peer
        } else {
            self.callers.certificate.equip(peer)
        })
    }

    /// Nothing was sent yet, so the request may go to another endpoint whatever it is.
    pub(super) fn connection_failed(
        &self,
        _: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let Ok((_, upstream)) = context.destination() else {
            return error;
        };
        if !context.attempt.is_pinned && upstream.wants_pin(&error) {
            context.attempt.is_pinned = true;
            error.set_retry(true);
            return error;
        }
        context.attempt.is_pinned = false;
        let is_of_request = failing::is_of_request(&error, context, &upstream);
        if let Some(lease) = context.attempt.lease.take() {
            if !is_of_request {
                lease.failed();
            }
            context.attempt.failed.push(lease.address());
        }
        let failed = &context.attempt.failed;
        let has_other = upstream.has_other(|address| !failed.contains(&address));
        let is_in_budget = context.attempt.may_follow() && context.start.elapsed() < CONNECTING_IN_ALL;
        error.set_retry(has_other && !is_of_request && is_in_budget);
        error
    }
}

impl Proxy {
    /// Before anything is sent: in pin mode the certificate must be one of those that the author gave.
    pub(super) fn connected(
        &self,
        session: &Session,
        connection: RawFd,
        is_reused: bool,
        digest: Option<&Digest>,
        context: &mut Context,
    ) -> Result<()> {
        context.line.is_reused = is_reused;
        if session.is_http2() && !context.attempt.is_http2 && context.kind.upgrade.is_none() {
            front::watch_backend(connection);
        }
        if let Some(lease) = &context.attempt.lease {
            lease.succeeded();
        }
        let (route, upstream) = context.destination()?;
        if !context.attempt.is_pinned {
            return Ok(());
        }
        let verdict = upstream.judge_pin(digest.and_then(|digest| digest.ssl_digest.as_deref()));
        upstream.note_pin(verdict.is_ok());
        let Err(error) = verdict else { return Ok(()) };
        if std::mem::take(&mut context.attempt.is_pin_remembered) {
            // The server may have got a certificate since that needs no pin.
            context.attempt.is_pinned = false;
            context.attempt.is_unsent = true;
        } else {
            let answer = failing::tls(&route, &upstream, &error.to_string());
            self.suspect(&route, BackendState::TlsFailed, &answer);
            context.verdict = Some(answer);
        }
        Err(Error::new_up(ErrorType::InvalidCert))
    }
}

impl Proxy {
    /// Sees to it that the backend is not waited for too long. Where the connection of the client does, or one to the
    /// backend that no other request uses, the answer itself can say that it may be silent; the limit of the engine, for
    /// connections of HTTP/2 from end to end, is fixed from now on.
    fn limit_silence(&self, session: &Session, context: &Context, wanted: &mut PeerOptions) {
        let limit = self.upstream_read_timeout;
        let limit = (!context.kind.may_be_silent && !limit.is_zero()).then_some(limit);
        if session.is_http2() {
            wanted.silence = limit.filter(|_| !is_alone(wanted));
        }
        front::leave_backend();
        front::allow_silence(limit);
    }
}

/// The connection to the backend is that of one request, and its limit of silence is kept by the front.
fn is_alone(wanted: &PeerOptions) -> bool {
    !wanted.http2 && !wanted.is_upgrade && front::is_watched()
}

fn wanted(context: &Context, upstream: &Upstream) -> PeerOptions {
    let is_idempotent = context
        .outgoing
        .as_ref()
        .is_some_and(|outgoing| outgoing.method.is_idempotent());
    let is_upgrade = context.kind.upgrade.is_some();
    PeerOptions {
        http2: context.kind.needs_http2(upstream.http2),
        is_idempotent,
        is_upgrade,
        is_pinned: context.attempt.is_pinned,
        ..PeerOptions::default()
    }
}
