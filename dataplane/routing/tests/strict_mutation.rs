//! Whatever is accepted, another parser must read in the same way.

#![allow(clippy::unwrap_used)]

use genkan_routing::strict::{Framing, HeadScan, Limits, Progress, Version, check};

const SEEDS: &[&str] = &[
    "GET /proxy/x?a=1 HTTP/1.1\r\nHost: gw.example\r\n\r\n",
    "POST /kapis/g.example/v1/things HTTP/1.1\r\nHost: gw.example:8080\r\nContent-Length: 12\r\nX-A:  b \r\n\r\n",
    "PUT /a%2Fb/%zz HTTP/1.1\r\nhost: [::1]\r\nTransfer-Encoding: chunked\r\nConnection: close, X-B\r\nX-B: 1\r\n\r\n",
    "GET http://gw.example/a HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "GET /exec HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
    "GET /a<b HTTP/1.0\r\nConnection: keep-alive\r\nConnection: X-C\r\nX-C: 2\r\n\r\n",
];

const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ",",
    "\0",
    "/",
    "//",
    "?",
    "#",
    "%",
    "@",
    "\u{e9}",
    "0",
    "chunked",
    "3",
    "Content-Length: 3\r\n",
    "Content-Length: 3, 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: gw.example\r\n",
    "Connection: close\r\n",
    "Upgrade: websocket\r\n",
    " folded\r\n",
    "HTTP/1.1",
    "HTTP/1.0",
    "http://",
    "<",
    "\"",
];

/// A small generator, seeded, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn mutate(&mut self, head: &mut Vec<u8>) {
        let at = self.roll(head.len());
        match self.roll(5) {
            0 => head[at] = self.roll(256) as u8,
            1 => drop(head.remove(at)),
            2 => {
                let piece = PIECES[self.roll(PIECES.len())].bytes();
                drop(head.splice(at..at, piece));
            }
            3 => {
                let end = (at + self.roll(12)).min(head.len());
                let copy = head[at..end].to_vec();
                let to = self.roll(head.len());
                drop(head.splice(to..to, copy));
            }
            _ => {
                // After a line end: the place where headers are slipped in.
                let ends: Vec<usize> = memchr::memmem::find_iter(head, b"\r\n")
                    .map(|end| end + 2)
                    .collect();
                if let Some(end) = ends.get(self.roll(ends.len().max(1))) {
                    let piece = PIECES[self.roll(PIECES.len())].bytes();
                    drop(head.splice(*end..*end, piece));
                }
            }
        }
    }
}

/// How httparse, which the proxy engine uses, understands a head.
fn agree(head: &[u8]) {
    let shown = || head.escape_ascii().to_string();
    let accepted = check(head, &Limits::default()).unwrap();
    let again = check(&accepted.head, &Limits::default());
    let again =
        again.unwrap_or_else(|refused| panic!("{}: what is handed on is refused: {refused}", shown()));
    assert_eq!(again.head, accepted.head, "{}: rewriting twice differs", shown());
    assert_eq!(
        (again.framing, again.upgrade),
        (accepted.framing, accepted.upgrade),
        "{}",
        shown()
    );
    assert_eq!(
        (again.keep_alive, again.host),
        (accepted.keep_alive, accepted.host),
        "{}",
        shown()
    );

    let mut headers = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(&accepted.head);
    assert_eq!(
        parsed,
        Ok(httparse::Status::Complete(accepted.head.len())),
        "{}",
        shown()
    );
    assert_eq!(request.method, Some(accepted.method), "{}", shown());
    assert_eq!(
        request.path.map(str::as_bytes),
        Some(&*accepted.target),
        "{}",
        shown()
    );
    let minor = if accepted.version == Version::Http11 { 1 } else { 0 };
    assert_eq!(request.version, Some(minor), "{}", shown());
    let values = |name: &str| -> Vec<&[u8]> {
        let of_name = request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        of_name.map(|header| header.value).collect()
    };
    let framing = match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) => Framing::None,
        ([length], []) => Framing::Length(std::str::from_utf8(length).unwrap().parse().unwrap()),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
        other => panic!("{}: {other:?}", shown()),
    };
    assert_eq!(framing, accepted.framing, "{}", shown());
    assert_eq!(values("host").first().copied(), accepted.host, "{}", shown());
    assert!(
        values("host").len() < 2 && values("connection").len() < 2,
        "{}",
        shown()
    );
    assert_eq!(!values("upgrade").is_empty(), accepted.upgrade, "{}", shown());
}

#[test]
fn accepted_heads_have_one_reading() {
    let mut dice = Dice(0x6765_6e6b_616e_0001);
    let mut accepted = 0;
    for round in 0..200_000 {
        let mut head = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..=dice.roll(4) {
            dice.mutate(&mut head);
            if head.is_empty() {
                break;
            }
        }
        if check(&head, &Limits::default()).is_ok() {
            accepted += 1;
            agree(&head);
            let whole = HeadScan::default().advance(&head, &Limits::default());
            assert_eq!(
                whole,
                Ok(Progress::Complete(head.len())),
                "{}",
                head.escape_ascii()
            );
        }
    }
    assert!(
        accepted > 20_000,
        "only {accepted} heads were accepted: the mutations are too wild"
    );
}
