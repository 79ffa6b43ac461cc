//! Where a body ends, as its head says.

use super::Section;
use super::requests::Then::{EndsWith, Refused};
use super::requests::{Attack, attack, carry_out, raw};
use super::stage::Stage;

const POST: &str = "POST /proxy/x HTTP/1.1";

pub async fn section(stage: &Stage) -> Section {
    let preface = "A head says in one way where its body ends. A refusal closes the connection.";
    Section::new(
        "Framing: lengths and codings",
        preface,
        carry_out(ATTACKS, stage).await,
    )
}

const ATTACKS: &[Attack] = &[
    attack(
        "a length and a coding",
        POST,
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        Refused(400),
    ),
    attack(
        "another coding",
        POST,
        "Transfer-Encoding: xchunked\r\n",
        Refused(400),
    ),
    attack(
        "a coding behind chunked",
        POST,
        "Transfer-Encoding: chunked, identity\r\n",
        Refused(400),
    ),
    attack(
        "a coding before chunked",
        POST,
        "Transfer-Encoding: gzip, chunked\r\n",
        Refused(501),
    ),
    attack(
        "chunked twice",
        POST,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        Refused(400),
    ),
    attack(
        "chunked in HTTP/1.0",
        "POST /proxy/x HTTP/1.0",
        "Transfer-Encoding: chunked\r\n",
        Refused(400),
    ),
    attack(
        "two lengths",
        POST,
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        Refused(400),
    ),
    attack(
        "one length twice",
        POST,
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        Refused(400),
    ),
    attack(
        "a list of lengths",
        POST,
        "Content-Length: 3, 3\r\n",
        Refused(400),
    ),
    attack(
        "a length with a sign",
        POST,
        "Content-Length: +3\r\n",
        Refused(400),
    ),
    attack(
        "a length with a zero in front",
        POST,
        "Content-Length: 03\r\n",
        Refused(400),
    ),
    attack(
        "an endless length",
        POST,
        "Content-Length: 18446744073709551616\r\n",
        Refused(400),
    ),
    attack(
        "a coding and a length",
        POST,
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n",
        Refused(400),
    ),
    attack(
        "chunked in other letters beside a length",
        POST,
        "Content-Length: 3\r\ntRANSFER-eNCODING: cHUNKED\r\n\r\n0\r\n",
        Refused(400),
    ),
    attack(
        "chunked twice on a line",
        POST,
        "Transfer-Encoding: chunked, chunked\r\n",
        Refused(400),
    ),
    attack("an empty coding", POST, "Transfer-Encoding:\r\n", Refused(400)),
    attack(
        "a coding with a comma",
        POST,
        "Transfer-Encoding: chunked,\r\n",
        Refused(400),
    ),
    attack(
        "a coding with a parameter",
        POST,
        "Transfer-Encoding: chunked;q=1\r\n",
        Refused(400),
    ),
    attack(
        "a coding in quotes",
        POST,
        "Transfer-Encoding: \"chunked\"\r\n",
        Refused(400),
    ),
    attack(
        "a vertical tab before the coding",
        POST,
        "Transfer-Encoding: \u{b}chunked\r\n",
        Refused(400),
    ),
    attack(
        "a space before the colon of the coding",
        POST,
        "Transfer-Encoding : chunked\r\n",
        Refused(400),
    ),
    attack(
        "a tab before the colon of the coding",
        POST,
        "Transfer-Encoding\t: chunked\r\n",
        Refused(400),
    ),
    attack(
        "a folded coding",
        POST,
        "Transfer-Encoding:\r\n chunked\r\n",
        Refused(400),
    ),
    raw(
        "an underscore in the name of the coding, which is another header",
        b"POST /proxy/x HTTP/1.1\r\n\
        Host: gw.example\r\n\
        Content-Length: 3\r\nTransfer_Encoding: chunked\r\n\r\nabc",
        EndsWith("abc"),
    ),
    attack(
        "two lengths in a list",
        POST,
        "Content-Length: 3, 4\r\n",
        Refused(400),
    ),
    attack("an empty length", POST, "Content-Length:\r\n", Refused(400)),
    attack("a negative length", POST, "Content-Length: -1\r\n", Refused(400)),
    attack(
        "a length in hexadecimal digits",
        POST,
        "Content-Length: 0x5\r\n",
        Refused(400),
    ),
    attack(
        "a length with a space",
        POST,
        "Content-Length: 5 5\r\n",
        Refused(400),
    ),
    attack(
        "a length with a decimal point",
        POST,
        "Content-Length: 3.0\r\n",
        Refused(400),
    ),
    attack(
        "a length beyond 63 bits",
        POST,
        "Content-Length: 9223372036854775808\r\n",
        Refused(400),
    ),
    raw(
        "a GET with a length",
        b"GET /proxy/x HTTP/1.1\r\n\
        Host: gw.example\r\n\
        Content-Length: 3\r\n\r\nabc",
        EndsWith("abc"),
    ),
    attack(
        "nearly an expectation",
        POST,
        "Expect: y 100-continue\r\nContent-Length: 3\r\n",
        Refused(417),
    ),
    attack(
        "an expectation beside another",
        POST,
        "Expect: 100-continue, x\r\nContent-Length: 3\r\n",
        Refused(417),
    ),
    attack(
        "an expectation twice",
        POST,
        "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 3\r\n",
        Refused(400),
    ),
    attack(
        "another coding on a line of its own",
        POST,
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        Refused(400),
    ),
];
