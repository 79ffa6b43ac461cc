//! The rules that a head decoded by HTTP/2 can still break.

use genkan_routing::strict::{Decoded, Limits};

const PLAIN: Decoded<'_> = Decoded {
    method: "GET",
    target: b"/a?b=c",
    authority: Some(b"gw.example"),
    headers: 3,
};

fn code(head: Decoded<'_>) -> u16 {
    head.check(&Limits::default())
        .map_or_else(|refused| refused.code, |()| 200)
}

#[test]
fn decoded_heads() {
    let long = [b'/'; 32_769];
    assert_eq!(code(PLAIN), 200);
    assert_eq!(
        code(Decoded {
            target: &long[1..],
            ..PLAIN
        }),
        200
    );
    assert_eq!(
        code(Decoded {
            target: &long,
            ..PLAIN
        }),
        414
    );
    assert_eq!(
        code(Decoded {
            headers: 200,
            ..PLAIN
        }),
        200
    );
    assert_eq!(
        code(Decoded {
            headers: 201,
            ..PLAIN
        }),
        431
    );
    assert_eq!(
        code(Decoded {
            method: "CONNECT",
            ..PLAIN
        }),
        405
    );
    assert_eq!(
        code(Decoded {
            method: "TRACE",
            ..PLAIN
        }),
        405
    );
    assert_eq!(
        code(Decoded {
            target: b"*",
            ..PLAIN
        }),
        400
    );
    assert_eq!(
        code(Decoded {
            authority: None,
            ..PLAIN
        }),
        400
    );
    assert_eq!(
        code(Decoded {
            authority: Some(b"u@gw.example"),
            ..PLAIN
        }),
        400
    );
    for target in [
        &b""[..],
        b"a",
        b"http://gw.example/",
        b"/a b",
        b"/a\r\n",
        b"/a\0",
        b"/a#f",
    ] {
        assert_eq!(
            code(Decoded { target, ..PLAIN }),
            400,
            "{}",
            target.escape_ascii()
        );
    }
    let options = Decoded {
        method: "OPTIONS",
        target: b"*",
        ..PLAIN
    };
    assert_eq!(code(options), 200);
    assert!(options.is_server_options() && !PLAIN.is_server_options());
}
