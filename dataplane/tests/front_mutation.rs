//! Whatever the strict reading accepts, the engine's own parser must read in the same way.

#![allow(clippy::unwrap_used)]

use bytes::BytesMut;
use genkan_routing::strict::{Framing, Limits, Version, check};
use pingora_core::protocols::http::ServerSession;

const SEEDS: &[&str] = &[
    "GET /proxy/x?a=1 HTTP/1.1\r\nHost: gw.example\r\n\r\n",
    "POST /kapis/g.example/v1/things HTTP/1.1\r\nHost: gw.example:8080\r\nContent-Length: 12\r\n\r\n",
    "PUT /a%2Fb/%zz HTTP/1.1\r\nhost: [::1]\r\nTransfer-Encoding: chunked\r\nConnection: close, X-B\r\n\r\n",
    "GET http://gw.example/a HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "GET /exec?q=\"<\" HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
    "GET /a<b>`{|} HTTP/1.0\r\nConnection: keep-alive\r\nConnection: X-C\r\nX-C: 2\r\n\r\n",
];

const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    " ",
    "\t",
    ":",
    ",",
    "/",
    "//",
    "?",
    "%",
    "@",
    "\u{e9}",
    "0",
    "\\",
    "^",
    "'",
    "[",
    "]",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Upgrade: websocket\r\n",
    "Connection: upgrade\r\n",
    "X-\u{e9}: 1\r\n",
    "X-A: \u{e9}\r\n",
    "HTTP/1.0",
    "http://",
];

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
        match self.roll(3) {
            0 => head[at] = self.roll(256) as u8,
            1 => drop(head.remove(at)),
            _ => {
                let piece = PIECES[self.roll(PIECES.len())].bytes();
                drop(head.splice(at..at, piece));
            }
        }
    }
}

async fn agree(head: &[u8]) {
    let shown = head.escape_ascii().to_string();
    let accepted = check(head, &Limits::default()).unwrap();
    let (_client, server) = tokio::io::duplex(64);
    let mut session = ServerSession::new_http1(Box::new(server));
    session.set_pipelined_prefix(BytesMut::from(&*accepted.head));
    let read = session.read_request().await;
    assert!(matches!(read, Ok(true)), "{shown}: the engine says {read:?}");
    let header = session.req_header();
    assert_eq!(header.method.as_str(), accepted.method, "{shown}");
    assert_eq!(header.raw_path(), &*accepted.target, "{shown}");
    let version = if accepted.version == Version::Http11 {
        http::Version::HTTP_11
    } else {
        http::Version::HTTP_10
    };
    assert_eq!(header.version, version, "{shown}");
    let host = header.headers.get(http::header::HOST).map(|host| host.as_bytes());
    assert_eq!(host, accepted.host, "{shown}");
    let chunked = header.headers.contains_key(http::header::TRANSFER_ENCODING);
    let length = header
        .headers
        .get(http::header::CONTENT_LENGTH)
        .map(|length| length.to_str().unwrap());
    let framing = match (length, chunked) {
        (None, false) => Framing::None,
        (Some(length), false) => Framing::Length(length.parse().unwrap()),
        (None, true) => Framing::Chunked,
        (Some(_), true) => panic!("{shown}: both"),
    };
    assert_eq!(framing, accepted.framing, "{shown}");
    assert_eq!(session.is_body_empty(), !accepted.framing.has_body(), "{shown}");
    assert_eq!(session.is_upgrade_req(), accepted.upgrade, "{shown}");
    let ServerSession::H1(session) = session else {
        panic!("not HTTP/1")
    };
    // The engine keeps an HTTP/1.0 connection only if nothing else stands beside keep-alive.
    let stricter = accepted.version == Version::Http10 && !session.will_keepalive();
    assert!(
        stricter || session.will_keepalive() == accepted.keep_alive,
        "{shown}"
    );
}

#[tokio::test]
async fn the_engine_reads_accepted_heads_in_the_same_way() {
    let mut dice = Dice(0x6765_6e6b_616e_0002);
    let mut accepted = 0;
    for round in 0..60_000 {
        let mut head = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..=dice.roll(3) {
            dice.mutate(&mut head);
        }
        if check(&head, &Limits::default()).is_ok() {
            accepted += 1;
            agree(&head).await;
        }
    }
    assert!(
        accepted > 10_000,
        "only {accepted} heads were accepted: the mutations are too wild"
    );
}
