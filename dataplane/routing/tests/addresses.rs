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
        ("http://b.example/a", "/proxy/x/a"),
        ("https://b.example/a", "/proxy/x/a"),
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
        "http://b.example:81/",
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

mod dialled {
    use std::fmt::Write;
    use std::net::IpAddr;

    use genkan_routing::dialling::registry::{ROWS, Treatment};
    use genkan_routing::dialling::{AddressRefused, check, row};

    fn judged(address: &str) -> Result<(), AddressRefused> {
        check(address.parse().expect("it is an address"), &[])
    }

    #[test]
    fn every_row_is_what_it_says_at_both_ends() {
        for one in ROWS {
            let is_deciding = |ip: &IpAddr| row(*ip).is_some_and(|deciding| deciding.net == one.net);
            let ends: Vec<IpAddr> = [one.net.network(), one.net.broadcast()]
                .into_iter()
                .filter(is_deciding)
                .collect();
            assert!(!ends.is_empty(), "{} decides nothing", one.net);
            for ip in ends {
                match one.treatment {
                    Treatment::Dialled => assert_eq!(check(ip, &[]), Ok(()), "{ip}"),
                    Treatment::Refused(refused) => {
                        assert_eq!(check(ip, &[]), Err(refused), "{ip}");
                        assert_eq!(check(ip, &[one.net]), Ok(()), "{ip} is allowed");
                    }
                    Treatment::Embedding => {
                        assert!(check(ip, &[]).is_err(), "{ip} holds 0.0.0.0 or 255.255.255.255")
                    }
                }
            }
        }
    }

    #[test]
    fn embedded_addresses_are_judged_in_every_form() {
        let wrap = |hex: &str, v4: [u8; 4]| {
            let [a, b, c, d] = v4;
            let turned = v4.map(|octet| !octet);
            hex.replace("AB", &format!("{a:02x}{b:02x}"))
                .replace("CD", &format!("{c:02x}{d:02x}"))
                .replace("BC", &format!("{b:02x}{c:02x}"))
                .replace("A_", &format!("{a:02x}"))
                .replace("_B", &format!("{b:02x}"))
                .replace("_C", &format!("{c:02x}"))
                .replace("D_", &format!("{d:02x}00"))
                .replace("!1", &format!("{:02x}{:02x}", turned[0], turned[1]))
                .replace("!2", &format!("{:02x}{:02x}", turned[2], turned[3]))
        };
        let forms = [
            ("IPv4-mapped", "::ffff:AB:CD"),
            ("IPv4-compatible", "::AB:CD"),
            ("IPv4-translated", "::ffff:0:AB:CD"),
            ("6to4", "2002:AB:CD::1"),
            ("Teredo server", "2001:0:AB:CD:0:0:f7f7:f7f7"),
            ("Teredo client", "2001:0:808:808:0:0:!1:!2"),
            ("ISATAP", "2001:db8::5efe:AB:CD"),
            ("ISATAP of a public address", "2001:db8::200:5efe:AB:CD"),
            ("NAT64", "64:ff9b::AB:CD"),
            ("local NAT64 below /96", "64:ff9b:1::AB:CD"),
            ("local NAT64 below another /96", "64:ff9b:1:7:0:9:AB:CD"),
            ("local NAT64 below /64", "64:ff9b:1:7:00A_:BC:D_:0"),
            ("local NAT64 below /48", "64:ff9b:1:AB:00_C:D_:0:0"),
        ];
        let addresses = [
            ([127, 0, 0, 1], Err(AddressRefused::Loopback)),
            ([169, 254, 169, 254], Err(AddressRefused::LinkLocal)),
            ([168, 63, 129, 16], Err(AddressRefused::Metadata)),
            ([224, 0, 0, 251], Err(AddressRefused::Multicast)),
            ([8, 8, 8, 8], Ok(())),
            ([10, 1, 2, 3], Ok(())),
        ];
        for (form, hex) in forms {
            for (v4, expected) in addresses {
                let address = wrap(hex, v4);
                assert_eq!(judged(&address), expected, "{form}: {address}");
            }
        }
        assert_eq!(
            judged("64:ff9b:1:7:ff00::1"),
            Err(AddressRefused::Reserved),
            "of no form"
        );
        let nat64 = "64:ff9b:1::/48".parse().unwrap();
        assert_eq!(
            check("64:ff9b:1::a9fe:a9fe".parse().unwrap(), &[nat64]),
            Err(AddressRefused::LinkLocal),
            "what allows a translator allows not what is behind it"
        );
    }

    #[test]
    fn ordinary_addresses_are_in_no_row() {
        for address in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1",
            "2a00::1",
            "2001:200::1",
        ] {
            assert!(row(address.parse().unwrap()).is_none(), "{address}");
            assert_eq!(judged(address), Ok(()), "{address}");
        }
    }

    /// `GENKAN_REWRITE=1` writes the page anew.
    #[test]
    fn the_page_has_every_row() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/addresses.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (head, _) = page.split_once("| network |").unwrap();
        let mut wanted = format!("{head}| network | is | genkan | because |\n| --- | --- | --- | --- |\n");
        for row in ROWS {
            let done = match row.treatment {
                Treatment::Dialled => "dials it".to_owned(),
                Treatment::Refused(refused) => format!("refuses it: `{refused:?}`"),
                Treatment::Embedding => "judges the IPv4 address in it".to_owned(),
            };
            writeln!(wanted, "| `{}` | {} | {done} | {} |", row.net, row.name, row.why).unwrap();
        }
        if std::env::var_os("GENKAN_REWRITE").is_some() {
            std::fs::write(path, &wanted).unwrap();
        }
        assert!(
            page == wanted || std::env::var_os("GENKAN_REWRITE").is_some(),
            "run `make golden`"
        );
    }
}
