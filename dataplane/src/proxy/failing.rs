use std::sync::Arc;

use genkan_proto::v1alpha1::health::State;
use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;

use super::peering::MOST_ATTEMPTS;
use super::{Proxy, peering};
use crate::answer::Answer;
use crate::context::Context;
use crate::health::Board;
use crate::metrics::Metrics;
use crate::tables::Route;
use crate::upstream::{NoEndpoint, Upstream};

/// Decides whether a request that failed on an open connection is sent again.
pub fn judge(session: &Session, mut error: Box<Error>, context: &Context, is_reused: bool) -> Box<Error> {
    let outgoing = context.outgoing.as_ref();
    let may_be_repeated = outgoing.is_some_and(|outgoing| outgoing.method.is_idempotent())
        && !session.as_ref().retry_buffer_truncated()
        && session
            .response_written()
            .is_none_or(|head| head.status.is_informational())
        && context.verdict.is_none()
        && context.attempt.number < MOST_ATTEMPTS;
    // Must be decided either way: the engine panics over an undecided error of a reused connection.
    if may_be_repeated {
        error.retry.decide_reuse(is_reused);
    } else {
        error.set_retry(false);
    }
    error
}

impl Proxy {
    /// Answers for a request that cannot be answered otherwise; the code is for the engine's log.
    pub(super) async fn fail(&self, session: &mut Session, error: &Error, context: &mut Context) -> u16 {
        let is_begun = session.response_written().is_some_and(|head| {
            !head.status.is_informational() || head.status == http::StatusCode::SWITCHING_PROTOCOLS
        });
        if is_begun || is_client_gone(error) {
            let is_downstream = *error.esource() == ErrorSource::Downstream;
            context.line.reason = if is_downstream {
                "ClientGone"
            } else {
                "BackendBroke"
            }
            .into();
            context.line.detail = error.to_string();
            return 0;
        }
        let answer = match context.verdict.take() {
            Some(answer) => answer.with_detail(error.to_string()),
            None => self.answer_to(error, context).with_detail(error.to_string()),
        };
        let code = answer.code;
        session.set_keepalive(None);
        let _ = self.answer(session, context, answer).await;
        code
    }

    fn answer_to(&self, error: &Error, context: &Context) -> Answer {
        match error.esource() {
            ErrorSource::Downstream => client_error(error),
            ErrorSource::Upstream => match peering::destination(context) {
                Ok((route, upstream)) => self.backend_error(error, &route, &upstream),
                Err(_) => internal(),
            },
            ErrorSource::Internal | ErrorSource::Unset => internal(),
        }
    }

    fn backend_error(&self, error: &Error, route: &Arc<Route>, upstream: &Upstream) -> Answer {
        use ErrorType::*;
        let title = route.title();
        let origin = format!("{}://{}", upstream.scheme(), upstream.authority);
        match error.etype() {
            TLSHandshakeFailure | TLSHandshakeTimedout | TLSWantX509Lookup | InvalidCert | HandshakeError => {
                let answer = tls(route, upstream, &error.to_string());
                self.suspect(route, State::TlsFailed, &answer);
                answer
            }
            ConnectTimedout | ConnectRefused | ConnectNoRoute | ConnectError | SocketError | BindError => {
                let answer = connect(route, upstream, error.etype());
                self.suspect(route, State::Unreachable, &answer);
                answer
            }
            ReadTimedout | WriteTimedout => {
                let message = format!("{title}: the backend {origin} did not answer in time");
                Answer::status(504, "BackendTimeout", message)
            }
            InvalidHTTPHeader | H1Error | H2Error | H2Downgrade | InvalidH2 => {
                protocol(route, upstream, "its answer is not valid HTTP")
            }
            _ => {
                let message =
                    format!("{title}: the backend {origin} closed the connection without an answer");
                Answer::status(502, "BackendClosed", message)
            }
        }
    }

    fn suspect(&self, route: &Route, state: State, answer: &Answer) {
        route.suspect();
        self.board.note(&route.object, state, answer.message());
    }
}

/// Counts an answer of our own and notes it for the access line.
pub fn account(metrics: &Metrics, context: &mut Context, answer: &Answer) {
    let reason = match &answer.reason {
        std::borrow::Cow::Borrowed(reason) => reason,
        std::borrow::Cow::Owned(_) => "Unavailable",
    };
    metrics.answered(reason, answer.code);
    context.line.status = answer.code;
    context.line.reason = answer.reason.clone();
    context.line.detail = answer.detail.clone();
}

/// There is nobody to send a request to.
pub fn no_endpoint(route: &Arc<Route>, upstream: &Upstream, none: NoEndpoint, board: &Board) -> Answer {
    let title = route.title();
    let authority = &upstream.authority;
    match none {
        NoEndpoint::Empty => Answer::status(
            503,
            "NoReadyEndpoints",
            format!("{title}: {authority} has no ready endpoint"),
        ),
        NoEndpoint::Exhausted => {
            let message = format!(
                "{title}: no address of {authority} may be dialled; loopback, link-local and metadata addresses are \
                 refused unless --allow-upstream-cidr names them, and this proxy's own listeners always"
            );
            route.suspect();
            board.note(&route.object, State::Unresolved, message.clone());
            Answer::status(502, "AddressRefused", message)
        }
        NoEndpoint::Unresolved(error) => Answer::status(
            502,
            "BackendUnresolved",
            format!("{title}: the host of {authority} does not resolve"),
        )
        .with_detail(error),
    }
}

/// No connection could be made.
pub fn connect(route: &Route, upstream: &Upstream, error: &ErrorType) -> Answer {
    let what = match error {
        ErrorType::ConnectTimedout => "did not accept a connection in time",
        ErrorType::ConnectRefused => "refused the connection",
        _ => "cannot be reached",
    };
    let message = format!(
        "{}: the backend {}://{} {what}",
        route.title(),
        upstream.scheme(),
        upstream.authority
    );
    Answer::status(502, "BackendConnectFailed", message)
}

/// TLS with the backend failed.
pub fn tls(route: &Route, upstream: &Upstream, error: &str) -> Answer {
    let title = route.title();
    let authority = &upstream.authority;
    let speaks_plain_http = ["InvalidContentType", "corrupt message"]
        .iter()
        .any(|sign| error.contains(sign));
    let message = match (speaks_plain_http, upstream.https_by_default) {
        (true, true) => format!(
            "{title}: the backend {authority} speaks plain HTTP, but a service is reached by https unless told otherwise; \
             set service.scheme: http"
        ),
        (true, false) => {
            format!("{title}: the backend {authority} does not speak TLS; write http:// in its url")
        }
        (false, _) => format!(
            "{title}: the certificate of {authority} cannot be verified: {}",
            tls_reason(error)
        ),
    };
    Answer::status(502, "BackendTLSVerify", message)
}

/// What the author of the object can do something about.
fn tls_reason(error: &str) -> &'static str {
    const REASONS: [(&str, &str); 7] = [
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
    ];
    REASONS
        .iter()
        .find(|(sign, _)| error.contains(sign))
        .map_or("the handshake failed", |(_, reason)| reason)
}

/// The backend broke a rule of HTTP, or of the object.
pub fn protocol(route: &Route, upstream: &Upstream, problem: &str) -> Answer {
    let message = format!(
        "{}: the answer of the backend {} is refused: {problem}",
        route.title(),
        upstream.authority
    );
    Answer::status(502, "BackendProtocol", message)
}

fn is_client_gone(error: &Error) -> bool {
    use ErrorType::*;
    *error.esource() == ErrorSource::Downstream
        && matches!(
            error.etype(),
            WriteError | WriteTimedout | ReadError | ConnectionClosed
        )
}

fn client_error(error: &Error) -> Answer {
    match error.etype() {
        ErrorType::ReadTimedout => Answer::status(
            408,
            "BodyTimeout",
            "the rest of the request body did not arrive in time",
        ),
        _ => Answer::status(400, "Framing", "the request or its body breaks the rules of HTTP"),
    }
}

fn internal() -> Answer {
    Answer::status(
        500,
        "InternalError",
        "the request could not be handled; the log of the proxy knows more",
    )
}
