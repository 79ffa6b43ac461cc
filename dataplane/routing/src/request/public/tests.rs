use std::net::IpAddr;

use http::HeaderMap;
use http::header::HOST;

use super::*;

fn mk_front() -> Front {
    Front {
        headers: FrontHeaders::Public,
        origins: ["https://gw.example", "http://gw.internal:8080"]
            .map(|url| url.parse().unwrap())
            .into(),
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        apps: Some("apps.example".parse().unwrap()),
        apps_only: false,
    }
}

fn mk_headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

/// What a backend at `http://ui.svc:3000/base` gets of a request for `/proxy/ui/a`.
fn told(
    host: &str,
    peer: &str,
    fronting: &Fronting,
    lines: &[(&'static str, &str)],
) -> (HeaderMap, HeaderValue) {
    let (front, mut headers) = (mk_front(), mk_headers(lines));
    let public = Public {
        front: &front,
        arrival: Arrival {
            host,
            peer: Some(peer.parse().unwrap()),
            ..Arrival::default()
        },
        fronting,
        cluster: "",
        stripped: Some("/proxy/ui"),
        base: "/base",
        path: b"/proxy/ui/a",
    };
    let own = HeaderValue::from_static("ui.svc:3000");
    let peer: IpAddr = peer.parse().unwrap();
    let host = public
        .tell(&mut headers, &own, "http", Some(&peer), false)
        .unwrap();
    (headers, host)
}

fn of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut all = headers.get_all(name).into_iter();
    let first = all.next().map(|value| value.to_str().unwrap());
    assert!(all.next().is_none(), "{name} is there twice");
    first
}

const STRANGER: &str = "192.0.2.1";
const BALANCER: &str = "10.1.2.3";

#[test]
fn public_urls_are_origins() {
    for (text, shown) in [
        ("https://gw.example", "https://gw.example"),
        ("HTTPS://GW.example:443/", "https://gw.example"),
        ("http://gw:8080", "http://gw:8080"),
        ("http://[::1]:80", "http://[::1]"),
    ] {
        assert_eq!(text.parse::<Origin>().unwrap().to_string(), shown);
    }
    for text in [
        "gw.example",
        "https://",
        "ftp://a",
        "https://a/b",
        "https://a:x",
        "https://a b",
        "http://u@a",
        "http://[x]",
    ] {
        assert!(text.parse::<Origin>().is_err(), "{text}");
    }
}

#[test]
fn a_backend_is_told_how_it_is_seen() {
    let (headers, host) = told("gw.example", STRANGER, &Fronting::default(), &[]);
    assert_eq!(host, "ui.svc:3000");
    for (name, value) in [
        ("x-forwarded-host", "gw.example"),
        // The connection is in the clear, and the administrator says that something in front ends TLS.
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-prefix", "/proxy/ui"),
        ("forwarded", "for=192.0.2.1;host=gw.example;proto=https"),
    ] {
        assert_eq!(of(&headers, name), Some(value), "{name}");
    }
    let (headers, _) = told("[2001:db8::1]:8080", "2001:db8::2", &Fronting::default(), &[]);
    assert_eq!(
        of(&headers, "forwarded"),
        Some("for=\"[2001:db8::2]\";host=\"[2001:db8::1]:8080\";proto=http")
    );
    assert_eq!(of(&headers, "x-forwarded-port"), Some("8080"));
    let (headers, _) = told(
        "",
        STRANGER,
        &Fronting::default(),
        &[("x-forwarded-host", "evil")],
    );
    assert_eq!(of(&headers, "x-forwarded-host"), None);
}

#[test]
fn only_trusted_proxies_say_what_the_front_is() {
    let lines = [
        ("x-forwarded-host", "gw.internal:8080"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-prefix", "/outer/"),
        ("forwarded", "for=203.0.113.1"),
    ];
    let (headers, _) = told("gw.example", STRANGER, &Fronting::default(), &lines);
    assert_eq!(of(&headers, "x-forwarded-host"), Some("gw.example"));
    assert_eq!(of(&headers, "x-forwarded-prefix"), Some("/proxy/ui"));
    assert_eq!(
        of(&headers, "forwarded"),
        Some("for=192.0.2.1;host=gw.example;proto=https")
    );
    let (headers, _) = told("inner.example", BALANCER, &Fronting::default(), &lines);
    assert_eq!(of(&headers, "x-forwarded-host"), Some("gw.internal:8080"));
    assert_eq!(of(&headers, "x-forwarded-proto"), Some("https"));
    assert_eq!(of(&headers, "x-forwarded-port"), Some("8080"));
    assert_eq!(of(&headers, "x-forwarded-prefix"), Some("/outer/proxy/ui"));
    assert_eq!(
        of(&headers, "forwarded"),
        Some("for=203.0.113.1, for=10.1.2.3;host=\"gw.internal:8080\";proto=https")
    );
    // What it cannot mean is not taken from it, either.
    let odd = [
        ("x-forwarded-host", "a/b"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-prefix", "//evil"),
    ];
    let (headers, _) = told("gw.example", BALANCER, &Fronting::default(), &odd);
    assert_eq!(of(&headers, "x-forwarded-host"), Some("gw.example"));
    assert_eq!(of(&headers, "x-forwarded-proto"), Some("https"));
    assert_eq!(of(&headers, "x-forwarded-prefix"), Some("/proxy/ui"));
}

#[test]
fn origin_and_referer_of_the_front_become_those_of_the_backend() {
    let own = Some("http://ui.svc:3000");
    for (host, origin, expected) in [
        ("gw.example", "https://gw.example", own),
        ("GW.example:443", "https://gw.example:443", own),
        ("gw.example", "http://gw.example", Some("http://gw.example")),
        ("gw.example", "https://evil.example", Some("https://evil.example")),
        ("gw.example", "null", Some("null")),
        ("gw.internal:8080", "http://gw.internal:8080", own),
        ("localhost:1234", "http://localhost:1234", own),
        ("ui.localhost:1234", "http://ui.localhost:1234", own),
        ("127.0.0.1:1234", "http://127.0.0.1:1234", own),
        ("[::1]", "http://[::1]", own),
        (
            "localhost:1234",
            "http://localhost:1235",
            Some("http://localhost:1235"),
        ),
        // Whoever made this name lead here would be believed.
        (
            "rebound.example",
            "http://rebound.example",
            Some("http://rebound.example"),
        ),
        (
            "localhost.example",
            "http://localhost.example",
            Some("http://localhost.example"),
        ),
    ] {
        let (headers, _) = told(host, STRANGER, &Fronting::default(), &[("origin", origin)]);
        assert_eq!(of(&headers, "origin"), expected, "{host} {origin}");
    }
    for (referer, expected) in [
        ("https://gw.example/proxy/ui/a?b", "http://ui.svc:3000/base/a?b"),
        ("https://gw.example/proxy/ui", "http://ui.svc:3000/base"),
        // What another UI was asked is none of its business.
        ("https://gw.example/proxy/uix?secret", "http://ui.svc:3000/"),
        ("https://gw.example/", "http://ui.svc:3000/"),
        (
            "https://evil.example/proxy/ui/a",
            "https://evil.example/proxy/ui/a",
        ),
    ] {
        let (headers, _) = told(
            "gw.example",
            STRANGER,
            &Fronting::default(),
            &[("referer", referer)],
        );
        assert_eq!(of(&headers, "referer"), Some(expected), "{referer}");
    }
    let keeps = Fronting {
        keeps_origin: true,
        ..Fronting::default()
    };
    let (headers, _) = told(
        "gw.example",
        STRANGER,
        &keeps,
        &[("origin", "https://gw.example")],
    );
    assert_eq!(of(&headers, "origin"), Some("https://gw.example"));
}

#[test]
fn a_name_of_a_web_ui_is_public() {
    let preserve = Fronting {
        host: HostMode::Preserve,
        ..Fronting::default()
    };
    for (host, peer) in [("ui.localhost:1234", "127.0.0.1"), ("ui.apps.example", STRANGER)] {
        let origin = [("origin", format!("https://{host}"))];
        let origin = origin.each_ref().map(|(name, value)| (*name, value.as_str()));
        let (headers, seen) = told(host, peer, &preserve, &origin);
        assert_eq!(seen, host);
        assert_eq!(of(&headers, "x-forwarded-host"), Some(host));
    }
    // Behind something that ends TLS, the scheme is that of the front.
    let (headers, _) = told("ui.apps.example", STRANGER, &Fronting::default(), &[]);
    assert_eq!(of(&headers, "x-forwarded-proto"), Some("https"));
    let of_others = [("origin", "https://other.apps.example")];
    let (headers, _) = told("ui.apps.example", STRANGER, &Fronting::default(), &of_others);
    assert_eq!(of(&headers, "origin"), Some("https://other.apps.example"));
}

#[test]
fn a_backend_sees_the_name_that_its_author_chose() {
    let origin = [
        ("origin", "https://gw.example"),
        ("referer", "https://gw.example/proxy/ui/a"),
    ];
    let preserve = Fronting {
        host: HostMode::Preserve,
        ..Fronting::default()
    };
    let (headers, host) = told("gw.example", STRANGER, &preserve, &origin);
    assert_eq!(host, "gw.example");
    assert_eq!(of(&headers, "origin"), Some("https://gw.example"));
    assert_eq!(of(&headers, "referer"), Some("https://gw.example/base/a"));
    // One that nobody named is not handed on.
    for unknown in ["rebound.example", "localhost"] {
        assert_eq!(told(unknown, STRANGER, &preserve, &[]).1, "ui.svc:3000");
    }
    let named = Fronting {
        host: HostMode::Name("ui.example:81".into()),
        ..Fronting::default()
    };
    let (headers, host) = told("gw.example", STRANGER, &named, &origin);
    assert_eq!(host, "ui.example:81");
    assert_eq!(of(&headers, "origin"), Some("http://ui.example:81"));
    assert_eq!(of(&headers, HOST.as_str()), None, "that is for whoever sends it");
}
