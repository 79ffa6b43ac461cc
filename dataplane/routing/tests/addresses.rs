//! Addresses of backends, and links that lead to them.

use genkan_routing::links::{PublicPrefix, is_readable};
use genkan_routing::redirect::leaves_origin;
use genkan_routing::{Endpoint, Scheme, service_of_host};

#[test]
fn urls_are_read() {
    let cases = [
        ("http://h.example", Scheme::Http, "h.example", 80, "h.example", ""),
        (
            "https://h.example",
            Scheme::Https,
            "h.example",
            443,
            "h.example",
            "",
        ),
        (
            "HTTPS://H.Example:8443/",
            Scheme::Https,
            "h.example",
            8443,
            "H.Example:8443",
            "",
        ),
        (
            "//h.example:81/a//b/",
            Scheme::Http,
            "h.example",
            81,
            "h.example:81",
            "/a//b",
        ),
        (
            "http://[::1]:80/base",
            Scheme::Http,
            "::1",
            80,
            "[::1]:80",
            "/base",
        ),
        ("http://[FE80::1]", Scheme::Http, "fe80::1", 80, "[FE80::1]", ""),
        (
            "http://h.example:",
            Scheme::Http,
            "h.example",
            80,
            "h.example",
            "",
        ),
        (
            "http://h.example/%61%2f",
            Scheme::Http,
            "h.example",
            80,
            "h.example",
            "/a%2F",
        ),
    ];
    for (url, scheme, host, port, authority, base) in cases {
        let endpoint = Endpoint::from_url(url).unwrap();
        let got = (
            endpoint.scheme,
            &*endpoint.host,
            endpoint.port,
            &*endpoint.authority,
            &*endpoint.base_path,
        );
        assert_eq!(got, (scheme, host, port, authority, base), "{url}");
    }
}

#[test]
fn unusable_urls_say_what_is_wrong() {
    let cases = [
        ("", "empty"),
        ("h.example:80", "scheme"),
        ("h.example", "scheme"),
        ("/path//x", "scheme"),
        ("ftp://h.example", "scheme"),
        ("http://", "no host"),
        ("http://:80", "no host"),
        ("http://h.example:0", "port"),
        ("http://h.example:65536", "port"),
        ("http://h.example:+8", "port"),
        ("http://h.example:80:90", "port"),
        ("http://h ost", "host"),
        ("http://[::1", "host"),
        ("http://[x]", "host"),
        ("http://[::1]x", "host"),
        ("http://é.example", "host"),
        ("http://u@h.example", "user info"),
        ("http://h.example?a", "query"),
        ("http://h.example/a?", "query"),
        ("http://h.example#f", "fragment"),
        ("http://h.example/../a", "dot segment"),
        ("http://h.example/a b", "space"),
        ("http://h.example/%zz", "percent"),
        ("http://h.example/\u{7f}", "control"),
    ];
    for (url, word) in cases {
        let error = Endpoint::from_url(url).unwrap_err().to_string();
        assert!(error.contains(word), "{url}: {error}");
    }
}

#[test]
fn hosts_of_services_are_known() {
    let cart = Some(("shop".to_owned(), "cart".to_owned()));
    for host in [
        "cart.shop.svc",
        "Cart.Shop.SVC",
        "cart.shop.svc.",
        "cart.shop.svc.cluster.local",
        "cart.shop.svc.my.domain",
    ] {
        assert_eq!(service_of_host(host), cart, "{host}");
    }
    for host in [
        "cart",
        "cart.shop",
        "cart.shop.example",
        "svc.shop.example.svc",
        ".shop.svc",
        "cart..svc",
        "10.0.0.1",
        "",
    ] {
        assert_eq!(service_of_host(host), None, "{host}");
    }
}

#[test]
fn redirects_that_leave_are_found() {
    let stays = [
        "",
        "login",
        "?a",
        "#f",
        "/x",
        "..",
        "//b.example/x",
        "http://b.example",
        "HTTP://B.example:80/x",
        "http://b.example:#",
    ];
    for location in stays {
        assert!(
            !leaves_origin(location.as_bytes(), Scheme::Http, "b.example"),
            "{location}"
        );
    }
    let leaves = [
        "//other.example",
        "http://other.example/",
        "https://b.example/",
        "http://b.example:8080/",
        "http://b.example@other.example/",
        "http://other.example@b.example/",
        "\\\\other.example/",
        "/\\other.example/",
        "\\/other.example",
        "/\t/other.example",
        " //other.example",
        "http:\\\\other.example",
        "http:other.example",
        "http:///other.example",
        "ftp://b.example/",
        "javascript:alert(1)",
        "data:text/html,x",
    ];
    for location in leaves {
        assert!(
            leaves_origin(location.as_bytes(), Scheme::Http, "b.example"),
            "{location}"
        );
    }
    // The backslash ends the host.
    assert!(!leaves_origin(
        b"//b.example\\@other.example/",
        Scheme::Http,
        "b.example"
    ));
}

#[test]
fn links_move_below_the_public_prefix() {
    let prefix = PublicPrefix::new("", Some("/proxy/x"), Scheme::Http, "b.example:8080");
    let moved = [
        ("/login", "/proxy/x/login"),
        ("/", "/proxy/x/"),
        ("/proxy/xy", "/proxy/x/proxy/xy"),
        ("http://b.example:8080/a?b#c", "/proxy/x/a?b#c"),
        ("HTTP://B.EXAMPLE:8080", "/proxy/x/"),
        ("//b.example:8080?q", "/proxy/x/?q"),
        ("http://b.example:8080/proxy/x/a", "/proxy/x/a"),
    ];
    for (link, expected) in moved {
        assert_eq!(
            prefix.link(link.as_bytes()).as_deref(),
            Some(expected.as_bytes()),
            "{link}"
        );
    }
    let stay = [
        "",
        "x",
        "../x",
        "#f",
        "?q",
        "/proxy/x",
        "/proxy/x/a",
        "/proxy/x?a",
        "https://b.example:8080/",
        "http://b.example/",
        "mailto:a@b.example",
        "//u@b.example:8080/",
    ];
    for link in stay {
        assert_eq!(prefix.link(link.as_bytes()), None, "{link}");
    }
}

#[test]
fn cookies_move_below_the_public_prefix() {
    let prefix = PublicPrefix::new("m1", Some("/proxy/x/"), Scheme::Http, "b.example");
    assert_eq!(prefix.prefix, "/clusters/m1/proxy/x");
    let moved = [
        ("a=b; Path=/", "a=b; Path=/clusters/m1/proxy/x"),
        (
            "a=b;path = /app ; HttpOnly",
            "a=b;path =/clusters/m1/proxy/x/app; HttpOnly",
        ),
    ];
    for (cookie, expected) in moved {
        assert_eq!(
            prefix.cookie(cookie.as_bytes()).as_deref(),
            Some(expected.as_bytes()),
            "{cookie}"
        );
    }
    for cookie in [
        "a=b",
        "path=/",
        "a=b; Path=",
        "a=b; Path=x",
        "a=b; Path=/clusters/m1/proxy/x/y",
        "",
    ] {
        assert_eq!(prefix.cookie(cookie.as_bytes()), None, "{cookie}");
    }
    let bare = PublicPrefix::new("", None, Scheme::Http, "b.example");
    assert_eq!(bare.cookie(b"a=b; Path=/"), None);
    assert_eq!(bare.link(b"/x"), None);
    assert_eq!(bare.link(b"http://b.example/x").as_deref(), Some(&b"/x"[..]));
}

#[test]
fn links_that_cannot_be_read_are_known() {
    for link in [
        "",
        "/x",
        "x",
        "#f",
        "http://b.example:80/x",
        "//[::1]:80",
        "http://[::1]",
        "http://u:p@b.example",
        "mailto:a@b.example",
    ] {
        assert!(is_readable(link.as_bytes()), "{link}");
    }
    for link in [
        "http://[bad",
        "http://b]ad",
        "http://[::1]x",
        "http://b.example:x/",
        "//b.example:8:9",
        ":x",
        "/a\u{1}b",
    ] {
        assert!(!is_readable(link.as_bytes()), "{link}");
    }
}
