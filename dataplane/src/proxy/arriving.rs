use http::HeaderName;
use http::header::{CONTENT_LENGTH, EXPECT};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use genkan_routing::arriving::Kind;

use crate::authority;
use crate::context::Context;
use crate::front;
use crate::request_id;

/// Notes what the access line and the later steps need to know of the request as it came.
pub fn note(session: &Session, context: &mut Context) {
    let request = session.req_header();
    let line = &mut context.line;
    let sent = request.headers.get(genkan_routing::answer::REQUEST_ID);
    line.request_id = request_id::choose(sent.map(|id| id.as_bytes()));
    line.trace_id = trace_id(request).unwrap_or_default();
    line.client = session
        .client_addr()
        .and_then(|address| address.as_inet())
        .copied();
    line.protocol = match request.version {
        http::Version::HTTP_2 => "HTTP/2",
        http::Version::HTTP_11 => "HTTP/1.1",
        _ => "HTTP/1.0",
    };
    line.method = request.method.as_str().to_owned();
    line.host = authority::named(request).to_owned();
    context.kind = Kind::of(&request.headers, request.uri.query().unwrap_or_default());
    if context.kind.has_no_end {
        context.endless = front::answers_without_end();
    }
    if context.kind.has_no_end || context.kind.upgrade.is_some() {
        context.unawaited = front::goes_unawaited();
    }
}

/// What is left of a request body that nobody is going to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Nothing,
    /// So little that it costs less to read it than to make the client connect again.
    Little,
    Much,
    /// Of a stream of HTTP/2, which ends with its answer, and is reset if something of the request is left behind it.
    Stream,
    /// The client waits for a 100 that it will not get.
    Withheld,
}

const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const LITTLE: u64 = 64 * 1024;

pub fn rest(session: &mut Session) -> Rest {
    if session.is_body_done() {
        return Rest::Nothing;
    }
    let headers = &session.req_header().headers;
    if headers.contains_key(EXPECT) {
        return Rest::Withheld;
    }
    if session.is_http2() {
        return Rest::Stream;
    }
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length <= LITTLE) {
        Rest::Little
    } else {
        Rest::Much
    }
}

/// The second field of `traceparent`, which itself passes untouched.
fn trace_id(request: &RequestHeader) -> Option<String> {
    let mut fields = request.headers.get(TRACE_PARENT)?.to_str().ok()?.split('-');
    let id = fields.nth(1)?;
    let is_hex = id
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (id.len() == 32 && is_hex).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_request(headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/proxy/x?watch=true", None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    #[test]
    fn trace_ids_are_read_from_well_formed_headers_only() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let header = format!("00-{id}-00f067aa0ba902b7-01");
        assert_eq!(
            trace_id(&mk_request(&[("traceparent", &header)])).as_deref(),
            Some(id)
        );
        for bad in ["", "00", "00-xyz-1-1", &header.to_uppercase()] {
            assert_eq!(trace_id(&mk_request(&[("traceparent", bad)])), None, "{bad}");
        }
    }
}
