//! Every rule for the head of an HTTP/1 request, one case a line.

#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use genkan_routing::answer::reason_of;
use genkan_routing::strict::{Accepted, Framing, HeadScan, Limits, Refused, Scanned, Version, check};

fn judge(head: &[u8]) -> Result<Accepted<'_>, Refused> {
    check(head, &Limits::default())
}

/// `GET` with a Host and the given further lines.
fn with(lines: &str) -> Vec<u8> {
    format!("GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n{lines}\r\n").into_bytes()
}

fn target(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: gw.example\r\n\r\n").into_bytes()
}

#[track_caller]
fn refused(head: &[u8], code: u16) -> Refused {
    let refused = judge(head).expect_err(&String::from_utf8_lossy(head));
    assert_eq!(
        refused.code,
        code,
        "{}: {refused:?}",
        String::from_utf8_lossy(head)
    );
    assert!(!refused.message.is_empty() && !refused.reason.is_empty());
    assert_ne!(reason_of(refused.code), "Unknown");
    refused
}

#[track_caller]
fn handed_on(head: &[u8]) -> String {
    let accepted = judge(head).unwrap_or_else(|refused| panic!("{refused:?}"));
    String::from_utf8_lossy(&accepted.head).into_owned()
}

#[test]
fn an_ordinary_head_is_handed_on_untouched() {
    let head = with("Accept: */*\r\nX_Odd-Name: caf\u{e9}\r\nX-Empty:\r\n");
    let accepted = judge(&head).unwrap();
    assert!(matches!(accepted.head, Cow::Borrowed(_)));
    assert_eq!((accepted.method, &*accepted.target), ("GET", &b"/proxy/x"[..]));
    assert_eq!(accepted.host, Some(&b"gw.example"[..]));
    assert_eq!(
        (accepted.version, accepted.framing),
        (Version::Http11, Framing::None)
    );
    assert!(accepted.keep_alive && !accepted.upgrade);
}

#[test]
fn lengths_and_codings_that_can_be_read_in_two_ways_are_refused() {
    for lines in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked;a=b\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3,3\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: 03\r\n",
        "Content-Length: 00\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -3\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: \u{663}\r\n",
    ] {
        assert_eq!(refused(&with(lines), 400).reason, "Framing", "{lines:?}");
    }
    refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    assert_eq!(
        reason_of(refused(&with("Transfer-Encoding: gzip, chunked\r\n"), 501).code),
        "NotImplemented"
    );
    refused(&with("Transfer-Encoding: deflate , gzip,chunked\r\n"), 501);
    refused(&with("Transfer-Encoding: chunked, gzip, chunked\r\n"), 400);
}

#[test]
fn a_get_may_have_a_body() {
    assert_eq!(
        judge(&with("Content-Length: 2\r\n")).unwrap().framing,
        Framing::Length(2)
    );
    assert_eq!(
        judge(&with("content-length:0\r\n")).unwrap().framing,
        Framing::Length(0)
    );
    assert_eq!(
        judge(&with("TRANSFER-ENCODING:\t CHUNKED \r\n")).unwrap().framing,
        Framing::Chunked
    );
    let most = with("Content-Length: 9223372036854775807\r\n");
    assert_eq!(judge(&most).unwrap().framing, Framing::Length(i64::MAX as u64));
}

#[test]
fn one_host_named_once() {
    refused(b"GET / HTTP/1.1\r\n\r\n", 400);
    for host in [
        "",
        "u@gw.example",
        "a b",
        "a,b",
        "a/b",
        "gw.example:x",
        "gw.example:123456",
        "[::1",
        "[gw]",
        ":80",
    ] {
        refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), 400);
    }
    refused(&with("Host: gw.example\r\n"), 400);
    for host in [
        "gw.example",
        "gw.example:8080",
        "gw.example:",
        "[::1]:80",
        "[2001:db8::1]",
        "10.0.0.1",
        "a_b",
    ] {
        judge(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
    }
    assert_eq!(judge(b"GET / HTTP/1.0\r\n\r\n").unwrap().host, None);
}

#[test]
fn lines_have_one_form() {
    for head in [
        &b"GET / HTTP/1.1\nHost: gw.example\n\n"[..],
        b"GET / HTTP/1.1\r\nHost: gw.example\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\n\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\nX-A: 1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: gw.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\nX-A: 1\r\n\tfolded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\nX-A : 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\n: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\nX-A\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\nX(A): 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\nX-\xc3\xa9: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\nX-A: 1\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\nX-A: 1\r2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\nX-A: 1\x7f\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        b"GET /  HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        b"GET\t/\tHTTP/1.1\r\nHost: gw.example\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: gw.example\r\n\r\n",
        b" GET / HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        b"G(T / HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / http/1.1\r\nHost: gw.example\r\n\r\n",
        b"GET / HTTP/0.9\r\nHost: gw.example\r\n\r\n",
        b"GET / HTTP/1.1x\r\nHost: gw.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\n\r\nmore",
        b"GET / HTTP/1.1\r\nHost: gw.example\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1",
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ] {
        refused(head, 400);
    }
    refused(b"GET / HTTP/1.2\r\nHost: gw.example\r\n\r\n", 505);
    refused(b"GET / HTTP/2.0\r\nHost: gw.example\r\n\r\n", 505);
}

#[test]
fn targets_have_one_form() {
    for bad in [
        "/a b", "/a#f", "/a?x=1#f", "#", "a", "?x=1", "/a\tb", "/a\x01", "/a\x7f", "*",
    ] {
        assert!(
            ["PathRefused", "Framing"].contains(&refused(&target(bad), 400).reason),
            "{bad:?}"
        );
    }
    for same in [
        "/",
        "//x//y",
        "/a%2fb",
        "/a;v=1",
        "/a?b?c",
        "/%zz",
        "/a|b^c{d}\"e",
        "/caf\u{e9}",
    ] {
        assert_eq!(&*judge(&target(same)).unwrap().target, same.as_bytes());
    }
}

#[test]
fn bytes_that_the_engine_cannot_hold_are_percent_encoded() {
    assert_eq!(&*judge(&target("/a<b>`")).unwrap().target, b"/a%3Cb%3E%60");
    let latin = b"x-odd! /caf\xe9?\xe9 HTTP/1.1\r\nHost: gw.example\r\n\r\n";
    assert_eq!(&*judge(latin).unwrap().target, b"/caf%E9?%E9");
    let query = target("/a?f=n>2<\"`");
    let accepted = judge(&query).unwrap();
    assert_eq!(&*accepted.target, b"/a?f=n%3E2%3C%22`");
    assert!(
        accepted
            .head
            .starts_with(b"GET /a?f=n%3E2%3C%22` HTTP/1.1\r\nHost: gw.example\r\n")
    );
}

#[test]
fn absolute_form_of_the_same_host_becomes_origin_form() {
    for (absolute, origin) in [
        ("http://gw.example/proxy/x?a=1", "/proxy/x?a=1"),
        ("HTTP://GW.example/proxy/x", "/proxy/x"),
        ("http://gw.example:80/x", "/x"),
        ("http://gw.example", "/"),
        ("http://gw.example?a=1", "/?a=1"),
    ] {
        let head = target(absolute);
        assert_eq!(
            handed_on(&head),
            format!("GET {origin} HTTP/1.1\r\nHost: gw.example\r\n\r\n")
        );
    }
    for other in [
        "http://other.example/x",
        "http://gw.example:8080/x",
        "http://u@gw.example/x",
        "http:///x",
        "https://gw.example/x",
        "ws://gw.example/x",
        "http:/gw.example/x",
        "http:\\\\gw.example/x",
    ] {
        refused(&target(other), 400);
    }
    let old = b"GET http://gw.example/x HTTP/1.0\r\n\r\n";
    assert_eq!(handed_on(old), "GET /x HTTP/1.0\r\nHost: gw.example\r\n\r\n");
}

#[test]
fn methods() {
    for method in ["TRACE", "CONNECT"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: gw.example\r\n\r\n");
        assert_eq!(reason_of(refused(head.as_bytes(), 405).code), "MethodNotAllowed");
    }
    refused(
        b"CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n",
        405,
    );
    for method in ["PROPFIND", "get", "x-odd!", "OPTIONS"] {
        let head = format!("{method} /a HTTP/1.1\r\nHost: gw.example\r\n\r\n");
        assert_eq!(judge(head.as_bytes()).unwrap().method, method);
    }
    let options = judge(b"OPTIONS * HTTP/1.1\r\nHost: gw.example\r\n\r\n").unwrap();
    assert!(options.is_server_options());
}

#[test]
fn the_connection_header_cannot_take_away_what_others_rely_on() {
    for option in [
        "Host",
        "host",
        "X-Forwarded-For",
        "x-forwarded-host",
        "Authorization",
        "Impersonate-User",
        "impersonate-extra-scope",
        "Content-Length",
        "Transfer-Encoding",
        ":authority",
        "a b",
    ] {
        refused(&with(&format!("Connection: {option}\r\n")), 400);
        refused(&with(&format!("Connection: close , {option}\r\n")), 400);
        refused(
            &with(&format!("Connection: close\r\nConnection: x,{option}\r\n")),
            400,
        );
    }
    for option in ["X-Secret", "TE", "keep-alive, Upgrade", "", ",,", "X-Remote-User"] {
        judge(&with(&format!("Connection: {option}\r\n"))).unwrap();
    }
    refused(&with("Connection: a,b,c,d,e\r\nConnection: f,g,h,i,j\r\n"), 400);
}

#[test]
fn the_wish_to_keep_the_connection() {
    let keep = |head: &[u8]| judge(head).unwrap().keep_alive;
    assert!(keep(&with("")));
    assert!(!keep(&with("Connection: close\r\n")));
    assert!(!keep(&with("Connection: keep-alive\r\nConnection: Close\r\n")));
    assert!(!keep(b"GET / HTTP/1.0\r\n\r\n"));
    assert!(keep(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

#[test]
fn several_connection_lines_become_one() {
    let head = with("Connection: keep-alive\r\nX-A: 1\r\nconnection: close\r\n");
    assert_eq!(
        handed_on(&head),
        "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\nX-A: 1\r\nConnection: keep-alive, close\r\n\r\n"
    );
}

#[test]
fn upgrades_are_for_known_protocols_and_asked_for_in_connection() {
    for lines in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Connection: keep-alive, UPGRADE\r\nUpgrade: Spdy/3.1\r\n",
        "Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, SPDY/3.1\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket,\r\nUpgrade: spdy/3.1\r\nContent-Length: 0\r\n",
    ] {
        let head = with(lines);
        let accepted = judge(&head).unwrap();
        assert!(accepted.upgrade, "{lines:?}");
        assert!(String::from_utf8_lossy(&accepted.head).contains("Upgrade: "));
    }
    for lines in [
        "Upgrade: websocket\r\n",
        "Connection: close\r\nUpgrade: websocket\r\n",
        "Connection: upgrade-now\r\nUpgrade: websocket\r\n",
        "Connection: Upgrade\r\nUpgrade: tcp\r\n",
        "Connection: Upgrade\r\nUpgrade: \r\n",
        "Connection: Upgrade\r\nUpgrade: ,\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket/13\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ] {
        let head = with(lines);
        let accepted = judge(&head).unwrap();
        assert!(!accepted.upgrade, "{lines:?}");
        let passed = String::from_utf8_lossy(&accepted.head).to_ascii_lowercase();
        assert!(
            !passed.contains("\r\nupgrade:") && !passed.contains("\r\nhttp2-settings:"),
            "{passed}"
        );
        assert!(passed.starts_with("get /proxy/x http/1.1\r\nhost: gw.example\r\n"));
        assert!(passed.ends_with("\r\n\r\n"));
    }
    let old = b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(!judge(old).unwrap().upgrade);
}

#[test]
fn an_upgrade_has_no_body() {
    for body in ["Content-Length: 1", "Transfer-Encoding: chunked"] {
        refused(
            &with(&format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\n{body}\r\n"
            )),
            400,
        );
    }
    judge(&with("Upgrade: websocket\r\nContent-Length: 1\r\n")).unwrap();
}

#[test]
fn budgets() {
    let head = |length: usize| {
        let mut head = with("");
        head.truncate(head.len() - 2);
        let fill = length - head.len() - "X: \r\n\r\n".len();
        head.extend_from_slice(format!("X: {}\r\n\r\n", "a".repeat(fill)).as_bytes());
        assert_eq!(head.len(), length);
        head
    };
    judge(&head(65_535)).unwrap();
    judge(&head(65_536)).unwrap();
    assert_eq!(refused(&head(65_537), 431).reason, "HeaderTooLarge");
    let path = |length: usize| target(&format!("/{}", "a".repeat(length - 1)));
    judge(&path(32_767)).unwrap();
    judge(&path(32_768)).unwrap();
    assert_eq!(refused(&path(32_769), 414).reason, "TargetTooLong");
    assert_eq!(refused(&path(70_000), 414).reason, "TargetTooLong");
    let lines = |count: usize| with(&"X-A: 1\r\n".repeat(count - 1));
    judge(&lines(200)).unwrap();
    refused(&lines(201), 431);
}

/// Feeds a head piece by piece, as a socket would.
fn scan(pieces: &[&[u8]]) -> Result<Scanned, Refused> {
    let (mut scan, mut seen, mut progress) = (HeadScan::default(), Vec::new(), Scanned::Partial);
    for piece in pieces {
        seen.extend_from_slice(piece);
        progress = scan.advance(&seen, &Limits::default())?;
        if progress != Scanned::Partial {
            break;
        }
    }
    Ok(progress)
}

#[test]
fn the_end_of_a_head_is_found_however_it_is_cut() {
    let head = with("X-A: 1\r\nX-B: 2\r\n");
    let body = [head.as_slice(), b"body\n\r\n\r\n"].concat();
    assert_eq!(scan(&[&body]).unwrap(), Scanned::Complete(head.len()));
    for cut in 1..head.len() {
        let (first, second) = body.split_at(cut);
        assert_eq!(
            scan(&[first, second]).unwrap(),
            Scanned::Complete(head.len()),
            "cut at {cut}"
        );
        assert_eq!(scan(&[first]).unwrap(), Scanned::Partial);
    }
    let bytes: Vec<&[u8]> = head.chunks(1).collect();
    assert_eq!(scan(&bytes).unwrap(), Scanned::Complete(head.len()));
}

#[test]
fn waiting_ends_as_soon_as_it_is_pointless() {
    assert_eq!(scan(&[b"GET / HTTP/1.1\n"]).unwrap_err().code, 400);
    assert_eq!(scan(&[b"GET / HTTP/1.1\r\nHost: a\n"]).unwrap_err().code, 400);
    assert_eq!(scan(&[b"\x16\x03\x01"]).unwrap_err().code, 400);
    assert_eq!(scan(&[b"\r"]).unwrap_err().code, 400);
    assert_eq!(scan(&[b"\n"]).unwrap_err().code, 400);
    let long = format!("GET /{}", "a".repeat(32_768));
    assert_eq!(scan(&[long.as_bytes()]).unwrap_err().code, 414);
    let huge = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(70_000));
    assert_eq!(scan(&[huge.as_bytes()]).unwrap_err().code, 431);
    let both = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    assert_eq!(scan(&[both.as_bytes()]).unwrap_err().code, 414);
}
