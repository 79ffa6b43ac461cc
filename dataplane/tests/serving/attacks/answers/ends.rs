//! Where answers end.

use crate::kit::Then::{Close, Stay};

use super::Then::{BrokenOff, EndsWith, Passes, Refused};
use super::{Ask, Attack, NOTHING, answer, asked};

pub const ATTACKS: &[Attack] = &[
    answer(
        "a switch that nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsecret",
        Close,
        Refused(502),
    ),
    asked(
        Ask::Upgrade,
        "no switch where one was asked for",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        Refused(502),
    ),
    asked(
        Ask::Upgrade,
        "a redirect instead of a switch",
        "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        Stay,
        Refused(502),
    ),
    asked(
        Ask::Upgrade,
        "a switch refused",
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nno",
        Stay,
        Passes(426, "connection: close\r\n", "upgrade: x"),
    ),
    answer(
        "a second answer behind the first",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        Stay,
        EndsWith("\r\n\r\nok"),
    ),
    answer(
        "the same behind chunks",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        Stay,
        EndsWith("\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ),
    answer(
        "a second answer behind a 304",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        Stay,
        EndsWith("\r\n\r\n"),
    ),
    answer(
        "a 204 with a body",
        "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
        Stay,
        Passes(204, "\r\n\r\n", "content-length"),
    ),
    answer(
        "a 204 with chunks",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        Stay,
        Passes(204, "\r\n\r\n", "evil"),
    ),
    answer(
        "a 304 with a body",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
        Stay,
        Passes(304, "content-length: 4", "evil"),
    ),
    asked(
        Ask::Head,
        "an answer to HEAD with a body",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        Stay,
        Passes(200, "content-length: 4", "evil"),
    ),
    asked(
        Ask::Head,
        "an answer to HEAD with chunks",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        Stay,
        Passes(200, "\r\n\r\n", "evil"),
    ),
    answer(
        "less than the length",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        Close,
        BrokenOff,
    ),
    answer(
        "chunks without a last one",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        Close,
        BrokenOff,
    ),
    answer(
        "a chunk that is cut",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        Close,
        BrokenOff,
    ),
    answer(
        "a chunk size with 0x",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        Stay,
        BrokenOff,
    ),
    answer(
        "a chunk size that wraps around 64 bits",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
        Stay,
        BrokenOff,
    ),
    answer(
        "a bare line feed and NUL in an extension, which the engine passes over",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;\n\0\r\nok\r\n0\r\n\r\n",
        Stay,
        EndsWith("\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ),
    answer(
        "a chunk without a size, which the engine takes for the last one",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n\r\nno field\r\n\r\n",
        Stay,
        EndsWith("\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ),
    answer(
        "an extension of a chunk and a trailer",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2;a=b\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
        Stay,
        EndsWith("\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ),
    answer(
        "headers of one connection",
        "HTTP/1.1 200 OK\r\nConnection: X-Foo\r\nX-Foo: 1\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Bar: 2\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        Passes(200, "x-bar: 2", "x-foo"),
    ),
    answer(
        "a demand for a credential of the proxy",
        "HTTP/1.1 200 OK\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        Passes(200, "\r\n\r\nok", "proxy-authenticate"),
    ),
    answer(
        "the length named by Connection",
        "HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        Passes(200, "content-length: 2", NOTHING),
    ),
    answer(
        "a reason of genkan's own",
        "HTTP/1.1 503 Service Unavailable\r\nX-Genkan-Reason: NoRouteMatched\r\nContent-Length: 2\r\n\r\nno",
        Stay,
        Passes(503, "x-genkan-reason: noroutematched", NOTHING),
    ),
    answer(
        "HTTP/1.0 without a length",
        "HTTP/1.0 200 OK\r\n\r\nok",
        Close,
        EndsWith("\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ),
    asked(
        Ask::Old,
        "chunks for a client of HTTP/1.0",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Stay,
        EndsWith("\r\n\r\nok"),
    ),
];
