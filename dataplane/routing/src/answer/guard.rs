//! All objects below `/proxy` share one origin: what an answer of one of them may not say for the others.

use std::borrow::Cow;

use http::header::SET_COOKIE;
use http::{HeaderName, HeaderValue};

use super::{Refused, reason};
use crate::directives::strip::eat;
use crate::headers::{HeaderStore, HeaderView};
use crate::info::CLUSTERS_ALIAS;

const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");
/// What browsers read of an attribute of a cookie.
const LONGEST_ATTRIBUTE: usize = 1024;
/// All objects stand below it.
const ROOT: &str = "/proxy";
/// Names of genkan's own cookies begin so.
const OWN_COOKIE: &[u8] = b"__host-genkan";
const HOST_COOKIE: &[u8] = b"__host-";

/// What belongs to an object of an origin that it shares.
#[derive(Debug, Clone)]
pub struct Guard<'r> {
    /// As the client sees it; begins with a slash and ends with none.
    prefix: Cow<'r, str>,
    /// Everything below the prefix is its own.
    is_tree: bool,
    /// Its origin is its own.
    is_alone: bool,
    /// As the client asks for it, without the query.
    path: Cow<'r, [u8]>,
    /// A cookie that says who calls.
    token_cookie: Option<Cow<'r, str>>,
}

/// What is done to an answer that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It is about the whole origin.
    OfOrigin,
    Scope,
    Cookie,
}

// === impl Guard ===

impl<'r> Guard<'r> {
    /// `pattern` is the path of the matcher, as its author wrote it, `whole` the canonical path of the request, with the
    /// cluster that it may name, and `sent` the path as it was sent.
    pub fn new(pattern: &str, whole: &'r str, sent: &'r [u8], token_cookie: Option<&'r str>) -> Self {
        let literal = pattern.trim_end_matches('*');
        let entry = entry(whole);
        // What is written decoded may be longer in a path.
        let taken = eat(&whole.as_bytes()[entry..], literal.as_bytes()).map(|taken| entry + taken);
        let is_tree = pattern.ends_with('*') && literal.ends_with('/');
        let end = match taken {
            Some(taken) if is_tree => taken - 1,
            // A name that is given by its beginning: all of it.
            Some(taken) => {
                let rest = &whole.as_bytes()[taken..];
                taken + memchr::memchr(b'/', rest).unwrap_or(rest.len())
            }
            None => whole.len(),
        };
        // Nothing below the root is an object's.
        let end = end.max(entry + ROOT.len()).min(whole.len());
        Self {
            prefix: Cow::Borrowed(whole.get(..end).unwrap_or(whole)),
            is_tree,
            is_alone: false,
            path: Cow::Borrowed(sent),
            token_cookie: token_cookie.map(Cow::Borrowed),
        }
    }

    /// Behind a proxy that takes this off in front of every path: begins with a slash and ends with none.
    #[must_use]
    pub fn behind(self, outer: &str) -> Self {
        if outer.is_empty() || self.is_alone {
            return self;
        }
        Self {
            prefix: Cow::Owned([outer, &self.prefix].concat()),
            path: Cow::Owned([outer.as_bytes(), &self.path].concat()),
            ..self
        }
    }

    /// Of an object that has an origin for itself.
    pub fn of_app(token_cookie: Option<&'r str>) -> Self {
        Self {
            prefix: Cow::Borrowed(""),
            is_tree: true,
            is_alone: true,
            path: Cow::Borrowed(b"/"),
            token_cookie: token_cookie.map(Cow::Borrowed),
        }
    }

    /// For longer than the request can be borrowed.
    pub fn into_owned(self) -> Guard<'static> {
        Guard {
            prefix: Cow::Owned(self.prefix.into_owned()),
            is_tree: self.is_tree,
            is_alone: self.is_alone,
            path: Cow::Owned(self.path.into_owned()),
            token_cookie: self.token_cookie.map(|name| Cow::Owned(name.into_owned())),
        }
    }

    /// Whether the request is for the script of a service worker that could act on what is not its own.
    pub fn refuses_worker(&self, headers: &impl HeaderView) -> bool {
        let Some(asked) = headers.first(SERVICE_WORKER) else {
            return false;
        };
        let is_below = || {
            let rest = self.path.strip_prefix(self.prefix.as_bytes());
            rest.is_some_and(|rest| rest.starts_with(b"/"))
        };
        asked.as_bytes().trim_ascii().eq_ignore_ascii_case(b"script") && !(self.is_tree && is_below())
    }

    /// The answer to such a request.
    pub(crate) fn worker_refused(&self, title: &str) -> Refused {
        let why = match self.is_tree {
            true => format!("has to lie below {}/", self.prefix),
            false => "needs an object whose path ends in /*".to_owned(),
        };
        let message = format!(
            "{title}: the script of a service worker {why}: a worker acts on all that is below its directory"
        );
        Refused::new(403, reason::SERVICE_WORKER_SCOPE, message)
    }

    /// Takes from an answer what it may not say. Behind `headerDown`.
    pub fn apply(&self, headers: &mut (impl HeaderView + HeaderStore)) {
        let words = headers.names().filter_map(Word::of);
        let mut found = [false; 3];
        words.for_each(|word| found[word as usize] = true);
        if found[Word::OfOrigin as usize] && !self.is_alone {
            headers.retain(&|name| Word::of(name) != Some(Word::OfOrigin));
        }
        if found[Word::Scope as usize] && !self.is_alone {
            match self.is_tree {
                true => headers.set("Service-Worker-Allowed", format!("{}/", self.prefix).as_bytes()),
                false => headers.remove("Service-Worker-Allowed"),
            }
        }
        if found[Word::Cookie as usize] {
            let before: Vec<HeaderValue> = headers.values(SET_COOKIE).cloned().collect();
            let after: Vec<Option<Cow<'_, [u8]>>> = (before.iter())
                .map(|cookie| self.cookie(cookie.as_bytes()))
                .collect();
            if after
                .iter()
                .all(|cookie| matches!(cookie, Some(Cow::Borrowed(_))))
            {
                return;
            }
            headers.remove_name(&SET_COOKIE);
            for cookie in after.into_iter().flatten() {
                headers.append("Set-Cookie", &cookie);
            }
        }
    }

    /// A `Set-Cookie` that reaches the object alone; `None`: it goes.
    fn cookie<'c>(&self, cookie: &'c [u8]) -> Option<Cow<'c, [u8]>> {
        if names_own(cookie, self.token_cookie.as_deref()) {
            return None;
        }
        let mut parts = cookie.split(|byte| *byte == b';');
        let pair = parts.next().unwrap_or_default();
        let (mut paths, mut has_domain) = (Vec::new(), false);
        for part in parts.clone() {
            let (name, value) = attribute(part);
            has_domain |= name.eq_ignore_ascii_case(b"domain");
            if name.eq_ignore_ascii_case(b"path") {
                paths.push(value);
            }
        }
        // It is sent to the whole host by what it is, and no domain can be told of it.
        let is_of_host = begins(pair.trim_ascii(), HOST_COOKIE);
        let is_own = is_of_host
            || self.is_alone
            || match paths.as_slice() {
                [path] if path.len() > LONGEST_ATTRIBUTE => false,
                [path] if path.starts_with(b"/") => self.covers(path),
                [] | [_] => self.covers(directory(&self.path)),
                // Which of them counts is for browsers to say.
                _ => false,
            };
        if is_own && !has_domain {
            return Some(Cow::Borrowed(cookie));
        }
        let mut made = pair.to_vec();
        for part in parts {
            let (name, _) = attribute(part);
            if name.eq_ignore_ascii_case(b"domain") || (!is_own && name.eq_ignore_ascii_case(b"path")) {
                continue;
            }
            made.push(b';');
            made.extend_from_slice(part);
        }
        if !is_own {
            made.extend_from_slice(b"; Path=");
            made.extend_from_slice(self.prefix.as_bytes());
        }
        Some(Cow::Owned(made))
    }

    fn covers(&self, path: &[u8]) -> bool {
        let rest = path.strip_prefix(self.prefix.as_bytes());
        rest.is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }
}

/// Whether a `Set-Cookie` is one that says who calls. A cookie without a name is sent as its value alone, which may look like
/// one that has a name.
pub fn names_own(cookie: &[u8], token_cookie: Option<&str>) -> bool {
    let pair = cookie.split(|byte| *byte == b';').next().unwrap_or_default();
    let pair = pair.trim_ascii();
    let pair = pair.strip_prefix(b"=").unwrap_or(pair);
    let name = pair
        .split(|byte| *byte == b'=')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    begins(name, OWN_COOKIE) || token_cookie.is_some_and(|own| name == own.as_bytes())
}

/// How much of a canonical path names a cluster.
fn entry(whole: &str) -> usize {
    let below = whole.trim_start_matches('/');
    let slashes = whole.len() - below.len();
    let named = ["clusters", CLUSTERS_ALIAS].into_iter().find_map(|word| {
        let rest = below.strip_prefix(word)?.strip_prefix('/')?;
        let name = rest.find('/')?;
        Some(slashes + below.len() - rest.len() + name)
    });
    named.unwrap_or(0)
}

fn begins(text: &[u8], lower: &[u8]) -> bool {
    text.get(..lower.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(lower))
}

fn attribute(part: &[u8]) -> (&[u8], &[u8]) {
    let (name, value) = match memchr::memchr(b'=', part) {
        Some(at) => (&part[..at], &part[at + 1..]),
        None => (part, &b""[..]),
    };
    (name.trim_ascii(), value.trim_ascii())
}

/// Where a cookie without a path belongs.
fn directory(path: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', path) {
        Some(0) | None => b"/",
        Some(at) => &path[..at],
    }
}

// === impl Word ===

impl Word {
    fn of(name: &str) -> Option<Self> {
        let (word, spelled) = match name.len() {
            3 => (Self::OfOrigin, "nel"),
            7 => (Self::OfOrigin, "alt-svc"),
            9 if name.eq_ignore_ascii_case("accept-ch") => return Some(Self::OfOrigin),
            9 if name.eq_ignore_ascii_case("set-login") => return Some(Self::OfOrigin),
            9 => (Self::OfOrigin, "report-to"),
            10 => (Self::Cookie, "set-cookie"),
            15 => (Self::OfOrigin, "clear-site-data"),
            17 => (Self::OfOrigin, "use-as-dictionary"),
            19 => (Self::OfOrigin, "reporting-endpoints"),
            22 => (Self::Scope, "service-worker-allowed"),
            27 => (Self::OfOrigin, "secure-session-registration"),
            25 => (Self::OfOrigin, "strict-transport-security"),
            _ => return None,
        };
        name.eq_ignore_ascii_case(spelled).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn of(pattern: &str, path: &'static str) -> Guard<'static> {
        Guard::new(pattern, path, path.as_bytes(), Some("token"))
    }

    fn apply(guard: &Guard<'_>, lines: &[(&'static str, &str)]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        guard.apply(&mut headers);
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        };
        headers.iter().map(text).collect()
    }

    #[test]
    fn what_speaks_for_the_whole_origin_goes() {
        let guard = of("/proxy/ui/*", "/proxy/ui/x");
        for name in [
            "clear-site-data",
            "strict-transport-security",
            "alt-svc",
            "nel",
            "report-to",
            "reporting-endpoints",
            "accept-ch",
            "set-login",
            "use-as-dictionary",
            "secure-session-registration",
        ] {
            let left = apply(&guard, &[(name, "x"), ("etag", "1")]);
            assert_eq!(left, [("etag".to_owned(), "1".to_owned())], "{name}");
        }
    }

    #[test]
    fn workers_stay_below_their_object() {
        let allowed = |guard: &Guard<'_>| apply(guard, &[("service-worker-allowed", "/")]);
        let named = |value: &str| [("service-worker-allowed".to_owned(), value.to_owned())];
        assert_eq!(allowed(&of("/proxy/ui/*", "/proxy/ui/x")), named("/proxy/ui/"));
        assert_eq!(allowed(&of("/proxy/ui", "/proxy/ui")), []);
        assert_eq!(allowed(&of("/proxy/ui*", "/proxy/uix/y")), []);

        let worker = |pattern: &str, path: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(SERVICE_WORKER, HeaderValue::from_static(value));
            of(pattern, path).refuses_worker(&headers)
        };
        assert!(!worker("/proxy/ui/*", "/proxy/ui/sw.js", "script"));
        assert!(!worker("/proxy/ui/*", "/proxy/ui/a/sw.js", "script"));
        assert!(worker("/proxy/ui/*", "/proxy/ui", "script"));
        assert!(worker("/proxy/ui", "/proxy/ui", " Script "));
        assert!(worker("/proxy/ui*", "/proxy/ui/sw.js", "script"));
        assert!(!worker("/proxy/ui", "/proxy/ui", "other"));
        assert!(!of("/proxy/ui", "/proxy/ui").refuses_worker(&HeaderMap::new()));
        // The browser goes by the path as it was sent.
        let spelled = Guard::new("/proxy/ui/*", "/proxy/ui/sw.js", b"/proxy//sw.js", None);
        let headers = HeaderMap::from_iter([(SERVICE_WORKER, HeaderValue::from_static("script"))]);
        assert!(spelled.refuses_worker(&headers));
    }

    #[test]
    fn cookies_reach_their_object_alone() {
        let guard = of("/proxy/ui/*", "/proxy/ui/a/b");
        for (sent, kept) in [
            ("a=1", "a=1"),
            ("a=1; Path=/proxy/ui; Secure", "a=1; Path=/proxy/ui; Secure"),
            ("a=1; path=/proxy/ui/x", "a=1; path=/proxy/ui/x"),
            ("a=1; Path=/", "a=1; Path=/proxy/ui"),
            ("a=1; PATH = / ; HttpOnly", "a=1; HttpOnly; Path=/proxy/ui"),
            ("a=1; Path=/proxy/uix", "a=1; Path=/proxy/ui"),
            ("a=1; Path=/proxy/other", "a=1; Path=/proxy/ui"),
            ("a=1; Domain=gw.example; Secure", "a=1; Secure"),
            ("a=1; Domain=x; Path=/", "a=1; Path=/proxy/ui"),
            // Without a path that counts it is that of the page.
            ("a=1; Path", "a=1; Path"),
            ("a=1; Path=x", "a=1; Path=x"),
            ("a=1; Path=/proxy/ui; Path=/proxy/ui", "a=1; Path=/proxy/ui"),
            ("__Host-a=1; Secure; Path=/", "__Host-a=1; Secure; Path=/"),
            ("__host-a=1; Domain=x; Path=/", "__host-a=1; Path=/"),
        ] {
            assert_eq!(
                apply(&guard, &[("set-cookie", sent)]),
                [("set-cookie".to_owned(), kept.to_owned())]
            );
        }
        let long = format!("a=1; Path=/; Path=/proxy/ui/{}", "x".repeat(LONGEST_ATTRIBUTE));
        let left = apply(&guard, &[("set-cookie", &long)]);
        assert_eq!(
            left,
            [("set-cookie".to_owned(), "a=1; Path=/proxy/ui".to_owned())]
        );
        let long = format!("a=1; Path=/proxy/ui/{}", "x".repeat(LONGEST_ATTRIBUTE));
        let left = apply(&guard, &[("set-cookie", &long)]);
        assert_eq!(
            left,
            [("set-cookie".to_owned(), "a=1; Path=/proxy/ui".to_owned())]
        );
        // The page of the prefix itself has a directory that is nobody's.
        let left = apply(&of("/proxy/ui", "/proxy/ui"), &[("set-cookie", "a=1")]);
        assert_eq!(
            left,
            [("set-cookie".to_owned(), "a=1; Path=/proxy/ui".to_owned())]
        );
        let left = apply(&of("/proxy/u*", "/proxy/ui/x"), &[("set-cookie", "a=1; Path=/")]);
        assert_eq!(
            left,
            [("set-cookie".to_owned(), "a=1; Path=/proxy/ui".to_owned())]
        );
    }

    #[test]
    fn who_has_an_origin_alone_speaks_for_it() {
        let guard = Guard::of_app(Some("token"));
        for (name, value) in [
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "a=1"),
            ("clear-site-data", "*"),
            ("service-worker-allowed", "/"),
        ] {
            assert_eq!(
                apply(&guard, &[(name, value)]),
                [(name.to_owned(), value.to_owned())]
            );
        }
        // Its siblings are others.
        let left = apply(
            &guard,
            &[
                ("set-cookie", "a=1; Domain=apps.example; Path=/x"),
                ("set-cookie", "token=1"),
            ],
        );
        assert_eq!(left, [("set-cookie".to_owned(), "a=1; Path=/x".to_owned())]);
    }

    #[test]
    fn nobody_logs_anybody_in() {
        let guard = of("/proxy/ui/*", "/proxy/ui/x");
        for sent in [
            "token=x; Path=/proxy/ui",
            " token =y",
            "=token=z",
            "= token=z",
            "__Host-genkan=1; Path=/; Secure",
            "__HOST-genkan-login=1",
            "=__Host-genkan=1",
        ] {
            let left = apply(&guard, &[("set-cookie", sent), ("set-cookie", "tokens=2")]);
            assert_eq!(left, [("set-cookie".to_owned(), "tokens=2".to_owned())], "{sent}");
        }
    }

    #[test]
    fn the_prefix_is_that_of_the_path_as_it_is_asked_for() {
        for (pattern, path, prefix) in [
            (
                "/proxy/ui/*",
                "/clusters/host/proxy/ui/x",
                "/clusters/host/proxy/ui",
            ),
            (
                "/proxy/ui/*",
                "/clusters-rewrite/host/proxy/ui/x",
                "/clusters-rewrite/host/proxy/ui",
            ),
            (
                "/proxy/ui/*",
                "/clusters/proxy-1/proxy/ui/x",
                "/clusters/proxy-1/proxy/ui",
            ),
            ("/proxy/ui/*", "/clusters//proxy/ui/x", "/clusters//proxy/ui"),
            // Written decoded, asked for encoded.
            ("/proxy/\u{fc}/abc/*", "/proxy/%C3%BC/abc/x", "/proxy/%C3%BC/abc"),
            ("/proxy/my app/*", "/proxy/my%20app/x", "/proxy/my%20app"),
            ("/proxy/a&b/*", "/proxy/a%26b/x", "/proxy/a%26b"),
            // All stars at the end count as one.
            ("/proxy/ui/**", "/proxy/ui/x/y", "/proxy/ui"),
            ("/proxy/u**", "/proxy/ui/x/y", "/proxy/ui"),
            ("/proxy/*", "/proxy/ui/x", "/proxy"),
            ("/*", "/proxy/ui/x", "/proxy"),
            ("*", "/proxy/ui/x", "/proxy"),
        ] {
            let guard = Guard::new(pattern, path, path.as_bytes(), None);
            assert_eq!(guard.prefix, prefix, "{pattern} {path}");
            let left = apply(&guard, &[("set-cookie", "a=1; Path=/")]);
            assert_eq!(left, [("set-cookie".to_owned(), format!("a=1; Path={prefix}"))]);
        }
        let path = "/proxy/ui/x";
        let outer = Guard::new("/proxy/ui/*", path, path.as_bytes(), None).behind("/outer");
        let left = apply(&outer, &[("set-cookie", "a=1; Path=/"), ("set-cookie", "b=1")]);
        let values: Vec<&str> = left.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["a=1; Path=/outer/proxy/ui", "b=1"]);
    }
}
