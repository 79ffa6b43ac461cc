//! A request on its way out: what the backend is asked, and in which words.

use crate::answer::reason;
use std::fmt;
use std::io::Write;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, InvalidHeaderValue, TRANSFER_ENCODING};
use http::{HeaderValue, Method};

use crate::answer::Refused;
use crate::arriving::{CDN_LOOP, FORWARDED_FOR, Kind, OWN_MARK};
use crate::connection::remove_hop_by_hop;
use crate::directives::{Directives, Input, Outgoing};
use crate::headers::{HeaderStore, HeaderView};
use crate::identity::{Introduction, Unsendable};
use crate::path::LONGEST_TARGET;
use crate::public::Public;
use crate::rewritten;

/// The request line for the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLine<'r> {
    pub method: Method,
    /// Behind the base path, with the query.
    pub target: Vec<u8>,
    /// What stripPathPrefix took off, in canonical form.
    pub stripped_prefix: Option<&'r str>,
}

/// What the headers for a backend are made of, beside what the client sent.
pub struct UpstreamRequest<'s> {
    /// That of the request line, as the next.
    pub method: &'s Method,
    /// That of the request line.
    pub target: &'s [u8],
    pub directives: Option<&'s Directives>,
    /// What the backend sees as `Host`.
    pub host: &'s HeaderValue,
    pub scheme: &'static str,
    /// Who calls, if the backend is told.
    pub caller: Option<&'s Introduction>,
    /// Who the connection comes from, for `X-Forwarded-For`.
    pub client: Option<&'s (dyn fmt::Display + Sync)>,
    pub kind: &'s Kind,
    /// How the client reaches genkan; absent for what is no web UI.
    pub public: Option<Public<'s>>,
    /// There is no body, and there will be none; matters only where [`expects_body`] says so.
    pub is_empty: bool,
}

// === impl RequestLine ===

impl RequestLine<'_> {
    /// A target as it can be sent.
    ///
    /// # Errors
    /// When it is too long.
    pub(crate) fn check(target: Vec<u8>) -> Result<Vec<u8>, Refused> {
        let target = sendable(target);
        if target.len() > LONGEST_TARGET {
            let message =
                format!("the path and query for the backend are longer than {LONGEST_TARGET} bytes");
            return Err(Refused::new(414, reason::TARGET_TOO_LONG, message));
        }
        Ok(target)
    }
}

impl<'r> RequestLine<'r> {
    /// `title` is the object, as people write it; `base` stands in front of every path of its backend.
    ///
    /// # Errors
    /// The answer when what the directives make cannot be sent.
    pub fn make(
        title: &str,
        directives: Option<&'r Directives>,
        input: Input<'r>,
        base: &str,
    ) -> Result<Self, Refused> {
        let made = match directives {
            Some(directives) => directives
                .rewrite_request(input)
                .map_err(|error| Refused::new(error.code(), error.reason(), format!("{title}: {error}")))?,
            None => Outgoing {
                method: input.method.into(),
                path: input.path.into(),
                query: input.query.map(Into::into),
                stripped_prefix: None,
            },
        };
        let method = Method::from_bytes(made.method.as_bytes()).map_err(|_| {
            let message = format!("{title}: the method {} cannot be sent", made.method);
            Refused::new(502, reason::METHOD_REFUSED, message)
        })?;
        let target = Self::check(made.target(base)).map_err(|refused| Refused {
            message: format!("{title}: {refused}"),
            ..refused
        })?;
        Ok(Self {
            method,
            target,
            stripped_prefix: made.stripped_prefix,
        })
    }
}

/// Escapes what the engine cannot send in a query, whoever put it there: the front does so for the client's target only.
fn sendable(target: Vec<u8>) -> Vec<u8> {
    let is_foreign = |byte: &u8| matches!(byte, b'"' | b'<' | b'>');
    let Some(query) = memchr::memchr(b'?', &target).filter(|at| target[*at..].iter().any(is_foreign)) else {
        return target;
    };
    let (path, query) = target.split_at(query);
    let mut escaped = path.to_vec();
    for byte in query {
        if is_foreign(byte) {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            escaped.push(*byte);
        }
    }
    escaped
}

// === impl UpstreamRequest ===

impl fmt::Debug for UpstreamRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamRequest").finish_non_exhaustive()
    }
}

impl UpstreamRequest<'_> {
    /// Makes the headers for the backend out of the client's.
    ///
    /// # Errors
    /// When what is told about the request is no header value.
    pub fn dress(&self, headers: &mut (impl HeaderView + HeaderStore)) -> Result<(), InvalidHeaderValue> {
        remove_hop_by_hop(headers);
        let wraps = self
            .directives
            .is_some_and(|directives| directives.wrap_transport);
        let host = match &self.public {
            Some(public) => public.tell(headers, self.host, self.scheme, self.client, wraps)?,
            None => self.host.clone(),
        };
        headers.put("Host", host.clone());
        if let Some(directives) = self.directives {
            if directives.rewrites_answers() && self.kind.upgrade.is_none() {
                rewritten::prepare(headers)?;
            }
            directives.header_up.apply(headers);
            if wraps && !self.public.as_ref().is_some_and(Public::is_told) {
                let path = self.target.split(|&byte| byte == b'?').next();
                let path = HeaderValue::from_bytes(path.unwrap_or_default())?;
                headers.put("X-Forwarded-Uri", path);
                headers.put("X-Forwarded-Host", host);
                headers.put("X-Forwarded-Proto", HeaderValue::from_static(self.scheme));
            }
        }
        if let Some(caller) = self.caller {
            caller.write(headers);
        }
        if let Some(client) = self.client {
            append_forwarded_for(headers, client)?;
        }
        append_own_mark(headers)?;
        if self.is_empty && self.expects_body() && !is_framed(headers) {
            headers.put("Content-Length", HeaderValue::from_static("0"));
        }
        if self.kind.wants_trailers {
            headers.put("TE", HeaderValue::from_static("trailers"));
        }
        if let Some(upgrade) = &self.kind.upgrade {
            headers.put("Connection", HeaderValue::from_static("Upgrade"));
            headers.put("Upgrade", upgrade.clone());
        }
        Ok(())
    }

    fn expects_body(&self) -> bool {
        self.kind.upgrade.is_none() && expects_body(self.method)
    }
}

/// Whether a server may ask for the length of a body of this method, and answer 411 where it is not told.
pub fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn is_framed(headers: &impl HeaderView) -> bool {
    headers.first(CONTENT_LENGTH).is_some() || headers.first(TRANSFER_ENCODING).is_some()
}

fn append_forwarded_for(
    headers: &mut (impl HeaderView + HeaderStore),
    client: &dyn fmt::Display,
) -> Result<(), InvalidHeaderValue> {
    let mut all = Vec::with_capacity(64);
    for line in headers.lines(FORWARDED_FOR) {
        all.extend_from_slice(line);
        all.extend_from_slice(b", ");
    }
    // Writing into a Vec cannot fail.
    let _ = write!(all, "{client}");
    let value = HeaderValue::from_maybe_shared(Bytes::from(all))?;
    headers.put("X-Forwarded-For", value);
    Ok(())
}

/// So that a request that comes back is known, whatever the directives made of the rest.
fn append_own_mark(headers: &mut (impl HeaderView + HeaderStore)) -> Result<(), InvalidHeaderValue> {
    let value = match headers.first(CDN_LOOP) {
        None => HeaderValue::from_static(OWN_MARK),
        Some(_) => {
            let mut all = Vec::with_capacity(64);
            for line in headers.lines(CDN_LOOP) {
                all.extend_from_slice(line);
                all.extend_from_slice(b", ");
            }
            all.extend_from_slice(OWN_MARK.as_bytes());
            HeaderValue::from_maybe_shared(Bytes::from(all))?
        }
    };
    headers.put("CDN-Loop", value);
    Ok(())
}

// === The other reasons why a request is not sent ===

impl From<Unsendable> for Refused {
    fn from(unsendable: Unsendable) -> Self {
        Self::new(403, reason::IDENTITY_NOT_SENDABLE, unsendable.to_string())
    }
}

/// The answer for an object whose Service leads nowhere now.
pub fn no_ready_endpoints(title: &str) -> Refused {
    let message = format!(
        "{title}: its Service has no ready endpoint; see that its Pods run and pass their readiness probe"
    );
    Refused::new(503, reason::NO_READY_ENDPOINTS, message)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

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
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
            }
            append_forwarded_for(&mut headers, &"192.0.2.1").unwrap();
            let all: Vec<_> = headers.get_all(FORWARDED_FOR).into_iter().collect();
            assert_eq!(all, [expected]);
        }
    }

    #[test]
    fn own_mark_stands_behind_those_of_others() {
        for (lines, expected) in [
            (&[][..], "genkan"),
            (&["genkan"], "genkan, genkan"),
            (&["cdn.example; a=1", "other"], "cdn.example; a=1, other, genkan"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CDN_LOOP, HeaderValue::from_static(line));
            }
            append_own_mark(&mut headers).unwrap();
            let all: Vec<_> = headers.get_all(CDN_LOOP).into_iter().collect();
            assert_eq!(all, [expected]);
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let long = "/".repeat(LONGEST_TARGET);
        let line = |method, base| {
            let input = Input {
                method,
                path: "/a",
                query: Some(b"b=<"),
                host: "gw.example",
            };
            RequestLine::make("ReverseProxy a", None, input, base)
        };
        assert_eq!(line("GET", "/base").unwrap().target, b"/base/a?b=%3C");
        assert_eq!(line("G T", "").unwrap_err().reason, "MethodRefused");
        assert_eq!(line("GET", &long).unwrap_err().reason, "TargetTooLong");
    }

    #[test]
    fn what_may_have_a_body_and_has_none_says_so() {
        let host = HeaderValue::from_static("shop.example");
        let dress = |method: Method, is_empty, headers: &mut HeaderMap| {
            let upstream_request = UpstreamRequest {
                method: &method,
                target: b"/",
                directives: None,
                host: &host,
                scheme: "http",
                caller: None,
                client: None,
                kind: &Kind::default(),
                public: None,
                is_empty,
            };
            upstream_request.dress(headers).unwrap();
            headers.get(CONTENT_LENGTH).cloned()
        };
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            assert_eq!(dress(method.clone(), true, &mut HeaderMap::new()).unwrap(), "0");
            assert_eq!(dress(method.clone(), false, &mut HeaderMap::new()), None);
            for (name, value) in [("content-length", "3"), ("transfer-encoding", "chunked")] {
                let mut headers = HeaderMap::new();
                HeaderStore::append(&mut headers, name, value.as_bytes());
                let length = dress(method.clone(), true, &mut headers);
                assert_ne!(length, Some(HeaderValue::from_static("0")), "{name}");
            }
        }
        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
            assert_eq!(dress(method, true, &mut HeaderMap::new()), None);
        }
    }
}
