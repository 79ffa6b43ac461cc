//! One reading of where the body of a request ends.

use super::Section;
use super::requests::Then::{self, EndsWith, Refused};
use super::requests::{Attack, carry_out, carry_out_late, raw};
use super::stage::Stage;

pub async fn section(stage: &Stage) -> Section {
    let preface = "One reading of where a body ends. Chunks are judged before anything else reads them, and written anew, so \
                   that nothing of how they were written passes; the rows show what is behind `POST /proxy/x` with \
                   `Transfer-Encoding: chunked`. What is refused has the same answer where it comes behind its head, and for \
                   the backend the request is broken off then; each of these rows was tried in both ways.";
    let mut rows = carry_out(ATTACKS, stage).await;
    carry_out_late(ATTACKS, HEAD, stage).await;
    let head = format!("{} `\\r\\n` ", super::shown(HEAD.as_bytes()));
    for row in &mut rows {
        row.sent = row.sent.replace(&head, "");
    }
    Section::new("Framing: bodies", preface, rows)
}

const HEAD: &str = "POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n";

macro_rules! chunks {
    ($name:literal, $body:literal, $then:expr) => {
        raw(
            $name,
            concat!(
                "POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n",
                $body
            )
            .as_bytes(),
            $then,
        )
    };
}

const ABC: Then = EndsWith("3\r\nabc\r\n0\r\n\r\n");

const ATTACKS: &[Attack] = &[
    chunks!("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("a negative size", "-3\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("a size behind a space", " 3\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("a size behind a tab", "\t3\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("a size with a separator", "0_3\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("no size", "\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("a size that is none", "xyz\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!(
        "a size of 17 digits",
        "00000000000000003\r\nabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "a size that wraps around 64 bits",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "the largest size of 64 bits",
        "ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "a bare line feed behind the size",
        "3\nabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "a bare carriage return behind the size",
        "3\rabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!("no line end behind the data", "3\r\nabc0\r\n\r\n", Refused(400)),
    chunks!(
        "a bare line feed behind the data",
        "3\r\nabc\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!("more data than its size", "3\r\nabcd\r\n0\r\n\r\n", Refused(400)),
    chunks!("less data than its size", "4\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("a bare line feed at the end", "3\r\nabc\r\n0\r\n\n", Refused(400)),
    chunks!(
        "a trailer without an end",
        "3\r\nabc\r\n0\r\nX-A: 1\n\n",
        Refused(400)
    ),
    chunks!("a size before a space", "3 \r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("a size before a tab", "3\t\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!("a size with zeros", "003\r\nabc\r\n0\r\n\r\n", ABC),
    chunks!("a last chunk with zeros", "3\r\nabc\r\n000\r\n\r\n", ABC),
    chunks!("an extension", "3;a=b\r\nabc\r\n0\r\n\r\n", ABC),
    chunks!(
        "an extension behind a space",
        "3 ;a\r\nabc\r\n0;b\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "an extension without a name",
        "3;\r\nabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "an extension with a space",
        "3;a = b\r\nabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "an extension with a quote that is not closed",
        "3;a=\"b\r\nabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "an extension with a bare line feed",
        "3;a\n0\r\nabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "a line feed, and a chunk for those who end the line there",
        "2;\nxx\r\n41\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "an extension with a bare carriage return",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        Refused(400)
    ),
    chunks!("NUL in an extension", "3;a\0b\r\nabc\r\n0\r\n\r\n", Refused(400)),
    chunks!(
        "an extension of the last chunk with a bare line feed",
        "3\r\nabc\r\n0;\n\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "a trailer that is no field",
        "3\r\nabc\r\n0\r\nno field\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "a trailer without a name",
        "3\r\nabc\r\n0\r\n: 1\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "a space before the colon of a trailer",
        "3\r\nabc\r\n0\r\nX : 1\r\n\r\n",
        Refused(400)
    ),
    chunks!("a folded trailer", "3\r\nabc\r\n0\r\n X: 1\r\n\r\n", Refused(400)),
    chunks!(
        "NUL in a trailer",
        "3\r\nabc\r\n0\r\nX: a\0b\r\n\r\n",
        Refused(400)
    ),
    chunks!(
        "a bare line feed behind a trailer",
        "3\r\nabc\r\n0\r\nX: 1\n\r\n",
        Refused(400)
    ),
    chunks!(
        "an extension with a request in quotes",
        "3;a=\"GET /admin HTTP/1.1\"\r\nabc\r\n0\r\n\r\n",
        ABC
    ),
    chunks!("a trailer", "3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n", ABC),
    chunks!(
        "a trailer that is a length",
        "3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
        ABC
    ),
    chunks!(
        "a trailer that impersonates",
        "3\r\nabc\r\n0\r\nImpersonate-User: root\r\n\r\n",
        ABC
    ),
];
