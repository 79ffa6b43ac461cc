use std::fmt::Display;

use http::Version;
use http::header::{EXPECT, TRANSFER_ENCODING};
use pingora_core::protocols::Digest;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use genkan_routing::door::Arrival;
use genkan_routing::model::Matcher;
use genkan_routing::public::{Front, Public};
use genkan_routing::sending::{UpstreamRequest, expects_body};

use super::fields::Fields;
use super::{failing, tool};
use crate::access::Line;
use crate::address::AddressText;
use crate::context::{Context, Outgoing};
use crate::listening::server_name_of;
use crate::tables::Route;

/// Makes the request for the backend out of the engine's copy of the client's, once for each attempt.
pub async fn prepare(
    session: &mut Session,
    request: &mut RequestHeader,
    context: &mut Context,
    front: &Front,
) -> Result<()> {
    let (route, upstream) = context.destination()?;
    let Some(outgoing) = &context.outgoing else {
        return Error::e_explain(ErrorType::InternalError, "no request was made for the backend");
    };
    // The copy has the version that was agreed on with the backend; nothing is sent yet.
    if context.attempt.is_http2 && request.version != Version::HTTP_2 {
        context.verdict = Some(failing::no_http2(&route));
        return Err(Error::new_up(ErrorType::HandshakeError));
    }
    // The engine frames the body anew, in its own spelling.
    request.remove_header(&TRANSFER_ENCODING);
    request.set_method(outgoing.method.clone());
    if request.uri.authority().is_some() || request.raw_path() != outgoing.target {
        request.set_raw_path(&outgoing.target)?;
    }
    let caller = context.user.as_ref().filter(|_| route.introduces_caller);
    let client = context.line.client;
    let client = client.map(|client| AddressText::of_ip(client.ip().to_canonical()));
    let call = outgoing.call.as_ref();
    let is_empty = expects_body(&outgoing.method) && session.is_body_empty();
    let upstream_request = UpstreamRequest {
        method: &outgoing.method,
        is_empty,
        target: &outgoing.target,
        directives: route.directives.as_ref(),
        host: call.and_then(|call| call.host.as_ref()).unwrap_or(&upstream.host),
        scheme: upstream.scheme(),
        caller: caller.and_then(|user| user.introduction().ok()),
        client: client
            .as_ref()
            .filter(|_| call.is_none())
            .map(|client| client as &(dyn Display + Sync)),
        kind: &context.kind,
        public: public(session, context, outgoing, &route, front),
    };
    upstream_request.dress(&mut Fields(request)).map_err(invalid)?;
    if let Some(call) = call {
        tool::inject(&call.injected, request)?;
    }
    if request.headers.contains_key(EXPECT) && !passes_permission_on(session, context) {
        request.remove_header(&EXPECT);
        // HTTP/1.0 knows no interim answers.
        if session.req_header().version != Version::HTTP_10 {
            session.write_continue_response().await?;
        }
    }
    Ok(())
}

/// How the client reaches a web UI.
fn public<'r>(
    session: &'r Session,
    context: &'r Context,
    outgoing: &'r Outgoing,
    route: &'r Route,
    front: &'r Front,
) -> Option<Public<'r>> {
    let upstream = route.upstream()?;
    let Matcher::ReverseProxy { .. } = route.matcher else {
        return None;
    };
    Some(Public {
        front,
        arrival: arrival(session, context),
        fronting: &upstream.fronting,
        cluster: &outgoing.cluster,
        stripped: outgoing.stripped_prefix.as_deref(),
        base: &upstream.base_path,
        path: path_as_sent(session),
    })
}

/// What is known of a request beside its headers.
pub fn arrival<'r>(session: &'r Session, context: &'r Context) -> Arrival<'r> {
    arrival_at(session.digest(), &context.line)
}

/// The same, of a connection alone.
pub fn arrival_at<'r>(digest: Option<&'r Digest>, line: &'r Line) -> Arrival<'r> {
    Arrival {
        host: &line.host,
        is_tls: digest.is_some_and(|digest| digest.ssl_digest.is_some()),
        server_name: server_name_of(digest),
        peer: line.client.map(|client| client.ip()),
    }
}

/// Without the query.
pub fn path_as_sent(session: &Session) -> &[u8] {
    let target = session.req_header().raw_path();
    let end = memchr::memchr(b'?', target).unwrap_or(target.len());
    &target[..end]
}

/// The backend's 100 reaches the client only where both sides speak HTTP/1.1.
fn passes_permission_on(session: &Session, context: &Context) -> bool {
    !context.attempt.is_http2 && session.req_header().version == Version::HTTP_11
}

fn invalid(error: http::header::InvalidHeaderValue) -> Box<Error> {
    Error::because(
        ErrorType::InvalidHTTPHeader,
        "a header for the backend cannot be sent",
        error,
    )
}
