//! Who on this machine may use the port: its credential is added to whatever comes.

use http::header::{HOST, HeaderName, ORIGIN, UPGRADE};
use http::{HeaderMap, Method};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// A frame in a page of somewhere else would let that page lead the reader's clicks.
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Why a request is not sent on, or nothing.
///
/// A page of somewhere else can make a browser send requests here: by a name of its own that leads to 127.0.0.1, which
/// shows in `Host`, or across origins, which shows in `Origin` and `Sec-Fetch-Site`.
pub(super) fn objection(
    method: &Method,
    headers: &HeaderMap,
    port: u16,
    app: Option<&str>,
) -> Option<&'static str> {
    let host = host_of(headers);
    if !is_here(host, port) && !is_app(host, port, app) {
        return Some(
            "requests to this port must be for 127.0.0.1 or localhost, or for the name that it was opened for",
        );
    }
    let is_asked_for_a_page = *method == Method::GET
        && headers.get(&MODE).is_some_and(|mode| mode == "navigate")
        && headers
            .get(&DESTINATION)
            .is_some_and(|destination| destination == "document")
        && !headers.contains_key(UPGRADE);
    let site = headers.get(&SITE).map_or(&b"none"[..], |site| site.as_bytes());
    let is_foreign = !matches!(site, b"none" | b"same-origin") && !is_asked_for_a_page;
    let origin = headers
        .get(ORIGIN)
        .map(|origin| origin.to_str().unwrap_or_default());
    let is_own = |origin: &str| {
        let name = origin.strip_prefix("http://");
        name.is_some_and(|name| name.eq_ignore_ascii_case(host))
    };
    let is_foreign_origin = origin.is_some_and(|origin| !is_own(origin));
    (is_foreign || is_foreign_origin)
        .then_some("pages of other origins must not use this port, which acts with your rights")
}

/// As it was sent; empty where it is none.
pub(super) fn host_of(headers: &HeaderMap) -> &str {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.unwrap_or_default()
}

/// Whether this is the name of the UI that the port was opened for.
pub(super) fn is_app(host: &str, port: u16, app: Option<&str>) -> bool {
    app.is_some_and(|app| {
        let rest = host
            .strip_prefix(app)
            .and_then(|rest| rest.strip_prefix(".localhost:"));
        rest.is_some_and(|given| given == port.to_string())
    })
}

fn is_here(host: &str, port: u16) -> bool {
    let (name, given) = match host.rsplit_once(':') {
        Some((name, given)) if !given.ends_with(']') => (name, given.parse().ok()),
        _ => (host, Some(80)),
    };
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) && given == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(method: Method, headers: &[(&'static str, &str)]) -> bool {
        is_let_in_for(None, method, headers)
    }

    fn is_let_in_for(app: Option<&str>, method: Method, headers: &[(&'static str, &str)]) -> bool {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        objection(&method, &headers, 8001, app).is_none()
    }

    const HERE: (&str, &str) = ("host", "localhost:8001");

    #[test]
    fn tools_and_own_pages_are_let_in() {
        assert!(is_let_in(Method::DELETE, &[("host", "127.0.0.1:8001")]));
        assert!(is_let_in(Method::GET, &[("host", "[::1]:8001")]));
        let own = [
            HERE,
            ("origin", "http://localhost:8001"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(is_let_in(Method::POST, &own));
        assert!(is_let_in(
            Method::GET,
            &[
                HERE,
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document")
            ]
        ));
    }

    #[test]
    fn one_name_is_that_of_the_ui() {
        let ui = ("host", "ui.localhost:8001");
        let ask = |headers: &[_]| is_let_in_for(Some("ui"), Method::POST, headers);
        assert!(ask(&[ui]) && ask(&[ui, ("origin", "http://ui.localhost:8001")]) && ask(&[HERE]));
        for headers in [
            &[("host", "other.localhost:8001")][..],
            &[("host", "UI.localhost:8001")],
            &[("host", "ui.localhost:8002")],
            &[("host", "ui.localhost")],
            &[ui, ("origin", "http://localhost:8001")],
            &[ui, ("origin", "http://other.localhost:8001")],
            &[HERE, ("origin", "http://ui.localhost:8001")],
        ] {
            assert!(!ask(headers), "{headers:?}");
        }
        assert!(!is_let_in(Method::GET, &[ui]));
    }

    #[test]
    fn pages_of_elsewhere_are_not() {
        for headers in [
            &[("host", "evil.example:8001")][..],
            &[("host", "localhost.evil.example:8001")],
            &[("host", "localhost:8002")],
            &[("host", "localhost")],
            &[],
            &[HERE, ("origin", "https://evil.example")],
            &[HERE, ("origin", "http://localhost:3000")],
            &[HERE, ("origin", "null")],
            &[
                HERE,
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            &[
                HERE,
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("upgrade", "websocket"),
            ],
        ] {
            assert!(!is_let_in(Method::GET, headers), "{headers:?}");
        }
        let form = [
            HERE,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert!(!is_let_in(Method::POST, &form));
    }
}
