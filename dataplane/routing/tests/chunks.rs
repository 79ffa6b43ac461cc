//! Chunked bodies: what is accepted, what is refused, and that it does not matter in which pieces they arrive.

#![allow(clippy::unwrap_used)]

use genkan_routing::strict::{ChunkScan, Refused};

/// How much of the bytes is the body, `None` while it goes on.
fn scan(bytes: &[u8]) -> Result<Option<usize>, Refused> {
    let mut scan = ChunkScan::default();
    let taken = scan.advance(bytes)?;
    Ok(scan.is_over().then_some(taken))
}

/// The same, byte by byte.
fn trickle(bytes: &[u8]) -> Result<Option<usize>, Refused> {
    let mut scan = ChunkScan::default();
    let mut taken = 0;
    for byte in bytes.chunks(1) {
        taken += scan.advance(byte)?;
    }
    Ok(scan.is_over().then_some(taken))
}

#[track_caller]
fn ends(body: &str) {
    let bytes = [body.as_bytes(), b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(scan(&bytes), Ok(Some(body.len())), "{body:?}");
    assert_eq!(trickle(&bytes), Ok(Some(body.len())), "{body:?}");
}

#[track_caller]
fn refused(body: &[u8], code: u16, part: &str) {
    for outcome in [scan(body), trickle(body)] {
        let refused = outcome.expect_err(&body.escape_ascii().to_string());
        assert_eq!(refused.code, code, "{}", body.escape_ascii());
        assert!(
            refused.message.contains(part),
            "{}: {refused}",
            body.escape_ascii()
        );
    }
}

#[test]
fn plain_bodies_end_where_they_end() {
    ends("0\r\n\r\n");
    ends("5\r\nhello\r\n0\r\n\r\n");
    ends("5\r\nhello\r\n9\r\n0\r\n\r\n 0\r\n\r\n0\r\n\r\n");
    ends("00000005\r\nhello\r\n000\r\n\r\n");
    ends("5;a\r\nhello\r\n0;b=c;d=\"e;\\\"\t\"\r\n\r\n");
    ends("0\r\nX-Sum: 1\r\nX-Empty:\r\nX-Text: \t\u{e9}\r\n\r\n");
    ends(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(1021)));
    ends(&format!("0\r\nx:{}\r\n\r\n", "a".repeat(16 * 1024 - 6)));
    ends(&format!("{:x}\r\n{}\r\n0\r\n\r\n", 70_000, "d".repeat(70_000)));
}

#[test]
fn what_is_not_whole_goes_on() {
    let body = b"5;a=\"b\"\r\nhello\r\n0\r\nX: 1\r\n\r\n";
    for end in 0..body.len() {
        assert_eq!(scan(&body[..end]), Ok(None), "{}", body[..end].escape_ascii());
    }
}

#[test]
fn sizes_are_plain_digits() {
    for size in [
        "", ";a", " 5", "\t5", "+5", "-5", "0x5", "g", "\n", "\0", "\u{b}5",
    ] {
        refused(format!("{size}\r\nhello\r\n0\r\n\r\n").as_bytes(), 400, "chunk");
    }
    for size in [
        "5 ", "5\t", "5 ;a", "5\n", "5h", "5,5", "5\0", "5_0", "5.", "5\u{b}",
    ] {
        refused(
            format!("{size}\r\nhello\r\n0\r\n\r\n").as_bytes(),
            400,
            "chunk size",
        );
    }
    for size in [
        "8000000000000000",
        "ffffffffffffffff",
        "10000000000000005",
        "00000000000000005",
    ] {
        refused(format!("{size}\r\n").as_bytes(), 400, "too large");
    }
    assert_eq!(scan(b"7fffffffffffffff\r\n"), Ok(None));
}

#[test]
fn extensions_are_those_of_the_standard() {
    for extension in [
        ";",
        ";;a",
        "; a",
        ";a ",
        ";a =b",
        ";a= b",
        ";a=",
        ";a=;b",
        ";=b",
        ";a=b=c",
        ";a=\"",
        ";a=\"b\"c",
        ";a=\"b\" ",
        ";a=\"b\0\"",
        ";a=\"b\n\"",
        ";a=\"\\\r\"",
        ";a=\"\u{e9}\"",
        ";\u{e9}",
        ";a\0b",
        ";\nxx",
        ";a\nb",
        ";a\tb",
        ";\"a\"",
    ] {
        refused(
            format!("5{extension}\r\nhello\r\n0\r\n\r\n").as_bytes(),
            400,
            "chunk",
        );
        refused(format!("0{extension}\r\n\r\n").as_bytes(), 400, "chunk");
    }
    refused(format!("5;{}\r\n", "a".repeat(1022)).as_bytes(), 400, "too long");
}

#[test]
fn every_line_ends_with_both() {
    for body in [
        &b"5\nhello\r\n0\r\n\r\n"[..],
        b"5\r\rhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhell\r\n0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"0\r\n\r\r",
        b"0\r\nX: 1\n\r\n",
        b"0\r\nX: 1\r\r\n\r\n",
        b"0\r\nX: 1\r\n\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        refused(body, 400, "malformed");
    }
}

#[test]
fn trailers_are_fields() {
    for trailer in [
        "no field",
        "X : 1",
        ": 1",
        " X: 1",
        "\tX: 1",
        "X\0: 1",
        "X",
        "X: a\0b",
        "X: a\u{7f}",
        "(X): 1",
        "\u{e9}: 1",
    ] {
        refused(format!("0\r\n{trailer}\r\n\r\n").as_bytes(), 400, "trailer");
    }
    refused(b"0\r\nX: 1\r\n folded\r\n\r\n", 400, "folded");
    refused(
        format!("0\r\nx:{}\r\n\r\n", "a".repeat(16 * 1024)).as_bytes(),
        431,
        "16384",
    );
}

#[test]
fn nothing_follows_a_refusal() {
    let mut scan = ChunkScan::default();
    scan.advance(b"x").unwrap_err();
    assert!(scan.is_broken() && !scan.is_over());
    scan.advance(b"0\r\n\r\n").unwrap_err();
    assert!(scan.is_broken());
}

/// The rule in other words, slow and with everything at hand.
fn by_the_book(bytes: &[u8]) -> Option<usize> {
    let line = |at: usize| {
        let end = memchr::memmem::find(&bytes[at..], b"\r\n")?;
        Some((std::str::from_utf8(&bytes[at..at + end]).ok()?, at + end + 2))
    };
    let extension = regex::Regex::new(
        r#"^[0-9A-Fa-f]{1,16}(;[!#$%&'*+.^_`|~0-9A-Za-z-]+(=([!#$%&'*+.^_`|~0-9A-Za-z-]+|"([\t !#-\[\]-~]|\\[\t -~])*"))?)*$"#,
    );
    let extension = extension.unwrap();
    let field = regex::bytes::Regex::new(r"(?-u)^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xFF]*$").unwrap();
    let mut at = 0;
    loop {
        let (text, data) = line(at)?;
        if !extension.is_match(text) {
            return None;
        }
        let size = usize::from_str_radix(text.split(';').next()?, 16).ok()?;
        if size == 0 {
            at = data;
            break;
        }
        let end = data.checked_add(size)?;
        if bytes.get(end..end.checked_add(2)?)? != b"\r\n" {
            return None;
        }
        at = end + 2;
    }
    loop {
        let end = at + memchr::memmem::find(&bytes[at..], b"\r\n")?;
        match &bytes[at..end] {
            [] => return Some(end + 2),
            trailer if field.is_match(trailer) => at = end + 2,
            _ => return None,
        }
    }
}

#[test]
fn mutated_bodies_are_judged_by_the_book() {
    const SEEDS: [&str; 5] = [
        "5\r\nhello\r\n0\r\n\r\n",
        "3;a=b\r\nabc\r\n2\r\n\r\n\r\n0\r\nX: 1\r\n\r\n",
        "1;a=\"b c\"\r\n0\r\n0;z\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
        "A\r\n0123456789\r\n00\r\n\r\n",
        "0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ];
    const PIECES: [&str; 16] = [
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        ";",
        "=",
        "\"",
        "\\",
        "0",
        "a",
        ":",
        "\0",
        "\u{e9}",
        ";x=y",
        "0\r\n\r\n",
    ];
    let mut seed = 0x6765_6e6b_616e_0003_u64;
    let mut roll = |sides: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % sides as u64) as usize
    };
    let (mut accepted, mut rejected) = (0, 0);
    for round in 0..20_000 {
        let mut body = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..=roll(3) {
            let at = roll(body.len());
            match roll(3) {
                0 => body[at] = roll(256) as u8,
                1 if body.len() > 1 => drop(body.remove(at)),
                _ => drop(body.splice(at..at, PIECES[roll(PIECES.len())].bytes())),
            }
        }
        let (whole, trickled) = (scan(&body), trickle(&body));
        assert_eq!(whole, trickled, "{}", body.escape_ascii());
        let end = whole.ok().flatten();
        assert_eq!(end, by_the_book(&body), "{}", body.escape_ascii());
        if end.is_some() {
            accepted += 1
        } else {
            rejected += 1
        }
    }
    assert!(accepted > 1_000 && rejected > 1_000, "{accepted} and {rejected}");
}
