//! The rules that a head decoded by HTTP/2 can still break.

use genkan_routing::strict::{Decoded, Limits, check};

const PLAIN: Decoded<'_> = Decoded {
    method: "GET",
    scheme: Some("http"),
    target: b"/a?b=c",
    authority: Some(b"gw.example"),
};

type Field<'f> = (&'f str, &'f str);

fn judged(head: Decoded<'_>, fields: &[Field<'_>]) -> u16 {
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let fields: Vec<_> = fields.collect();
    head.check(fields.into_iter(), &Limits::default())
        .map_or_else(|refused| refused.code, |()| 200)
}

fn code(head: Decoded<'_>) -> u16 {
    judged(head, &[])
}

#[test]
fn decoded_heads() {
    let long = [b'/'; 32_769];
    assert_eq!(code(PLAIN), 200);
    let target = &long[1..];
    assert_eq!(code(Decoded { target, ..PLAIN }), 200);
    assert_eq!(
        code(Decoded {
            target: &long,
            ..PLAIN
        }),
        414
    );
    for method in ["CONNECT", "TRACE"] {
        assert_eq!(code(Decoded { method, ..PLAIN }), 405);
    }
    assert_eq!(
        code(Decoded {
            target: b"*",
            ..PLAIN
        }),
        400
    );
    for authority in [
        None,
        Some(&b""[..]),
        Some(b"u@gw.example"),
        Some(b"gw.example:x"),
        Some(b"gw.example/"),
    ] {
        assert_eq!(code(Decoded { authority, ..PLAIN }), 400, "{authority:?}");
    }
    for target in [
        &b""[..],
        b"a",
        b"http://gw.example/",
        b"/a b",
        b"/a\r\n",
        b"/a\0",
        b"/a#f",
        b"/a?b#f",
        b"?a",
    ] {
        assert_eq!(
            code(Decoded { target, ..PLAIN }),
            400,
            "{}",
            target.escape_ascii()
        );
    }
    for (scheme, expected) in [
        (None, 200),
        (Some("https"), 200),
        (Some("ftp"), 400),
        (Some("javascript"), 400),
    ] {
        assert_eq!(code(Decoded { scheme, ..PLAIN }), expected, "{scheme:?}");
    }
    let options = Decoded {
        method: "OPTIONS",
        target: b"*",
        ..PLAIN
    };
    assert_eq!(code(options), 200);
    assert!(options.is_server_options() && !PLAIN.is_server_options());
}

#[test]
fn number_of_fields_is_limited() {
    assert_eq!(judged(PLAIN, &[("x", "1"); 200]), 200);
    assert_eq!(judged(PLAIN, &[("x", "1"); 201]), 431);
}

#[test]
fn host_beside_the_authority_is_the_same() {
    assert_eq!(judged(PLAIN, &[("host", "GW.example:80")]), 200);
    assert_eq!(judged(PLAIN, &[("host", "other.example")]), 400);
    assert_eq!(
        judged(PLAIN, &[("host", "gw.example"), ("host", "gw.example")]),
        400
    );
    let without = Decoded {
        authority: None,
        ..PLAIN
    };
    assert_eq!(judged(without, &[("host", "gw.example")]), 200);
    assert_eq!(judged(without, &[("host", "u@gw.example")]), 400);
}

#[test]
fn fields_of_one_connection_have_no_place() {
    for field in [
        ("connection", "close"),
        ("connection", "x-a"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
    ] {
        assert_eq!(judged(PLAIN, &[field]), 400, "{field:?}");
    }
}

#[test]
fn blanks_around_a_value_are_refused() {
    for value in [" a", "a ", "\ta", "a\t", " "] {
        assert_eq!(judged(PLAIN, &[("x", value)]), 400, "{value:?}");
    }
    assert_eq!(judged(PLAIN, &[("x", ""), ("y", "a b\tc")]), 200);
}

/// Whatever both versions can say has the same answer in both.
#[test]
fn both_versions_have_one_judge() {
    let lists: &[&[Field<'_>]] = &[
        &[],
        &[("content-length", "3")],
        &[("content-length", "3"), ("content-length", "3")],
        &[("content-length", "3"), ("content-length", "4")],
        &[("content-length", "010")],
        &[("content-length", "3, 3")],
        &[("content-length", "+3")],
        &[("content-length", "")],
        &[("content-length", "9223372036854775808")],
        &[("content-length", "9223372036854775807")],
        &[("expect", "100-continue")],
        &[("expect", "100-Continue")],
        &[("expect", "y 100-continue")],
        &[("expect", "100-continue, x")],
        &[("expect", "100-continue"), ("expect", "100-continue")],
        &[("x", "a\0b")],
        &[("x", "a\rb")],
        &[("x", "a\u{7f}")],
        &[("x y", "1")],
        &[("", "1")],
        &[("x", "\u{e9}")],
    ];
    let targets: &[&[u8]] = &[
        b"/", b"/a?b", b"//a", b"/a#b", b"/a?b#", b"#", b"*", b"a", b"/a\0", b"/a\t", b"/a\x7f", b"/%zz",
    ];
    for method in ["GET", "OPTIONS", "TRACE", "BREW"] {
        for fields in lists {
            for target in targets {
                let mut head = Vec::new();
                head.extend_from_slice(method.as_bytes());
                head.extend_from_slice(b" ");
                head.extend_from_slice(target);
                head.extend_from_slice(b" HTTP/1.1\r\nHost: gw.example\r\n");
                for (name, value) in *fields {
                    head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                }
                head.extend_from_slice(b"\r\n");
                let old = check(&head, &Limits::default()).map_or_else(|refused| refused.code, |_| 200);
                let new = judged(
                    Decoded {
                        method,
                        target,
                        ..PLAIN
                    },
                    fields,
                );
                assert_eq!(old, new, "{}", head.escape_ascii());
            }
        }
    }
}
