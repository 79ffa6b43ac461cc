//! What differs where a request goes through a Connector.

use bytes::Bytes;
use genkan_routing::answer::{Answer, reason};
use genkan_routing::arriving::media_type;
use genkan_routing::connectors::{Injected, escaped};
use genkan_routing::decide::Grant;
use http::header::{
    CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPECT, SET_COOKIE, TRANSFER_ENCODING,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Version};
use memchr::memmem;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use crate::context::{Call, Context};
use crate::upstream::tokens::Tokens;

/// What a page of a tool may do on the origin that it shares with everybody else's: nothing but be looked at.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");
/// Stands for what a tool must not repeat.
const MASK: &[u8] = b"***";
/// Bytes of a body that a credential goes into.
const LARGEST_HELD: usize = 1 << 20;
/// Shorter values are found everywhere.
const LEAST_MASKED: usize = 6;

/// Puts the credential on the request for the tool.
///
/// # Errors
/// Never in practice: names and values are such.
pub fn inject(injected: &Injected, request: &mut RequestHeader) -> Result<()> {
    for (name, value) in &injected.headers {
        request.insert_header(name.clone(), value.clone())?;
    }
    if let Some(body) = &injected.body {
        // Its length is known when all of it has come.
        request.remove_header(&CONTENT_LENGTH);
        request.insert_header(CONTENT_TYPE, body.media_type())?;
        if request.version != Version::HTTP_2 {
            request.insert_header(TRANSFER_ENCODING, "chunked")?;
        }
    }
    Ok(())
}

/// The token that a server grants for the credential of a Connector.
///
/// # Errors
/// The answer when it grants none.
pub async fn grant(tokens: &Tokens, grant: &Grant<'_>) -> Result<Injected, Answer> {
    let no = |code, problem: &str| {
        let message = format!("connectorclass '{}': {problem}", grant.class);
        Answer::status(code, reason::TOKEN_NOT_GRANTED, message)
    };
    match tokens.get(grant.source, grant.client).await {
        Ok(granted) => Injected::bearer(&granted.text, granted.id).map_err(|problem| no(502, problem)),
        Err(problem) => Err(no(if problem.is_late { 504 } else { 502 }, &problem.message)),
    }
}

/// The body of a request before it is forwarded, for a policy that looks at it.
///
/// # Errors
/// The answer to a body that is too large for that.
pub async fn read_ahead(session: &mut Session) -> Result<Bytes, Answer> {
    session.as_mut().enable_retry_buffering();
    loop {
        match session.as_mut().read_request_body().await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => {
                return Err(Answer::status(
                    400,
                    reason::FRAMING,
                    "the body of the request cannot be read",
                ));
            }
        }
    }
    if session.as_ref().retry_buffer_truncated() {
        let message = "the policy of this Connector looks at the body, which is larger than the 64 KiB that are read ahead";
        return Err(Answer::status(413, reason::BODY_TOO_LARGE, message));
    }
    Ok(session.as_ref().get_retry_buffer().unwrap_or_default())
}

/// The body of a request before it is forwarded, for policies of the object. Whoever waits for leave to send it gets that.
///
/// # Errors
/// The answer to a body that is too large for that, or does not come.
pub async fn read_early(session: &mut Session) -> Result<Bytes, Answer> {
    let is_http10 = session.req_header().version == Version::HTTP_10;
    if session.req_header().headers.contains_key(EXPECT) {
        if !is_http10 && session.write_continue_response().await.is_err() {
            return Err(Answer::status(400, reason::CLIENT_GONE, "the client is gone"));
        }
        session.req_header_mut().remove_header(&EXPECT);
    }
    session.as_mut().enable_retry_buffering();
    loop {
        match session.as_mut().read_request_body().await {
            Ok(Some(_)) if session.as_ref().retry_buffer_truncated() => break,
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => {
                return Err(Answer::status(
                    400,
                    reason::FRAMING,
                    "the body of the request cannot be read",
                ));
            }
        }
    }
    if session.as_ref().retry_buffer_truncated() {
        let message =
            "a policy of this object looks at the body, and this version of genkan holds back 65536 bytes";
        return Err(Answer::of(501, reason::BODY_TOO_LONG_FOR_NOW, message));
    }
    Ok(session.as_ref().get_retry_buffer().unwrap_or_default())
}

/// Puts a body together that a credential goes into.
///
/// # Errors
/// When it does not fit; the answer is the verdict of the context.
pub fn hold(context: &mut Context, body: &mut Option<Bytes>, is_end: bool) -> Result<()> {
    let call = context
        .outgoing
        .as_mut()
        .and_then(|outgoing| outgoing.call.as_mut());
    let Some((call, place)) = call.and_then(|call| Some((&mut call.held, call.injected.body.as_ref()?)))
    else {
        return Ok(());
    };
    let piece = body.take().unwrap_or_default();
    let refused = if call.len() + piece.len() > LARGEST_HELD {
        Answer::status(
            413,
            reason::BODY_TOO_LARGE,
            "the credential goes into the body, which may have 1 MiB then",
        )
    } else {
        call.extend_from_slice(&piece);
        if !is_end {
            return Ok(());
        }
        match place.merge(call) {
            Ok(merged) => {
                *body = Some(merged.into());
                return Ok(());
            }
            Err(problem) => Answer::status(400, reason::CREDENTIAL_UNUSABLE, problem),
        }
    };
    context.verdict = Some(refused);
    Err(Error::new_in(ErrorType::InternalError))
}

/// Keeps the answer of a tool to its own place.
pub fn dress(call: &Call, response: &mut ResponseHeader) {
    mask(&call.injected, response);
    bind_cookies(&call.base, response);
    let kind = response.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_page = kind.map(media_type).is_some_and(|media| {
        [&b"text/html"[..], b"application/xhtml+xml", b"image/svg+xml"]
            .iter()
            .any(|page| media.eq_ignore_ascii_case(page))
    });
    if is_page || kind.is_none() {
        // Adding a value cannot fail: the name is one.
        let _ = response.append_header(CONTENT_SECURITY_POLICY, SANDBOX);
        let _ = response.insert_header(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    }
}

/// A tool that repeats what it was called with does not hand it to the caller.
fn mask(injected: &Injected, response: &mut ResponseHeader) {
    let escaped: Vec<_> = injected.query.iter().map(|(_, value)| escaped(value)).collect();
    let fields = injected.body.iter().flat_map(|body| &body.fields);
    let secrets: Vec<&[u8]> = injected
        .headers
        .iter()
        .map(|(_, value)| value.as_bytes())
        .map(|value| {
            value
                .strip_prefix(b"Bearer ")
                .or(value.strip_prefix(b"Basic "))
                .unwrap_or(value)
        })
        .chain(injected.query.iter().map(|(_, value)| value.as_bytes()))
        .chain(escaped.iter().map(|value| value.as_slice()))
        .chain(fields.filter_map(|(_, value)| Some(value.as_str()?.as_bytes())))
        .filter(|secret| secret.len() >= LEAST_MASKED)
        .collect();
    let holds = |value: &[u8]| secrets.iter().any(|secret| memmem::find(value, secret).is_some());
    let names: Vec<HeaderName> = response
        .headers
        .iter()
        .filter(|(_, value)| holds(value.as_bytes()))
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        change(response, &name, |value| {
            let mut value = value.to_vec();
            for secret in &secrets {
                while let Some(at) = memmem::find(&value, secret) {
                    value.splice(at..at + secret.len(), MASK.iter().copied());
                }
            }
            value
        });
    }
}

/// A cookie of a tool is sent to that tool alone.
fn bind_cookies(base: &str, response: &mut ResponseHeader) {
    if !response.headers.contains_key(SET_COOKIE) {
        return;
    }
    change(response, &SET_COOKIE, |cookie| {
        let is = |part: &[u8], name: &[u8]| {
            let key = part.split(|byte| *byte == b'=').next().unwrap_or_default();
            key.trim_ascii().eq_ignore_ascii_case(name)
        };
        let parts = cookie.split(|byte| *byte == b';').enumerate();
        let kept = parts.filter(|(index, part)| *index == 0 || !is(part, b"domain") && !is(part, b"path"));
        let mut kept: Vec<&[u8]> = kept.map(|(_, part)| part).collect();
        let path = format!(" Path={base}");
        kept.push(path.as_bytes());
        kept.join(&b";"[..])
    });
}

/// Replaces every value of a name.
fn change(response: &mut ResponseHeader, name: &HeaderName, made: impl Fn(&[u8]) -> Vec<u8>) {
    let values: Vec<HeaderValue> = response.headers.get_all(name).into_iter().cloned().collect();
    response.remove_header(name);
    for value in values {
        if let Ok(value) = HeaderValue::from_bytes(&made(value.as_bytes())) {
            let _ = response.append_header(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use genkan_routing::connectors::{Generated, Position};

    use super::*;

    fn mk_call(header: (&str, &str)) -> Call {
        mk_call_at(Position::Header, "", header)
    }

    fn mk_call_at(position: Position, content_type: &str, (name, value): (&str, &str)) -> Call {
        let generated = Generated {
            position,
            content_type: content_type.to_owned(),
            auth: vec![(name.to_owned(), value.into())],
        };
        Call {
            injected: generated.try_into().unwrap(),
            base: "/connectors/v1alpha1/a/b/path".into(),
            host: None,
            held: Vec::new(),
        }
    }

    #[test]
    fn cookies_are_of_the_connector_alone() {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for cookie in ["s=1; Domain=example.test; Path=/; HttpOnly", "t=2"] {
            response.append_header(SET_COOKIE, cookie).unwrap();
        }
        dress(&mk_call(("x-key", "secret-value")), &mut response);
        let cookies: Vec<_> = response.headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(
            cookies,
            [
                "s=1; HttpOnly; Path=/connectors/v1alpha1/a/b/path",
                "t=2; Path=/connectors/v1alpha1/a/b/path"
            ]
        );
    }

    #[test]
    fn what_a_tool_repeats_is_masked() {
        let mut response = ResponseHeader::build(200, None).unwrap();
        response
            .append_header("x-echo", "got secret-value and secret-value")
            .unwrap();
        response.append_header("x-other", "fine").unwrap();
        dress(&mk_call(("authorization", "Bearer secret-value")), &mut response);
        assert_eq!(response.headers["x-echo"], "got *** and ***");
        assert_eq!(response.headers["x-other"], "fine");
    }

    #[test]
    fn it_is_masked_however_it_was_put_on_the_request() {
        for (position, content_type, repeated) in [
            (Position::Query, "", "/next?key=secret%26value&a=1"),
            (Position::Query, "", "/next?key=secret&value&a=1"),
            (Position::Body, "application/json", "/next?key=secret&value&a=1"),
        ] {
            let mut response = ResponseHeader::build(302, None).unwrap();
            response.append_header("location", repeated).unwrap();
            dress(
                &mk_call_at(position, content_type, ("key", "secret&value")),
                &mut response,
            );
            assert_eq!(response.headers["location"], "/next?key=***&a=1", "{repeated}");
        }
    }

    #[test]
    fn pages_are_looked_at_and_nothing_more() {
        for (kind, is_page) in [
            ("text/HTML; charset=utf-8", true),
            ("image/svg+xml", true),
            ("application/json", false),
        ] {
            let mut response = ResponseHeader::build(200, None).unwrap();
            response.append_header(CONTENT_TYPE, kind).unwrap();
            dress(&mk_call(("x-key", "secret-value")), &mut response);
            assert_eq!(
                response.headers.contains_key(CONTENT_SECURITY_POLICY),
                is_page,
                "{kind}"
            );
        }
    }
}
