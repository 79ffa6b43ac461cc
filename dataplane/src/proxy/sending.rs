use std::fmt::Display;

use http::Version;
use http::header::{EXPECT, TRANSFER_ENCODING};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use genkan_routing::sending::{UpstreamRequest, expects_body};

use super::fields::Fields;
use super::{failing, tool};
use crate::address::AddressText;
use crate::context::Context;

/// Makes the request for the backend out of the engine's copy of the client's, once for each attempt.
pub async fn prepare(
    session: &mut Session,
    request: &mut RequestHeader,
    context: &mut Context,
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
