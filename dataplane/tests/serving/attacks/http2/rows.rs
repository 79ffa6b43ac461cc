use super::super::requests::NOTHING;
use super::Then::{self, BrokenOff, Ends, Passes};
use super::{Attack, Field, stream, with_body};
use genkan_kit::http2::Outcome;

const RESET: Then = Ends(Outcome::Reset);
const CLOSED: Then = Ends(Outcome::GoAway);
const REFUSED: Then = Ends(Outcome::Status(400));

const GET: Field = (":method", "GET");
const POST: Field = (":method", "POST");
const HTTP: Field = (":scheme", "http");
const GW: Field = (":authority", "gw.example");
const X: Field = (":path", "/proxy/x");
const KNOWN: Field = (":path", "/proxy/known/x");

pub const ATTACKS: &[Attack] = &[
    stream(
        "an identity",
        &[
            GET,
            HTTP,
            GW,
            KNOWN,
            ("x-remote-user", "root"),
            ("x_remote_group", "system:masters"),
        ],
        Passes("x-remote-user: system:anonymous", "masters"),
    ),
    stream(
        "impersonation",
        &[GET, HTTP, GW, X, ("impersonate-user", "root")],
        Ends(Outcome::Status(403)),
    ),
    stream(
        "cookies on several lines",
        &[GET, HTTP, GW, X, ("cookie", "a=1"), ("cookie", "b=2")],
        Passes("cookie: a=1; b=2", "cookie: b=2"),
    ),
    Attack {
        name: "an identity in trailers",
        fields: &[POST, HTTP, GW, KNOWN],
        body: &["abc"],
        trailers: &[("x-remote-user", "root")],
        then: Passes("x-remote-user: system:anonymous", "root"),
    },
    stream(
        "a name in upper case",
        &[GET, HTTP, GW, X, ("X-Remote-User", "root")],
        CLOSED,
    ),
    stream("a name with a colon", &[GET, HTTP, GW, X, ("x:a", "1")], CLOSED),
    stream(
        "a name with a line end",
        &[GET, HTTP, GW, X, ("x\r\ny", "1")],
        CLOSED,
    ),
    stream("an empty name", &[GET, HTTP, GW, X, ("", "1")], CLOSED),
    stream(
        "a line end in a value",
        &[GET, HTTP, GW, X, ("x-a", "1\r\nX-Remote-User: root")],
        CLOSED,
    ),
    stream("NUL in a value", &[GET, HTTP, GW, X, ("x-a", "a\0b")], CLOSED),
    stream("Connection", &[GET, HTTP, GW, X, ("connection", "x-a")], RESET),
    stream("Keep-Alive", &[GET, HTTP, GW, X, ("keep-alive", "1")], RESET),
    stream(
        "Proxy-Connection",
        &[GET, HTTP, GW, X, ("proxy-connection", "close")],
        RESET,
    ),
    stream("Upgrade", &[GET, HTTP, GW, X, ("upgrade", "websocket")], RESET),
    stream(
        "Transfer-Encoding",
        &[POST, HTTP, GW, X, ("transfer-encoding", "chunked")],
        RESET,
    ),
    stream(
        "TE for more than trailers",
        &[GET, HTTP, GW, X, ("te", "gzip")],
        RESET,
    ),
    stream(
        "a blank before a value",
        &[GET, HTTP, GW, X, ("x-a", " 1")],
        REFUSED,
    ),
    stream(
        "a blank behind a value",
        &[GET, HTTP, GW, X, ("x-a", "1\t")],
        REFUSED,
    ),
    stream(
        "nearly an expectation",
        &[POST, HTTP, GW, X, ("expect", "y 100-continue")],
        Ends(Outcome::Status(417)),
    ),
    stream("another scheme", &[GET, (":scheme", "ftp"), GW, X], REFUSED),
    stream("two schemes", &[GET, HTTP, (":scheme", "https"), GW, X], RESET),
    stream(
        "the asterisk for more than OPTIONS",
        &[GET, HTTP, GW, (":path", "*")],
        REFUSED,
    ),
    stream(
        "the same host beside the authority, with a port",
        &[GET, HTTP, GW, X, ("host", "gw.example:80")],
        REFUSED,
    ),
    Attack {
        name: "a pseudo-header in trailers",
        fields: &[POST, HTTP, GW, KNOWN],
        body: &["abc"],
        trailers: &[(":path", "/proxy/x")],
        then: Passes("x-remote-user: system:anonymous", "/proxy/x"),
    },
    Attack {
        name: "a length in trailers",
        fields: &[POST, HTTP, GW, KNOWN],
        body: &["abc"],
        trailers: &[("content-length", "9")],
        then: Passes("x-remote-user: system:anonymous", "content-length"),
    },
    stream(
        "another host beside the authority",
        &[GET, HTTP, GW, X, ("host", "other.example")],
        REFUSED,
    ),
    stream(
        "two hosts",
        &[
            GET,
            HTTP,
            GW,
            X,
            ("host", "gw.example"),
            ("host", "other.example"),
        ],
        REFUSED,
    ),
    stream(
        "no authority and two hosts",
        &[GET, HTTP, X, ("host", "gw.example"), ("host", "other.example")],
        REFUSED,
    ),
    stream("neither authority nor host", &[GET, HTTP, X], REFUSED),
    stream(
        "somebody before the authority",
        &[GET, HTTP, (":authority", "u@gw.example"), X],
        REFUSED,
    ),
    stream(
        "a path in the authority",
        &[GET, HTTP, (":authority", "gw.example/known"), X],
        RESET,
    ),
    stream(
        "two authorities",
        &[GET, HTTP, GW, (":authority", "other.example"), X],
        RESET,
    ),
    stream(
        "two paths",
        &[GET, HTTP, GW, X, (":path", "/proxy/known/x")],
        RESET,
    ),
    stream("two methods", &[GET, POST, HTTP, GW, X], RESET),
    stream("no method", &[HTTP, GW, X], RESET),
    stream("no scheme", &[GET, GW, X], RESET),
    stream("no path", &[GET, HTTP, GW], RESET),
    stream("an empty path", &[GET, HTTP, GW, (":path", "")], RESET),
    stream(
        "a pseudo-header that is none",
        &[GET, HTTP, GW, X, (":user", "root")],
        CLOSED,
    ),
    stream(
        "a pseudo-header of answers",
        &[GET, HTTP, GW, X, (":status", "200")],
        RESET,
    ),
    stream(
        "a pseudo-header behind the others",
        &[GET, HTTP, GW, ("x-a", "1"), X],
        RESET,
    ),
    stream(
        "a space in the method",
        &[(":method", "GET /proxy/known/x HTTP/1.1"), HTTP, GW, X],
        CLOSED,
    ),
    stream(
        "a space in the path",
        &[GET, HTTP, GW, (":path", "/proxy/a b")],
        RESET,
    ),
    stream(
        "a request line in the path",
        &[
            GET,
            HTTP,
            GW,
            (":path", "/proxy/a HTTP/1.1\r\nX-Remote-User: root"),
        ],
        RESET,
    ),
    stream(
        "NUL in the path",
        &[GET, HTTP, GW, (":path", "/proxy/a\0b")],
        RESET,
    ),
    stream(
        "a fragment, which the layer of HTTP/2 drops",
        &[GET, HTTP, GW, (":path", "/proxy/a#b")],
        Passes("get /proxy/a http/1.1\r\n", "#"),
    ),
    stream("no slash", &[GET, HTTP, GW, (":path", "proxy/a")], RESET),
    stream(
        "a whole URL for a path",
        &[GET, HTTP, GW, (":path", "http://other.example/proxy/x")],
        RESET,
    ),
    stream(
        "climbing",
        &[GET, HTTP, GW, (":path", "/proxy/public/../known/x")],
        REFUSED,
    ),
    stream(
        "climbing, encoded",
        &[GET, HTTP, GW, (":path", "/proxy/public/%2e%2e/known/x")],
        REFUSED,
    ),
    stream("a backslash", &[GET, HTTP, GW, (":path", "/proxy/a\\b")], REFUSED),
    stream(
        "two slashes are no authority",
        &[GET, HTTP, GW, (":path", "//proxy/known")],
        Ends(Outcome::Status(404)),
    ),
    stream(
        "a tunnel",
        &[(":method", "CONNECT"), (":authority", "10.0.0.1:22")],
        Ends(Outcome::Status(405)),
    ),
    stream(
        "a tunnel of WebSocket",
        &[(":method", "CONNECT"), (":protocol", "websocket"), HTTP, GW, X],
        RESET,
    ),
    stream(
        "a mirror",
        &[(":method", "TRACE"), HTTP, GW, X],
        Ends(Outcome::Status(405)),
    ),
    stream(
        "a length that is a list",
        &[POST, HTTP, GW, X, ("content-length", "3, 3")],
        RESET,
    ),
    stream(
        "a length with a sign",
        &[POST, HTTP, GW, X, ("content-length", "+3")],
        RESET,
    ),
    stream(
        "two lengths",
        &[
            POST,
            HTTP,
            GW,
            X,
            ("content-length", "3"),
            ("content-length", "4"),
        ],
        RESET,
    ),
    with_body(
        "one length twice",
        &[
            POST,
            HTTP,
            GW,
            X,
            ("content-length", "3"),
            ("content-length", "3"),
        ],
        &["abc"],
        REFUSED,
    ),
    with_body(
        "a length with a zero in front",
        &[POST, HTTP, GW, X, ("content-length", "03")],
        &["abc"],
        REFUSED,
    ),
    stream(
        "a length and no body",
        &[POST, HTTP, GW, X, ("content-length", "3")],
        RESET,
    ),
    with_body(
        "more than the length",
        &[POST, HTTP, GW, X, ("content-length", "3")],
        &["abcd"],
        BrokenOff,
    ),
    with_body(
        "less than the length",
        &[POST, HTTP, GW, X, ("content-length", "3")],
        &["ab"],
        BrokenOff,
    ),
    with_body(
        "a body that reads like chunks",
        &[POST, HTTP, GW, X],
        &["0\r\n\r\n", "GET /proxy/known/admin HTTP/1.1\r\n\r\n"],
        Passes("\r\n5\r\n0\r\n\r\n\r\n23\r\nget ", NOTHING),
    ),
];
