use bytes::Bytes;
use http::header::{COOKIE, ORIGIN};
use http::{HeaderName, HeaderValue};

use crate::headers::{HeaderStore, HeaderView};

/// The value of the cookie of this name; the first, if there are several.
pub fn value<'h>(headers: &'h impl HeaderView, name: &str) -> Option<&'h str> {
    let lines = headers.lines(COOKIE);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    let found = pairs.filter_map(pair).find(|(of, _)| *of == name.as_bytes());
    let value = std::str::from_utf8(found?.1).ok()?;
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    Some(bare.unwrap_or(value)).filter(|value| !value.is_empty())
}

/// Whether there are several cookies of this name, and not all of one value.
pub(super) fn is_ambiguous(headers: &impl HeaderView, name: &str) -> bool {
    let lines = headers.lines(COOKIE);
    let pairs = lines
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .filter_map(pair);
    let mut values = pairs
        .filter(|(of, _)| *of == name.as_bytes())
        .map(|(_, value)| value);
    let first = values.next();
    values.any(|value| Some(value) != first)
}

/// Takes every cookie of these names out, and leaves the others as they came.
pub(super) fn remove(headers: &mut (impl HeaderView + HeaderStore), is_meant: impl Fn(&[u8]) -> bool) {
    let is_meant = |part: &&[u8]| pair(part).is_some_and(|(of, _)| is_meant(of));
    let parts = |line: &[u8]| line.split(|byte| *byte == b';').any(|part| is_meant(&part));
    if !headers.lines(COOKIE).any(parts) {
        return;
    }
    let others = |line: &[u8]| {
        let others = line.split(|byte| *byte == b';').filter(|part| !is_meant(part));
        let joined = others.collect::<Vec<_>>().join(&b';');
        let line = HeaderValue::from_bytes(joined.trim_ascii()).ok();
        line.filter(|line| !line.is_empty())
    };
    let kept: Vec<HeaderValue> = headers.lines(COOKIE).filter_map(others).collect();
    headers.remove(COOKIE.as_str());
    for line in kept {
        headers.push(&Bytes::from_static(b"Cookie"), &line);
    }
}

/// Browsers send a cookie with requests that other sites make them send. One that changes something, or that opens a
/// tunnel, must come from a page of this very host.
pub(super) fn may_be_used(headers: &impl HeaderView, method: &str, host: &str, is_upgrade: bool) -> bool {
    if is_harmless(method, is_upgrade) || is_same_origin(headers) {
        return true;
    }
    let mut origins = headers.values(ORIGIN);
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return false;
    };
    origin.to_str().is_ok_and(|origin| is_of(origin, host))
}

/// Browsers show a client certificate in requests of other sites as well. Tools, which say nothing of origins, do not.
pub fn is_of_another_site(headers: &impl HeaderView, method: &str, host: &str, is_upgrade: bool) -> bool {
    let says_something = headers.first(ORIGIN).is_some() || headers.first(SITE).is_some();
    says_something && !may_be_used(headers, method, host, is_upgrade)
}

/// Did a browser send this, whoever made it? All that are in use say so to origins that are secure.
pub fn is_by_browser(headers: &impl HeaderView) -> bool {
    headers.first(SITE).is_some()
}

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

fn is_harmless(method: &str, is_upgrade: bool) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS") && !is_upgrade
}

fn is_same_origin(headers: &impl HeaderView) -> bool {
    headers.first(SITE).is_some_and(|site| site == "same-origin")
}

fn is_of(origin: &str, host: &str) -> bool {
    let (authority, port) = match origin.split_once("://") {
        Some(("https", authority)) => (authority, ":443"),
        Some(("http", authority)) => (authority, ":80"),
        _ => return false,
    };
    let bare = |authority: &str| {
        authority
            .strip_suffix(port)
            .unwrap_or(authority)
            .to_ascii_lowercase()
    };
    !host.is_empty() && bare(authority) == bare(host)
}

fn pair(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = part.iter().position(|byte| *byte == b'=')?;
    Some((part[..at].trim_ascii(), part[at + 1..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn mk_headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            HeaderStore::append(&mut headers, name, value.as_bytes());
        }
        headers
    }

    fn lines(headers: &HeaderMap) -> Vec<&str> {
        headers
            .get_all(COOKIE)
            .into_iter()
            .map(|line| line.to_str().unwrap())
            .collect()
    }

    #[test]
    fn cookie_is_found_by_its_whole_name() {
        let headers = mk_headers(&[
            ("cookie", "xtoken=1; token2=2"),
            ("cookie", "a=b;token = \"t=1\" ; token=3"),
        ]);
        assert_eq!(value(&headers, "token"), Some("t=1"));
        assert_eq!(value(&headers, "Token"), None);
        assert_eq!(value(&mk_headers(&[("cookie", "token=; x")]), "token"), None);
    }

    #[test]
    fn cookie_goes_and_the_others_stay_as_they_came() {
        let mut headers = mk_headers(&[
            ("cookie", "token=1"),
            ("cookie", "a=b; token=t; c=\"d e\";token=2"),
            ("cookie", "x"),
        ]);
        remove(&mut headers, |name| name == b"token");
        assert_eq!(lines(&headers), ["a=b; c=\"d e\"", "x"]);
        remove(&mut headers, |name| name == b"none");
        assert_eq!(lines(&headers), ["a=b; c=\"d e\"", "x"]);
    }

    #[test]
    fn tools_may_use_a_certificate_and_pages_of_other_sites_may_not() {
        let is_foreign = |headers: &[(&'static str, &str)], method: &str, is_upgrade| {
            let headers = mk_headers(headers);
            is_of_another_site(&headers, method, "gw.example", is_upgrade)
        };
        let evil = [("origin", "https://evil.example")];
        assert!(!is_foreign(&[], "POST", false) && !is_foreign(&[], "GET", true));
        assert!(!is_foreign(&[("origin", "https://gw.example")], "POST", false));
        assert!(!is_foreign(&evil, "GET", false));
        assert!(is_foreign(&evil, "POST", false) && is_foreign(&evil, "GET", true));
        assert!(is_foreign(&[("sec-fetch-site", "cross-site")], "DELETE", false));
    }

    #[test]
    fn change_has_to_come_from_a_page_of_this_host() {
        let host = "gw.example:8443";
        for (headers, may) in [
            (&[][..], false),
            (&[("origin", "https://gw.example:8443")], true),
            (&[("origin", "https://GW.example:8443")], true),
            (&[("origin", "https://gw.example")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "https://gw.example:8443.evil.example")], false),
            (&[("origin", "null")], false),
            (
                &[
                    ("origin", "https://gw.example:8443"),
                    ("origin", "https://evil.example"),
                ],
                false,
            ),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "none")], false),
        ] {
            let headers = mk_headers(headers);
            assert_eq!(may_be_used(&headers, "POST", host, false), may, "{headers:?}");
            assert_eq!(may_be_used(&headers, "GET", host, true), may, "{headers:?}");
            assert!(may_be_used(&headers, "GET", host, false));
        }
    }

    #[test]
    fn usual_port_may_be_left_out() {
        assert!(is_of("https://gw.example", "gw.example:443") && is_of("http://gw.example:80", "gw.example"));
        assert!(!is_of("http://gw.example", "gw.example:443"));
        assert!(!is_of("https://", "") && !is_of("file://gw.example", "gw.example"));
    }
}
