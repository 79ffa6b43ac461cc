//! What the strict reading accepts, the parsers behind it read in the same way.

use bytes::BytesMut;
use genkan_routing::strict::{Accepted, Framing, HeadScan, Limits, Scanned, Version, check};
use pingora_core::protocols::http::ServerSession;

use super::seeds;
use super::target::Target;

const OTHERS: &[&str] = &[
    "PUT /a%2Fb/%zz HTTP/1.1\r\nhost: [::1]\r\nTransfer-Encoding: chunked\r\nConnection: close, X-B\r\nX-B: 1\r\n\r\n",
    "GET http://gw.example/a HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "GET /exec?q=\"<\" HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
    "GET /a<b>`{|} HTTP/1.0\r\nConnection: keep-alive\r\nConnection: X-C\r\nX-C: 2\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: gw.example:8080\r\n\r\n",
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
    "é",
    "0",
    "3",
    "\\",
    "^",
    "'",
    "[",
    "]",
    "<",
    "\"",
    "chunked",
    "close",
    "keep-alive",
    "Content-Length: 3\r\n",
    "Content-Length: 3, 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: gw.example\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Expect: 100-continue\r\n",
    "X-é: 1\r\n",
    "X-A: é\r\n",
    " folded\r\n",
    "HTTP/1.1",
    "HTTP/1.0",
    "http://",
];

#[test]
fn accepted_heads_have_one_reading() {
    let others = OTHERS.iter().map(|head| head.as_bytes().to_vec());
    Target {
        name: "heads",
        seeds: seeds::heads().into_iter().chain(others).collect(),
        pieces: PIECES,
        judge,
        accepted: 50,
    }
    .run();
}

fn judge(head: &[u8]) -> bool {
    let limits = Limits::default();
    let scan = HeadScan::default().advance(head, &limits);
    let Ok(accepted) = check(head, &limits) else {
        return false;
    };
    assert_eq!(scan, Ok(Scanned::Complete(head.len())), "it ends elsewhere");
    let again = check(&accepted.head, &limits);
    let again = again.unwrap_or_else(|refused| panic!("what is handed on is refused: {refused}"));
    assert_eq!(again.head, accepted.head, "rewriting it twice differs");
    assert_eq!(
        (again.framing, again.upgrade),
        (accepted.framing, accepted.upgrade)
    );
    assert_eq!(
        (again.keep_alive, again.host),
        (accepted.keep_alive, accepted.host)
    );
    agrees_with_httparse(&accepted);
    agrees_with_the_engine(&accepted);
    true
}

fn agrees_with_httparse(accepted: &Accepted<'_>) {
    let mut headers = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(&accepted.head);
    assert_eq!(parsed, Ok(httparse::Status::Complete(accepted.head.len())));
    assert_eq!(request.method, Some(accepted.method));
    assert_eq!(request.path.map(str::as_bytes), Some(&*accepted.target));
    let minor = if accepted.version == Version::Http11 { 1 } else { 0 };
    assert_eq!(request.version, Some(minor));
    let values = |name: &str| -> Vec<&[u8]> {
        let named = request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value).collect()
    };
    let framing = match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) => Framing::None,
        ([length], []) => Framing::Length(std::str::from_utf8(length).unwrap().parse().unwrap()),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
        other => panic!("{other:?}"),
    };
    assert_eq!(framing, accepted.framing);
    assert_eq!(values("host").first().copied(), accepted.host);
    assert!(values("host").len() < 2 && values("connection").len() < 2);
    assert_eq!(!values("upgrade").is_empty(), accepted.upgrade);
}

fn agrees_with_the_engine(accepted: &Accepted<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut session = runtime.block_on(async {
        let (_client, server) = tokio::io::duplex(64);
        let mut session = ServerSession::new_http1(Box::new(server));
        session.set_pipelined_prefix(BytesMut::from(&*accepted.head));
        let read = session.read_request().await;
        assert!(matches!(read, Ok(true)), "the engine says {read:?}");
        session
    });
    let header = session.req_header();
    assert_eq!(header.method.as_str(), accepted.method);
    assert_eq!(header.raw_path(), &*accepted.target);
    let version = match accepted.version {
        Version::Http11 => http::Version::HTTP_11,
        Version::Http10 => http::Version::HTTP_10,
    };
    assert_eq!(header.version, version);
    let host = header.headers.get(http::header::HOST).map(|host| host.as_bytes());
    assert_eq!(host, accepted.host);
    assert_eq!(session.is_body_empty(), !accepted.framing.has_body());
    assert_eq!(session.is_upgrade_req(), accepted.upgrade);
    let ServerSession::H1(session) = session else {
        panic!("not HTTP/1")
    };
    // The engine keeps an HTTP/1.0 connection only if nothing else stands beside keep-alive.
    let stricter = accepted.version == Version::Http10 && !session.will_keepalive();
    assert!(
        stricter || session.will_keepalive() == accepted.keep_alive,
        "the engine keeps it otherwise"
    );
}
