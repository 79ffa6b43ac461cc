//! One reading of the lines of a head.

use super::Section;
use super::requests::Then::{Passes, Refused};
use super::requests::{Attack, NOTHING, attack, carry_out, raw};
use super::stage::Stage;

const PLAIN: &str = "GET /proxy/x HTTP/1.1";
const POST: &str = "POST /proxy/x HTTP/1.1";

pub async fn section(stage: &Stage) -> Section {
    let preface = "One reading of the lines of a head. A refusal closes the connection.";
    Section::new(
        "Framing: lines, hosts and upgrades",
        preface,
        carry_out(ATTACKS, stage).await,
    )
}

const ATTACKS: &[Attack] = &[
    attack(
        "a space before the colon",
        POST,
        "Content-Length : 3\r\n",
        Refused(400),
    ),
    attack(
        "a folded line",
        PLAIN,
        "X-A: 1\r\n\tX-Remote-User: root\r\n",
        Refused(400),
    ),
    attack(
        "a bare line feed",
        PLAIN,
        "X-A: 1\nX-Remote-User: root\r\n",
        Refused(400),
    ),
    attack(
        "a bare carriage return",
        PLAIN,
        "X-A: 1\rX-Remote-User: root\r\n",
        Refused(400),
    ),
    attack("NUL in a value", PLAIN, "X-A: a\0b\r\n", Refused(400)),
    attack("two hosts", PLAIN, "Host: other.example\r\n", Refused(400)),
    attack(
        "an upgrade with a body",
        "POST /proxy/x HTTP/1.1",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n",
        Refused(400),
    ),
    attack(
        "an upgrade to h2c is none",
        PLAIN,
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        Passes("get /proxy/x", "h2c"),
    ),
    attack("no HTTP", "GET /proxy/x HTTP/3.0", "", Refused(505)),
    raw(
        "bare line feeds only",
        b"GET /proxy/x HTTP/1.1\nHost: gw.example\n\n",
        Refused(400),
    ),
    raw(
        "a bare line feed behind the request line",
        b"GET /proxy/x HTTP/1.1\nHost: gw.example\r\n\r\n",
        Refused(400),
    ),
    raw(
        "a bare line feed for the empty line",
        b"GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\n",
        Refused(400),
    ),
    raw(
        "an empty line before the request",
        b"\r\nGET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        Passes("get /proxy/x", NOTHING),
    ),
    raw(
        "two empty lines before the request",
        b"\r\n\r\nGET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        Refused(400),
    ),
    raw(
        "a bare line feed before the request",
        b"\nGET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        Refused(400),
    ),
    raw(
        "a folded line behind the request line",
        b"GET /proxy/x HTTP/1.1\r\n Host: gw.example\r\n\r\n",
        Refused(400),
    ),
    attack("a name with a space", PLAIN, "X A: 1\r\n", Refused(400)),
    attack(
        "a name with a control character",
        PLAIN,
        "X\u{1}A: 1\r\n",
        Refused(400),
    ),
    raw(
        "a name beyond ASCII",
        b"GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\nX-\xe9: 1\r\n\r\n",
        Refused(400),
    ),
    attack("no name", PLAIN, ": 1\r\n", Refused(400)),
    attack("no colon", PLAIN, "X-A\r\n", Refused(400)),
    attack("BEL in a value", PLAIN, "X-A: a\u{7}b\r\n", Refused(400)),
    attack("DEL in a value", PLAIN, "X-A: a\u{7f}b\r\n", Refused(400)),
    attack("one host twice", PLAIN, "Host: gw.example\r\n", Refused(400)),
    raw("no host", b"GET /proxy/x HTTP/1.1\r\n\r\n", Refused(400)),
    raw(
        "an empty host",
        b"GET /proxy/x HTTP/1.1\r\nHost:\r\n\r\n",
        Refused(400),
    ),
    raw(
        "somebody before the host",
        b"GET /proxy/x HTTP/1.1\r\nHost: user@gw.example\r\n\r\n",
        Refused(400),
    ),
    raw(
        "a list of hosts",
        b"GET /proxy/x HTTP/1.1\r\nHost: gw.example, other.example\r\n\r\n",
        Refused(400),
    ),
    raw(
        "a path in the host",
        b"GET /proxy/x HTTP/1.1\r\nHost: gw.example/known\r\n\r\n",
        Refused(400),
    ),
    raw(
        "two ports",
        b"GET /proxy/x HTTP/1.1\r\nHost: gw.example:80:81\r\n\r\n",
        Refused(400),
    ),
    attack(
        "an upgrade with chunks",
        POST,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        Refused(400),
    ),
    attack(
        "an upgrade to h2c beside a known one",
        PLAIN,
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        Passes("get /proxy/x", "upgrade"),
    ),
    attack(
        "the same on two lines",
        PLAIN,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        Passes("get /proxy/x", "upgrade"),
    ),
    attack(
        "an upgrade to anything else",
        PLAIN,
        "Connection: Upgrade\r\nUpgrade: tcp\r\n",
        Passes("get /proxy/x", "upgrade"),
    ),
    attack(
        "an upgrade to nothing",
        PLAIN,
        "Connection: Upgrade\r\nUpgrade:\r\n",
        Passes("get /proxy/x", "upgrade"),
    ),
    attack(
        "an upgrade that Connection does not name",
        PLAIN,
        "Upgrade: websocket\r\n",
        Passes("get /proxy/x", "upgrade"),
    ),
    attack(
        "options of the connection without end",
        PLAIN,
        "Connection: a, b, c, d, e, f, g, h, i, j\r\n",
        Refused(400),
    ),
    attack(
        "an option of the connection that is none",
        PLAIN,
        "Connection: a b\r\n",
        Refused(400),
    ),
    raw("no version", b"GET /proxy/x\r\n\r\n", Refused(400)),
    raw(
        "HTTP/0.9",
        b"GET /proxy/x HTTP/0.9\r\nHost: gw.example\r\n\r\n",
        Refused(400),
    ),
    raw(
        "a version in other letters",
        b"GET /proxy/x http/1.1\r\nHost: gw.example\r\n\r\n",
        Refused(400),
    ),
    raw(
        "two spaces in the request line",
        b"GET  /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        Refused(400),
    ),
    raw(
        "a method that is none",
        b"GE(T) /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        Refused(400),
    ),
    raw(
        "TLS on the plain port",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        Refused(400),
    ),
];
