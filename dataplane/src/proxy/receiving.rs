use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, SET_COOKIE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Method, StatusCode, Version};
use parking_lot::Mutex;
use pingora_core::protocols::http::ServerSession;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use genkan_routing::connection::{remove_hop_by_hop, remove_nominated};
use genkan_routing::guard::{Guard, names_own};
use genkan_routing::headers::is_hop_by_hop;
use genkan_routing::model::{BackendState, Matcher};
use genkan_routing::public::{Front, HostMode, Side, Standing};
use genkan_routing::redirect::leaves_origin;
use genkan_routing::{HeaderStore, Scheme};

use super::moving::{Rewriting, rewritten};
use super::sending::{arrival, path_as_sent};
use super::{Proxy, failing, fields, removed_length, repeated_length, tool};
use crate::context::Context;
use crate::front;
use crate::tables::Route;
use crate::upstream::Upstream;

/// A backend that announces more often than that keeps its client busy instead of answering.
const MOST_INTERIM: u32 = 100;

/// What the types of all messages of gRPC begin with.
const GRPC: &[u8] = b"application/grpc";

impl Proxy {
    /// Judges the head of the backend's answer and takes out what concerns one connection only.
    pub(super) fn receive(
        &self,
        session: &Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        let (route, upstream) = context.destination()?;
        context.attempt.interim_answers += u32::from(is_interim(response.status));
        if let Err(problem) = judge(session, response, context, &self.front, &route, &upstream) {
            context.verdict = Some(failing::protocol(&route, &problem));
            return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
        }
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            remove_nominated(&mut fields::Fields(response));
            let is_of_switch = |name: &str| name == CONNECTION || name == UPGRADE;
            fields::Fields(response).retain(&|name| !is_hop_by_hop(name) || is_of_switch(name));
        } else {
            // Trailers pass from HTTP/2 to HTTP/2, and what announces them with them.
            let trailer = context.attempt.is_http2.then(|| response.remove_header(&TRAILER));
            remove_nominated(&mut fields::Fields(response));
            remove_hop_by_hop(&mut fields::Fields(response));
            if let Some(trailer) = trailer.flatten() {
                let _ = response.insert_header(TRAILER, trailer);
            }
        }
        if response.status == StatusCode::NO_CONTENT || response.status.is_informational() {
            // No body follows, and who believes another word takes the next answer for it.
            response.remove_header(&CONTENT_LENGTH);
            response.remove_header(&TRANSFER_ENCODING);
        }
        repeated_length::unite(response);
        if !is_interim(response.status) {
            match may_be_silent(response) {
                true => front::allow_silence(None),
                false => front::answer_moved(),
            }
            context.line.answered = Some(context.start.elapsed());
            let call = context
                .outgoing
                .as_ref()
                .and_then(|outgoing| outgoing.call.as_ref());
            if let Some(token) = call.and_then(|call| call.injected.token.as_ref())
                && response.status == StatusCode::UNAUTHORIZED
            {
                self.tokens.refuse(token);
            }
            if route.acquit() {
                self.health.note(&route.object, BackendState::Reachable, "");
            }
        }
        Ok(())
    }
}

/// Whether this is an answer in which nothing may be said for any time: events, messages, a watch, a tunnel.
fn may_be_silent(response: &ResponseHeader) -> bool {
    let kind = response.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.unwrap_or_default();
    let (essence, rest) = kind.split_at(memchr::memchr(b';', kind).unwrap_or(kind.len()));
    let essence = essence.trim_ascii();
    let mut parts = rest.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    response.status == StatusCode::SWITCHING_PROTOCOLS
        || essence.eq_ignore_ascii_case(b"text/event-stream")
        || essence
            .get(..GRPC.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
        || parts.any(|parameter| parameter.eq_ignore_ascii_case(b"stream=watch"))
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

fn judge(
    session: &Session,
    response: &ResponseHeader,
    context: &Context,
    front: &Front,
    route: &Route,
    upstream: &Upstream,
) -> Result<(), String> {
    let is_upgrade = context.kind.upgrade.is_some();
    let status = response.status;
    if status == StatusCode::SWITCHING_PROTOCOLS && !is_upgrade {
        return Err("it switched protocols without having been asked to".to_owned());
    }
    if is_interim(status) {
        return if context.attempt.interim_answers > MOST_INTERIM {
            Err(format!("it sent more than {MOST_INTERIM} interim answers"))
        } else {
            Ok(())
        };
    }
    if is_upgrade && status != StatusCode::SWITCHING_PROTOCOLS && status.as_u16() < 400 {
        return Err(format!(
            "it answered a request to switch protocols with {}",
            status.as_u16()
        ));
    }
    let mut codings = response.headers.get_all(TRANSFER_ENCODING).into_iter();
    let coding = codings.next();
    let is_plain = match (coding, codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if !is_plain {
        return Err("its Transfer-Encoding is something else than chunked".to_owned());
    }
    if coding.is_some() && removed_length::shows(response) {
        return Err("it has both Content-Length and Transfer-Encoding".to_owned());
    }
    let rejects = route
        .directives
        .as_ref()
        .is_some_and(|directives| directives.reject_forwarding_redirects);
    if rejects && status.is_redirection() {
        let scheme = if upstream.is_tls() {
            Scheme::Https
        } else {
            Scheme::Http
        };
        let side = front.side(arrival(session, context), &session.req_header().headers);
        let authority = authority_of(upstream, &side);
        // To the public name that a backend is told of is not elsewhere.
        let leaves =
            |target: &[u8]| side.path_of(target).is_none() && leaves_origin(target, scheme, authority);
        let mut targets = response.headers.get_all(LOCATION).into_iter();
        if targets.any(|target| leaves(target.as_bytes())) {
            return Err("it redirects to another origin, which rejectForwardingRedirects forbids".to_owned());
        }
    }
    Ok(())
}

/// The `Host` that the backend got.
pub fn authority_of<'r>(upstream: &'r Upstream, side: &'r Side<'_>) -> &'r str {
    match &upstream.fronting.host {
        HostMode::Name(name) => name,
        HostMode::Preserve if side.standing == Standing::Public => &side.authority,
        HostMode::Preserve | HostMode::Own => &upstream.authority,
    }
}

/// Makes the head that the client sees.
pub fn dress(
    session: &mut Session,
    response: &mut ResponseHeader,
    context: &mut Context,
    front: &Front,
) -> Result<()> {
    if is_interim(response.status) {
        return Ok(());
    }
    match session.req_header().version {
        Version::HTTP_2 => {}
        Version::HTTP_11 => response.set_version(Version::HTTP_11),
        // Older clients know no chunks: the end of the connection is the end of the body.
        _ => {
            response.remove_header(&TRANSFER_ENCODING);
        }
    }
    let (route, upstream) = context.destination()?;
    let passes_trailers = context.attempt.is_http2 && session.req_header().version == Version::HTTP_2;
    if !passes_trailers {
        response.remove_header(&TRAILER);
    }
    if context.kind.upgrade.is_some() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        // The client may have sent bytes of the other protocol already.
        session.set_keepalive(None);
    }
    let rewriting = Rewriting::of(session, context, front, &route, &upstream);
    let prefix = rewriting.as_ref().map(|rewriting| rewriting.head(response));
    let prefix = prefix.transpose().map_err(|problem| {
        context.verdict = Some(failing::protocol(&route, &problem));
        Error::new_up(ErrorType::InvalidHTTPHeader)
    })?;
    if let Some(call) = context
        .outgoing
        .as_ref()
        .and_then(|outgoing| outgoing.call.as_ref())
    {
        tool::dress(call, response);
    }
    header_down(Some(&route), response);
    if let (Some(directives), Some(prefix)) = (&route.directives, prefix.flatten()) {
        context.links = rewritten(session, response, directives, prefix).map(Mutex::new);
    }
    suit(session, response, context)
}

/// `directives.method` may have put a method that has no body in its answer in the place of one that has, or the other
/// way round. The client gets what it waits for.
fn suit(session: &mut Session, response: &mut ResponseHeader, context: &mut Context) -> Result<()> {
    let is_head = |method: &Method| method == Method::HEAD;
    let sent = context
        .outgoing
        .as_ref()
        .is_some_and(|outgoing| is_head(&outgoing.method));
    let asked = is_head(&session.req_header().method);
    if sent == asked || matches!(response.status.as_u16(), 101 | 204 | 304) {
        return Ok(());
    }
    context.links = None;
    if sent {
        // The length of what the backend kept.
        response.remove_header(&TRANSFER_ENCODING);
        response.remove_header(&CONTENT_ENCODING);
        return response.insert_header(CONTENT_LENGTH, "0");
    }
    context.is_bodiless = true;
    // The engine ends an answer of HTTP/1 by itself, and would send a body to HTTP/2.
    if let ServerSession::H2(stream) = &mut *session.downstream_session {
        stream.write_response_header(Box::new(response.clone()), true)?;
        context.is_answered = true;
        return Err(Error::new_in(ErrorType::InternalError));
    }
    if !response.headers.contains_key(CONTENT_LENGTH) {
        // Nobody can say when the backend will have ended what the client does not get.
        session.set_keepalive(None);
    }
    Ok(())
}

/// Takes from an answer what an object may not say: for all that share its origin, or in genkan's own name.
pub fn guard(
    session: &Session,
    context: &Context,
    front: &Front,
    token_cookie: Option<&str>,
    response: &mut ResponseHeader,
) {
    match guard_of(session, context, front, token_cookie) {
        Some(guard) => guard.apply(&mut fields::Fields(response)),
        None => withhold_cookies(token_cookie, response),
    }
}

/// Of an object that shares its origin with others.
pub fn guard_of<'r>(
    session: &'r Session,
    context: &'r Context,
    front: &Front,
    token_cookie: Option<&'r str>,
) -> Option<Guard<'r>> {
    let Matcher::ReverseProxy { path, .. } = &context.route.as_ref()?.matcher else {
        return None;
    };
    let arrival = arrival(session, context);
    if front.door(arrival).app().is_some() {
        return Some(Guard::of_app(token_cookie));
    }
    let guard = Guard::new(path, &context.line.path, path_as_sent(session), token_cookie);
    let side = front.side(arrival, &session.req_header().headers);
    Some(guard.behind(side.outer()))
}

/// No backend logs anybody in: the cookie that says who calls is the business of whoever stands in front.
fn withhold_cookies(token_cookie: Option<&str>, response: &mut ResponseHeader) {
    let is_set = |value: &HeaderValue| names_own(value.as_bytes(), token_cookie);
    if !response.headers.get_all(SET_COOKIE).into_iter().any(is_set) {
        return;
    }
    let values: Vec<_> = response
        .headers
        .get_all(SET_COOKIE)
        .into_iter()
        .cloned()
        .collect();
    response.remove_header(&SET_COOKIE);
    for value in values.into_iter().filter(|value| !is_set(value)) {
        // Adding a value cannot fail: the name is one.
        let _ = response.append_header(SET_COOKIE, value);
    }
}

/// Applies `headerDown`.
pub fn header_down(route: Option<&Arc<Route>>, response: &mut ResponseHeader) {
    if let Some(directives) = route.and_then(|route| route.directives.as_ref()) {
        directives.header_down.apply(&mut fields::Fields(response));
    }
}

/// A piece of the body on its way to the client. How long to wait before it is sent, if at all.
pub fn body(
    session: &Session,
    body: &mut Option<Bytes>,
    is_end: bool,
    context: &mut Context,
) -> Result<Option<Duration>> {
    if context.is_bodiless {
        *body = None;
        return Ok(None);
    }
    let Some(links) = &mut context.links else {
        return Ok(None);
    };
    if session.was_upgraded() {
        return Ok(None);
    }
    let links = links.get_mut();
    let rewritten = links.write(body.as_deref().unwrap_or_default(), is_end);
    let left = links.take_left();
    let rewritten = rewritten.map_err(|error| {
        Error::explain(
            ErrorType::InternalError,
            format!("the links of the body cannot be rewritten: {error}"),
        )
    })?;
    if let Some(left) = left {
        context.note_left_links(left);
    }
    *body = Some(Bytes::from(rewritten.bytes));
    Ok(rewritten.pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_backend_says_who_calls() {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for cookie in ["a=1", "token=x; Path=/", " token =y", "tokens=2"] {
            response.append_header(SET_COOKIE, cookie).unwrap();
        }
        withhold_cookies(Some("token"), &mut response);
        let left: Vec<_> = response.headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["a=1", "tokens=2"]);
    }

    #[test]
    fn the_type_of_an_answer_says_whether_it_may_be_silent() {
        let may = |status, kind: Option<&str>| {
            let mut response = ResponseHeader::build(status, None).unwrap();
            kind.into_iter().for_each(|kind| {
                response.insert_header(CONTENT_TYPE, kind).unwrap();
            });
            may_be_silent(&response)
        };
        for kind in [
            "text/event-stream",
            "Text/Event-Stream ; charset=utf-8",
            "application/grpc",
            "application/grpc-web+proto",
            "application/json;stream=watch",
            "application/vnd.kubernetes.protobuf; charset=x; stream=watch",
        ] {
            assert!(may(200, Some(kind)), "{kind}");
        }
        for kind in [
            "text/event-streams",
            "text/html",
            "application/json;a=b",
            "stream=watch",
        ] {
            assert!(!may(200, Some(kind)), "{kind}");
        }
        assert!(may(101, None) && !may(200, None));
    }
}
