use genkan_routing::answer::reason;
use std::sync::Arc;

use genkan_routing::dialling::none_may_be_dialled;
use genkan_routing::model::BackendState;
use genkan_routing::sending::no_ready_endpoints;
use pingora_core::{Error, ErrorSource, ErrorType, RetryType};
use pingora_proxy::Session;

use super::Proxy;
use crate::context::Context;
use crate::front;
use crate::metrics::Metrics;
use crate::tables::Route;
use crate::upstream::{NoEndpoint, STANDSTILL, Upstream};
use genkan_routing::answer::Answer;

/// Decides whether a request that failed on an open connection is sent again.
pub fn judge(session: &Session, mut error: Box<Error>, context: &mut Context, is_reused: bool) -> Box<Error> {
    if std::mem::take(&mut context.attempt.is_unsent) {
        error.set_retry(context.attempt.may_follow());
        return error;
    }
    let outgoing = context.outgoing.as_ref();
    // What the client did wrong would be wrong once more.
    let may_be_repeated = *error.esource() != ErrorSource::Downstream
        && outgoing.is_some_and(|outgoing| outgoing.method.is_idempotent())
        && !session.as_ref().retry_buffer_truncated()
        && session
            .response_written()
            .is_none_or(|head| head.status.is_informational())
        && context.verdict.is_none()
        && !front::is_backend_silent(error.root_cause())
        && context.attempt.may_follow();
    // Must be decided either way: the engine panics over an undecided error of a reused connection.
    let repeats = may_be_repeated && is_repeatable(&error, is_reused);
    error.set_retry(repeats);
    error
}

/// Whether another connection may do better: the engine says so, or this one had been kept and ended. The engine itself
/// sees that end only where it was reading, and without TLS; but it shows as well in a write that is under way, and with
/// TLS in the want of a farewell.
fn is_repeatable(error: &Error, is_reused: bool) -> bool {
    use ErrorType::*;
    let is_end = matches!(error.etype(), WriteError | ReadError | ConnectionClosed)
        && *error.esource() == ErrorSource::Upstream;
    match error.retry {
        RetryType::Decided(true) => true,
        RetryType::ReusedOnly => is_reused,
        RetryType::Decided(false) => is_reused && is_end,
    }
}

impl Proxy {
    /// Answers for a request that cannot be answered otherwise; the code is for the engine's log.
    pub(super) async fn fail(&self, session: &mut Session, error: &Error, context: &mut Context) -> u16 {
        if context.is_answered {
            return 0;
        }
        let is_begun = session.response_written().is_some_and(|head| {
            !head.status.is_informational() || head.status == http::StatusCode::SWITCHING_PROTOCOLS
        });
        let refused = front::refusal(error.root_cause());
        let is_silent = front::is_backend_silent(error.root_cause()) || is_upstream_silent(error);
        if is_begun || (refused.is_none() && !is_silent && is_client_gone(error)) {
            let is_downstream = *error.esource() == ErrorSource::Downstream && !is_silent;
            context.line.reason = match refused {
                Some(refused) => refused.reason,
                None if is_downstream => reason::CLIENT_GONE,
                None => reason::BACKEND_BROKE,
            }
            .into();
            context.line.detail = error.to_string();
            return 0;
        }
        let answer = match context.verdict.take() {
            Some(answer) => answer,
            None if let Some(refused) = refused => refused.clone().into(),
            // The time starts anew with each piece of the request: the client is who is waited for.
            None if is_silent && !session.is_body_done() => body_timeout(),
            None if is_silent && let Ok((route, _)) = context.destination() => self.silent(&route),
            None => self.answer_to(error, context),
        };
        let answer = detailed(answer, error, context);
        let code = answer.code;
        session.set_keepalive(None);
        let _ = self.answer(session, context, answer).await;
        code
    }

    fn silent(&self, route: &Route) -> Answer {
        let limit = self.upstream_read_timeout;
        let what = format!("sent nothing for {limit:?}; see --upstream-read-timeout, if it needs longer");
        Answer::status(504, reason::BACKEND_TIMEOUT, backend(route, &what))
    }

    fn answer_to(&self, error: &Error, context: &Context) -> Answer {
        match error.esource() {
            ErrorSource::Downstream => client_error(error),
            ErrorSource::Upstream => match context.destination() {
                Ok((route, upstream)) => self.backend_error(error, context, &route, &upstream),
                Err(_) => internal(),
            },
            ErrorSource::Internal | ErrorSource::Unset => internal(),
        }
    }

    fn backend_error(
        &self,
        error: &Error,
        context: &Context,
        route: &Arc<Route>,
        upstream: &Upstream,
    ) -> Answer {
        use ErrorType::*;
        match error.etype() {
            TLSHandshakeFailure | TLSHandshakeTimedout | TLSWantX509Lookup | InvalidCert => {
                let answer = tls(route, upstream, &error.to_string());
                if !is_of_request(error, context, upstream) {
                    self.suspect(route, BackendState::TlsFailed, &answer);
                }
                answer
            }
            ConnectTimedout | ConnectRefused | ConnectNoRoute | ConnectError | SocketError | BindError => {
                let answer = connect(route, upstream, error);
                self.suspect(route, BackendState::Unreachable, &answer);
                answer
            }
            HandshakeError => no_http2(route),
            ReadTimedout => self.silent(route),
            WriteTimedout => {
                let what = format!("took nothing of the request for {} s", STANDSTILL.as_secs());
                Answer::status(504, reason::BACKEND_TIMEOUT, backend(route, &what))
            }
            InvalidHTTPHeader | H1Error | H2Error | H2Downgrade | InvalidH2 => {
                protocol(route, "it is not valid HTTP")
            }
            _ => {
                let what = "closed the connection without an answer; its own log may say why";
                Answer::status(502, reason::BACKEND_CLOSED, backend(route, what))
            }
        }
    }

    /// Notes first and raises the flag then: whoever takes the suspicion back has something to take back.
    pub(super) fn suspect(&self, route: &Route, state: BackendState, answer: &Answer) {
        if route.suspicion() == Some(state) {
            return;
        }
        self.health.note(&route.object, state, answer.message());
        route.suspect(state);
    }
}

/// What only the log may know: where the backend is, and what the engine says.
fn detailed(answer: Answer, error: &Error, context: &Context) -> Answer {
    let mut detail = match context.destination() {
        Ok((_, upstream)) => format!("{}://{}: ", upstream.scheme(), upstream.authority),
        Err(_) => String::new(),
    };
    if !answer.detail.is_empty() {
        detail.push_str(&answer.detail);
        detail.push_str("; ");
    }
    detail.push_str(&error.to_string());
    answer.with_detail(detail)
}

/// Whether TLS failed over something that this request wanted and its object does not: HTTP/2, which any caller can
/// ask for with a word about gRPC. That says nothing about the backend.
pub fn is_of_request(error: &Error, context: &Context, upstream: &Upstream) -> bool {
    let is_tls = matches!(
        error.etype(),
        ErrorType::TLSHandshakeFailure | ErrorType::HandshakeError
    );
    is_tls && context.attempt.is_http2 && !upstream.http2 && certificate_problem(&error.to_string()).is_none()
}

/// Counts an answer of our own and notes it for the access line.
pub fn account(metrics: &Metrics, context: &mut Context, answer: &Answer) {
    let reason = match &answer.reason {
        std::borrow::Cow::Borrowed(reason) => reason,
        std::borrow::Cow::Owned(_) => reason::UNAVAILABLE,
    };
    metrics.answered(reason, answer.code);
    context.is_own_answer = true;
    context.line.status = answer.code;
    context.line.reason = answer.reason.clone();
    context.line.detail = answer.detail.to_string();
}

/// A sentence about the backend of an object. Where it is stands in the log only.
fn backend(route: &Route, what: &str) -> String {
    format!("{}: its backend {what}", route.title)
}

impl Proxy {
    /// There is nobody to send a request to.
    pub(super) fn no_endpoint(&self, route: &Arc<Route>, none: NoEndpoint) -> Answer {
        let title = &route.title;
        match none {
            NoEndpoint::Empty => no_ready_endpoints(title).into(),
            NoEndpoint::Exhausted => {
                let answer = none_may_be_dialled(title).into();
                self.suspect(route, BackendState::Unresolved, &answer);
                answer
            }
            NoEndpoint::Unresolved(error) => Answer::status(
                502,
                reason::BACKEND_UNRESOLVED,
                format!("{title}: the host of its backend {DOES_NOT_RESOLVE}"),
            )
            .with_detail(error),
        }
    }
}

/// Why a host leads nowhere, and what can be done.
pub const DOES_NOT_RESOLVE: &str = "does not resolve; see the url of the object, and the DNS of the proxy";

/// No connection could be made.
pub fn connect(route: &Route, upstream: &Upstream, error: &Error) -> Answer {
    let is_late_tls = || upstream.is_tls() && error.to_string().contains(", timeout ");
    let what = match error.etype() {
        ErrorType::ConnectTimedout if is_late_tls() => {
            "did not finish the TLS handshake in time; see that it speaks TLS on this port"
        }
        ErrorType::ConnectTimedout => {
            "did not accept a connection in time; see that it runs and that no network policy is in the way"
        }
        ErrorType::ConnectRefused => {
            "refused the connection; see that it runs and listens on the port of the object"
        }
        _ => "cannot be reached; see that it runs and that a network leads there",
    };
    Answer::status(502, reason::BACKEND_CONNECT_FAILED, backend(route, what))
}

/// TLS with the backend failed.
pub fn tls(route: &Route, upstream: &Upstream, error: &str) -> Answer {
    if error.contains("NoApplicationProtocol") {
        return no_http2(route);
    }
    let speaks_plain_http = ["InvalidContentType", "corrupt message"]
        .iter()
        .any(|sign| error.contains(sign));
    let what = match (speaks_plain_http, upstream.https_by_default) {
        (true, true) => {
            "speaks plain HTTP, but a service is reached by https unless told otherwise; set service.scheme: http"
                .to_owned()
        }
        (true, false) => "does not speak TLS; write http:// in the url of the object".to_owned(),
        (false, _) => match certificate_problem(error) {
            Some(problem) => format!("shows a certificate that cannot be verified: {problem}"),
            None => "broke off the TLS handshake; its own log may say why".to_owned(),
        },
    };
    Answer::status(502, reason::BACKEND_TLS_VERIFY, backend(route, &what))
}

/// gRPC, or an object that asks for HTTP/2, met a backend that does not speak it.
pub fn no_http2(route: &Route) -> Answer {
    let what = "does not speak HTTP/2, which gRPC needs, and which an appProtocol of h2c or grpc promises";
    Answer::status(502, reason::BACKEND_PROTOCOL, backend(route, what))
}

/// What the author of the object can do something about.
fn certificate_problem(error: &str) -> Option<&'static str> {
    const PROBLEMS: [(&str, &str); 8] = [
        (
            "UnknownIssuer",
            "it is signed by an unknown authority; give it in caBundle",
        ),
        ("NotValidForName", "it is for another name"),
        ("not valid for name", "it is for another name"),
        ("xpired", "it is expired"),
        ("NotValidYet", "it is not valid yet"),
        ("not one of caBundle", "it is not the one in caBundle"),
        ("is not for", "it is for another name"),
        (
            "invalid peer certificate",
            "it breaks a rule for certificates of servers",
        ),
    ];
    PROBLEMS
        .iter()
        .find(|(sign, _)| error.contains(sign))
        .map(|(_, problem)| *problem)
}

/// The backend broke a rule of HTTP, or of the object.
pub fn protocol(route: &Route, problem: &str) -> Answer {
    let message = format!("{}: the answer of its backend is refused: {problem}", route.title);
    Answer::status(502, reason::BACKEND_PROTOCOL, message)
}

fn is_client_gone(error: &Error) -> bool {
    use ErrorType::*;
    *error.esource() == ErrorSource::Downstream
        && matches!(
            error.etype(),
            WriteError | WriteTimedout | ReadError | ConnectionClosed
        )
}

fn is_upstream_silent(error: &Error) -> bool {
    *error.esource() == ErrorSource::Upstream && *error.etype() == ErrorType::ReadTimedout
}

fn body_timeout() -> Answer {
    Answer::status(
        408,
        reason::BODY_TIMEOUT,
        "the rest of the request body did not arrive in time",
    )
}

fn client_error(error: &Error) -> Answer {
    match error.etype() {
        ErrorType::ReadTimedout => body_timeout(),
        broken => {
            let message = match broken.as_str() {
                "InvalidChunk" => "a chunk of the request body is malformed",
                "InvalidTrailerEnd" => "the trailers of the request body are malformed",
                "PrematureBodyEnd" => "the request body ended before the length that was announced",
                _ => "the request or its body breaks the rules of HTTP",
            };
            Answer::status(400, reason::FRAMING, message)
        }
    }
}

fn internal() -> Answer {
    Answer::status(
        500,
        reason::INTERNAL_ERROR,
        "the request could not be handled; the log of the proxy knows more",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_connection_may_end_while_something_is_written() {
        use ErrorType::*;
        let up = |etype| Error::new_up(etype);
        for (error, expected) in [
            (up(WriteError), true),
            (up(ReadError), true),
            (up(ConnectionClosed), true),
            (up(ReadTimedout), false),
            (up(WriteTimedout), false),
            (up(InvalidHTTPHeader), false),
            (Error::new_down(WriteError), false),
            (Error::new_in(ConnectionClosed), false),
        ] {
            assert_eq!(is_repeatable(&error, true), expected, "{error}");
            assert!(!is_repeatable(&error, false), "{error}");
        }
        let mut undecided = up(H2Error);
        undecided.retry = RetryType::ReusedOnly;
        assert!(is_repeatable(&undecided, true) && !is_repeatable(&undecided, false));
        undecided.set_retry(true);
        assert!(is_repeatable(&undecided, false));
    }
}
