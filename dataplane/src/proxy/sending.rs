use std::io::Write;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderName, HeaderValue, Version};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::{failing, fields, peering};
use crate::context::Context;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Makes the request for the backend out of the engine's copy of the client's, once for each attempt.
pub async fn prepare(
    session: &mut Session,
    request: &mut RequestHeader,
    context: &mut Context,
) -> Result<()> {
    let (route, upstream) = peering::destination(context)?;
    let Some(outgoing) = &context.outgoing else {
        return Error::e_explain(ErrorType::InternalError, "no request was made for the backend");
    };
    // The copy has the version that was agreed on with the backend; nothing is sent yet.
    if context.attempt.is_http2 && request.version != Version::HTTP_2 {
        context.verdict = Some(failing::no_http2(&route));
        return Err(Error::new_up(ErrorType::HandshakeError));
    }
    fields::remove_hop_by_hop(request);
    request.set_method(outgoing.method.clone());
    request.set_raw_path(&outgoing.target)?;
    request.insert_header("Host", upstream.host.clone())?;
    if let Some(directives) = &route.directives {
        directives.header_up.apply(&mut fields::Fields(request));
        if directives.wrap_transport {
            let path = outgoing
                .target
                .split(|&byte| byte == b'?')
                .next()
                .unwrap_or_default();
            request.insert_header("X-Forwarded-Uri", HeaderValue::from_bytes(path).map_err(invalid)?)?;
            request.insert_header("X-Forwarded-Host", upstream.host.clone())?;
            request.insert_header("X-Forwarded-Proto", upstream.scheme())?;
        }
    }
    if let Some(user) = context.user.as_ref().filter(|_| route.introduces_caller()) {
        user.introduce(request)?;
    }
    append_forwarded_for(request, context.line.client.map(|client| client.ip()))?;
    if context.kind.wants_trailers {
        request.insert_header("TE", "trailers")?;
    }
    if let Some(upgrade) = &context.kind.upgrade {
        request.insert_header("Connection", "Upgrade")?;
        request.insert_header("Upgrade", upgrade.clone())?;
    }
    if request.headers.contains_key(EXPECT) && !passes_permission_on(session, context) {
        request.remove_header(&EXPECT);
        session.write_continue_response().await?;
    }
    Ok(())
}

/// The backend's 100 reaches the client only where both sides speak HTTP/1.1.
fn passes_permission_on(session: &Session, context: &Context) -> bool {
    !context.attempt.is_http2 && session.req_header().version == Version::HTTP_11
}

fn append_forwarded_for(request: &mut RequestHeader, client: Option<IpAddr>) -> Result<()> {
    let Some(client) = client else { return Ok(()) };
    let mut all = Vec::with_capacity(64);
    for line in request.headers.get_all(FORWARDED_FOR) {
        all.extend_from_slice(line.as_bytes());
        all.extend_from_slice(b", ");
    }
    // Writing into a Vec cannot fail.
    let _ = write!(all, "{}", client.to_canonical());
    let value = HeaderValue::from_maybe_shared(Bytes::from(all)).map_err(invalid)?;
    request.insert_header("X-Forwarded-For", value)
}

fn invalid(error: http::header::InvalidHeaderValue) -> Box<Error> {
    Error::because(
        ErrorType::InvalidHTTPHeader,
        "a header for the backend cannot be sent",
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_is_appended_to_one_line() {
        for (lines, expected) in [
            (&[][..], "192.0.2.1"),
            (&["10.0.0.1"], "10.0.0.1, 192.0.2.1"),
            (
                &["10.0.0.1, 10.0.0.2", "10.0.0.3"],
                "10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.1",
            ),
        ] {
            let mut request = RequestHeader::build("GET", b"/", None).unwrap();
            for line in lines {
                request.append_header(FORWARDED_FOR, *line).unwrap();
            }
            append_forwarded_for(&mut request, Some("::ffff:192.0.2.1".parse().unwrap())).unwrap();
            let all: Vec<_> = request.headers.get_all(FORWARDED_FOR).into_iter().collect();
            assert_eq!(all, [expected]);
        }
    }
}
