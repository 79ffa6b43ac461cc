//! Heads of answers.

use crate::kit::Then::{Close, Stay};

use super::Then::{After, EndsWith, Passes, Refused};
use super::{Ask, Attack, answer, asked, long};

pub const ATTACKS: &[Attack] = &[
    answer(
        "a length and a coding",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n0\r\n\r\n",
        Close,
        Refused(502),
    ),
    answer(
        "the same and no other line, where the engine hides it",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Stay,
        EndsWith("\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ),
    answer(
        "another coding",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        Close,
        Refused(502),
    ),
    answer(
        "a coding before chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        Close,
        Refused(502),
    ),
    answer(
        "a coding behind chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        Close,
        Refused(502),
    ),
    answer(
        "chunked twice",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Close,
        Refused(502),
    ),
    answer(
        "chunked in HTTP/1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Close,
        EndsWith("\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ),
    answer(
        "two lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        Close,
        Refused(502),
    ),
    answer(
        "one length twice",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        Passes(
            200,
            "content-length: 2\r\n",
            "content-length: 2\r\ncontent-length",
        ),
    ),
    answer(
        "a list of lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc",
        Close,
        Refused(502),
    ),
    answer(
        "a length with a sign",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "a negative length",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "an empty length",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "an endless length",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "a space before the colon",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        Stay,
        Passes(200, "content-length: 2\r\n", "content-length :"),
    ),
    answer(
        "a name with a space",
        "HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        Close,
        Refused(502),
    ),
    answer(
        "a folded line",
        "HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        Passes(200, "x-a: 1 folded\r\n", "\n folded"),
    ),
    answer(
        "NUL in a value",
        "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "a bare carriage return in a value",
        "HTTP/1.1 200 OK\r\nX-A: a\rX-B: b\r\nContent-Length: 2\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "a bare line feed, which ends the line",
        "HTTP/1.1 200 OK\r\nX-A: a\nX-B: b\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        Passes(200, "\r\nx-b: b\r\n", "a\nx-b"),
    ),
    answer("no HTTP", "nonsense\r\n\r\n", Close, Refused(502)),
    answer(
        "a bad version",
        "HTTP/7.7 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "a code of two digits",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "a code of four digits",
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "a code that is none",
        "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer(
        "a phrase with a line of its own",
        "HTTP/1.1 200 OK\rX-A: 1\r\nContent-Length: 2\r\n\r\nok",
        Close,
        Refused(502),
    ),
    answer("half a head", "HTTP/1.1 200 OK\r\nX: ", Close, Refused(502)),
    answer("nothing", "", Close, Refused(502)),
    long(
        "a head without end",
        "a header of 1,200,000 bytes",
        || {
            format!(
                "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok",
                "a".repeat(1_200_000)
            )
        },
        Refused(502),
    ),
    long(
        "lines without end",
        "300 header lines",
        || {
            format!(
                "HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok",
                "X-A: 1\r\n".repeat(300)
            )
        },
        Refused(502),
    ),
    answer(
        "an interim answer",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        After(1, 200),
    ),
    answer(
        "an interim answer with a length, of which nothing passes",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        After(1, 200),
    ),
    answer(
        "the same with a coding, and fields of one connection",
        "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\nConnection: X-Foo\r\nX-Foo: 1\r\n\
         Keep-Alive: timeout=9\r\nTrailer: X-T\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        After(1, 200),
    ),
    asked(
        Ask::Old,
        "an interim answer for a client of HTTP/1.0, which knows none",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Stay,
        Passes(200, "content-length: 2\r\n", "link"),
    ),
    asked(
        Ask::Upgrade,
        "a switch with a length and a coding",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Foo\r\nUpgrade: websocket\r\nX-Foo: 1\r\n\
         Content-Length: 4\r\nKeep-Alive: timeout=9\r\n\r\nspam",
        Close,
        Passes(101, "upgrade: websocket\r\n", "content-length"),
    ),
    long(
        "the most interim answers",
        "100 times `HTTP/1.1 103 Early Hints`, then 200",
        || interim(100),
        After(100, 200),
    ),
    long(
        "interim answers without end",
        "500 times the same, then 200",
        || interim(500),
        After(100, 502),
    ),
];

fn interim(count: usize) -> String {
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count);
    hints + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
}
