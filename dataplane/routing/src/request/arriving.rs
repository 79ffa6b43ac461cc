//! A request on its way in: what is taken from it and what is refused before anybody is asked who calls.

use crate::answer::reason;
use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, COOKIE, TE, UPGRADE};
use http::{HeaderName, HeaderValue};

use crate::answer::Refused;
use crate::connection::{remove_nominated, tokens, upgrade_protocols};
use crate::headers::{HeaderStore, HeaderView, Name, Present};
use crate::identity::{imitates_ours, is_identity_header, is_impersonation_header};
use crate::info::InfoError;
use crate::path;
use crate::repair::{query_that_counts, repair_credential, repair_query};
use crate::table::Decision;

pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Names everybody that a request has gone round through (RFC 8586). It is genkan's own: no directive and no `Connection`
/// takes it off, so that nobody but an intermediary can hide a loop.
pub(crate) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
/// How genkan is named there.
pub(crate) const OWN_MARK: &str = "genkan";
/// More proxies than that in front of us, or more rounds through us, are a loop.
const MOST_HOPS: usize = 20;

/// Takes away what a client may not say about itself, gives the forms of KubeSphere their usual place, and stops loops.
/// `query` is that of the target; what comes back is the one that counts.
///
/// # Errors
/// The answer to a request that goes no further.
pub fn admit<'q>(
    headers: &mut (impl HeaderView + HeaderStore),
    query: Option<&'q [u8]>,
) -> Result<Option<Cow<'q, [u8]>>, Refused> {
    let present = Present::of(headers);
    if present.has(Name::Connection) {
        remove_nominated(headers);
    }
    headers.retain(&|name| !is_identity_header(name) && !imitates_ours(name));
    if present.has(Name::KubesphereAuthorization) {
        repair_credential(headers);
    }
    if present.has(Name::Cookie) {
        join_cookies(headers);
    }
    let query = match present.has(Name::KubesphereQuery) {
        true => query_that_counts(headers, query)?,
        false => query.map(repair_query),
    };
    if present.has(Name::ForwardedFor) || present.has(Name::CdnLoop) {
        refuse_loops(headers)?;
    }
    Ok(query)
}

/// HTTP/2 may carry cookies on several lines. HTTP/1.1 may not, and what its servers make of them differs.
fn join_cookies(headers: &mut (impl HeaderView + HeaderStore)) {
    if headers.lines(COOKIE).nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = headers.lines(COOKIE).filter(|line| !line.is_empty()).collect();
    // Values put together hold nothing that a value may not hold.
    if let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(lines.join(&b"; "[..]))) {
        headers.put("Cookie", joined);
    }
}

fn refuse_loops(headers: &impl HeaderView) -> Result<(), Refused> {
    let hops: usize = headers
        .lines(FORWARDED_FOR)
        .map(|line| tokens(line).count())
        .sum();
    let rounds = headers
        .lines(CDN_LOOP)
        .flat_map(tokens)
        .filter(|entry| is_own(entry))
        .count();
    let what = if rounds > MOST_HOPS {
        format!("CDN-Loop names {OWN_MARK} {rounds} times")
    } else if hops > MOST_HOPS {
        format!("X-Forwarded-For names {hops} proxies")
    } else {
        return Ok(());
    };
    let message = format!(
        "{what}, more than {MOST_HOPS}: the request goes round in a loop; look for an object whose upstream leads back here"
    );
    Err(Refused::new(508, reason::LOOP_DETECTED, message))
}

/// Is this entry of `CDN-Loop` ours, whatever its parameters?
fn is_own(entry: &[u8]) -> bool {
    let id = entry.split(|byte| *byte == b';').next().unwrap_or_default();
    id.trim_ascii().eq_ignore_ascii_case(OWN_MARK.as_bytes())
}

/// kube-apiserver judges impersonation itself; anybody else would simply believe the caller.
///
/// # Errors
/// The answer to whoever asks for it elsewhere.
pub fn refuse_impersonation<R, A>(
    headers: &impl HeaderView,
    decision: &Decision<'_, R, A>,
) -> Result<(), Refused> {
    if matches!(decision, Decision::Kubernetes) || !headers.names().any(is_impersonation_header) {
        return Ok(());
    }
    let message = "impersonation is supported only for requests to Kubernetes itself; send the request without Impersonate headers";
    Err(Refused::new(403, reason::IMPERSONATION_NOT_SUPPORTED, message))
}

impl From<path::Refusal> for Refused {
    fn from(refusal: path::Refusal) -> Self {
        let (code, reason) = match refusal {
            path::Refusal::TooLong => (414, reason::TARGET_TOO_LONG),
            _ => (400, reason::PATH_REFUSED),
        };
        Self::new(code, reason, refusal.to_string())
    }
}

impl From<InfoError> for Refused {
    fn from(error: InfoError) -> Self {
        Self::new(error.code(), reason::REQUEST_NOT_UNDERSTOOD, error.to_string())
    }
}

/// What sort of request it is, as far as forwarding differs.
#[derive(Debug, Default)]
pub struct Kind {
    /// The client's `Upgrade`, if it asks to switch protocols.
    pub upgrade: Option<HeaderValue>,
    pub is_grpc: bool,
    pub wants_trailers: bool,
    /// A long silence of the backend is to be expected.
    pub may_be_silent: bool,
    /// A watch or a stream of events: only its client or draining ends it.
    pub has_no_end: bool,
}

/// Whether a body of this type is gRPC, which only HTTP/2 can carry. gRPC-Web, whose name begins alike, is not.
pub fn is_grpc(content_type: &[u8]) -> bool {
    is_or_extends(media_type(content_type), b"application/grpc")
}

/// Its streams can be as quiet.
fn is_grpc_web(content_type: &[u8]) -> bool {
    let kind = media_type(content_type);
    is_or_extends(kind, b"application/grpc-web") || is_or_extends(kind, b"application/grpc-web-text")
}

/// Is this the type, or the type with a format behind a plus sign?
fn is_or_extends(kind: &[u8], known: &[u8]) -> bool {
    kind.split_at_checked(known.len())
        .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(known) && matches!(rest, [] | [b'+', ..]))
}

/// What stands in front of the parameters of a Content-Type.
pub fn media_type(value: &[u8]) -> &[u8] {
    value
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

// === impl Kind ===

impl Kind {
    /// Of a request as it came.
    pub fn of(headers: &impl HeaderView, query: &str) -> Self {
        let present = Present::of(headers);
        let is_upgrade = present.has(Name::Connection)
            && upgrade_protocols(headers.lines(CONNECTION), headers.lines(UPGRADE)).is_some();
        let content_type = present
            .has(Name::ContentType)
            .then(|| headers.first(CONTENT_TYPE));
        let content_type = content_type.flatten().map_or(&b""[..], HeaderValue::as_bytes);
        let is_grpc = is_grpc(content_type);
        let accepts_events = present.has(Name::Accept)
            && headers.lines(ACCEPT).any(|value| {
                tokens(value).any(|token| media_type(token).eq_ignore_ascii_case(b"text/event-stream"))
            });
        let is_endless = !query.is_empty() && query.split('&').any(|pair| {
            matches!(pair.split_once('='), Some(("watch" | "follow", value)) if !matches!(value, "false" | "0"))
        });
        Self {
            upgrade: is_upgrade.then(|| headers.first(UPGRADE).cloned()).flatten(),
            is_grpc,
            wants_trailers: present.has(Name::Te)
                && headers
                    .lines(TE)
                    .any(|value| tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers"))),
            may_be_silent: is_upgrade || is_grpc || is_grpc_web(content_type) || accepts_events || is_endless,
            has_no_end: (accepts_events || is_endless) && !is_upgrade && !is_grpc,
        }
    }

    /// Whether the backend is spoken to by HTTP/2; `by_object`: its object says so.
    pub fn needs_http2(&self, by_object: bool) -> bool {
        (by_object || self.is_grpc) && self.upgrade.is_none()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn mk_kind(lines: &[(&str, &str)]) -> Kind {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            HeaderStore::append(&mut headers, name, value.as_bytes());
        }
        Kind::of(&headers, "watch=true")
    }

    #[test]
    fn kinds_are_told_apart() {
        assert!(mk_kind(&[]).may_be_silent, "a watch");
        let grpc = mk_kind(&[
            ("content-type", "application/grpc+proto"),
            ("te", "gzip, Trailers"),
        ]);
        assert!(grpc.is_grpc && grpc.wants_trailers && grpc.upgrade.is_none());
        assert!(grpc.needs_http2(false));
        let upgrade = mk_kind(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")]);
        assert!(!upgrade.needs_http2(true));
        assert_eq!(upgrade.upgrade.unwrap(), "WebSocket");
        assert!(
            mk_kind(&[("connection", "x"), ("upgrade", "websocket")])
                .upgrade
                .is_none()
        );
    }

    #[test]
    fn types_are_compared_whole() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("Application/GRPC+proto", true),
            ("application/grpc;v=1", true),
            (" application/grpc ; v=1", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpc-web-text", false),
            ("application/grpcx", false),
            ("application/grp", false),
            ("text/plain; x=application/grpc", false),
            ("", false),
        ] {
            assert_eq!(is_grpc(content_type.as_bytes()), expected, "{content_type}");
        }
        let quiet = |name, value: &str| {
            let mut headers = HeaderMap::new();
            HeaderStore::append(&mut headers, name, value.as_bytes());
            let kind = Kind::of(&headers, "");
            (kind.may_be_silent, kind.has_no_end)
        };
        assert_eq!(quiet("accept", "text/html, Text/Event-Stream ;q=1"), (true, true));
        assert_eq!(quiet("accept", "text/event-streams"), (false, false));
        assert_eq!(
            quiet("content-type", "application/grpc-web-text+proto"),
            (true, false)
        );
        assert_eq!(quiet("content-type", "application/grpc-webx"), (false, false));
    }

    #[test]
    fn cookies_come_on_one_line() {
        for (lines, expected) in [
            (&["a=1; b=2"][..], "a=1; b=2"),
            (&["a=1", "b=2", "c=\"3\""], "a=1; b=2; c=\"3\""),
            (&["a=1; b=2", "c=3"], "a=1; b=2; c=3"),
            (&["", "a=1"], "a=1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            admit(&mut headers, None).unwrap();
            let all: Vec<_> = headers.get_all(COOKIE).into_iter().collect();
            assert_eq!(all, [expected]);
        }
    }
}
