//! How much of anything is read.

use super::Section;
use super::requests::Then::{BrokenOff, EndsWith, Passes, Refused};
use super::requests::{Attack, NOTHING, carry_out, long};
use super::stage::Stage;

pub async fn section(stage: &Stage) -> Section {
    let preface = "A head has 64 KiB, a target 32 KiB, also once it is escaped, and a head 200 lines at most. The line of a chunk \
                   has 1 KiB, trailers 16 KiB.";
    Section::new("Limits", preface, carry_out(ATTACKS, stage).await)
}

const PASSES: super::requests::Then = Passes("get /proxy/", NOTHING);

const PASSES_BODY: super::requests::Then = EndsWith("3\r\nabc\r\n0\r\n\r\n");

fn chunked(body: &str) -> String {
    format!("POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

fn head(length: usize) -> String {
    let (before, after) = ("GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\nX: ", "\r\n\r\n");
    format!(
        "{before}{}{after}",
        "a".repeat(length - before.len() - after.len())
    )
}

fn target(length: usize) -> String {
    let path = format!("/proxy/{}", "a".repeat(length - "/proxy/".len()));
    format!("GET {path} HTTP/1.1\r\nHost: gw.example\r\n\r\n")
}

fn lines(count: usize) -> String {
    let more = "X-A: 1\r\n".repeat(count - 1);
    format!("GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n{more}\r\n")
}

const ATTACKS: &[Attack] = &[
    long(
        "the largest head",
        "a head of 65,536 bytes",
        || head(65_536),
        PASSES,
    ),
    long(
        "a byte more",
        "a head of 65,537 bytes",
        || head(65_537),
        Refused(431),
    ),
    long(
        "a megabyte",
        "a head of 1,200,000 bytes",
        || head(1_200_000),
        Refused(431),
    ),
    long(
        "a head without end",
        "70,000 bytes behind `X: `, and no line end",
        || {
            format!(
                "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\nX: {}",
                "a".repeat(70_000)
            )
        },
        Refused(431),
    ),
    long(
        "the longest target",
        "a target of 32,768 bytes",
        || target(32_768),
        PASSES,
    ),
    long(
        "a byte more of it",
        "a target of 32,769 bytes",
        || target(32_769),
        Refused(414),
    ),
    long(
        "a target longer than a head",
        "a target of 70,000 bytes",
        || target(70_000),
        Refused(414),
    ),
    long(
        "a target without end",
        "70,000 bytes behind `GET /`, and no space",
        || format!("GET /{}", "a".repeat(70_000)),
        Refused(414),
    ),
    long(
        "a path that grows when it is escaped",
        "a target of 32,007 bytes, most of them vertical bars",
        || {
            format!(
                "GET /proxy/{} HTTP/1.1\r\nHost: gw.example\r\n\r\n",
                "|".repeat(32_000)
            )
        },
        Refused(414),
    ),
    long(
        "a path that grows to three times its length",
        "a target of 32,007 bytes, most of them letters that are not ASCII",
        || {
            format!(
                "GET /proxy/{} HTTP/1.1\r\nHost: gw.example\r\n\r\n",
                "\u{e9}".repeat(16_000)
            )
        },
        Refused(414),
    ),
    long(
        "a query that grows when it is escaped",
        "a target of 32,010 bytes, most of them quotation marks",
        || {
            format!(
                "GET /proxy/x?{} HTTP/1.1\r\nHost: gw.example\r\n\r\n",
                "\"".repeat(32_000)
            )
        },
        Refused(414),
    ),
    long(
        "the longest line of a chunk",
        "a chunk size with an extension of 1,022 bytes",
        || chunked(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(1_021))),
        PASSES_BODY,
    ),
    long(
        "a byte more of it",
        "a chunk size with an extension of 1,023 bytes",
        || chunked(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(1_022))),
        Refused(400),
    ),
    long(
        "the largest trailers",
        "trailers of 16,384 bytes with the empty line",
        || chunked(&format!("3\r\nabc\r\n0\r\nx:{}\r\n\r\n", "a".repeat(16_378))),
        PASSES_BODY,
    ),
    long(
        "a byte more of them",
        "trailers of 16,385 bytes",
        || chunked(&format!("3\r\nabc\r\n0\r\nx:{}\r\n\r\n", "a".repeat(16_379))),
        BrokenOff(431),
    ),
    long("the most lines", "200 header lines", || lines(200), PASSES),
    long("a line more", "201 header lines", || lines(201), Refused(431)),
    long(
        "more lines than the engine holds",
        "300 header lines",
        || lines(300),
        Refused(431),
    ),
    long(
        "a name without end",
        "a header whose name has 70,000 bytes",
        || {
            format!(
                "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n{}: 1\r\n\r\n",
                "a".repeat(70_000)
            )
        },
        Refused(431),
    ),
    long(
        "a method without end",
        "a method of 70,000 bytes",
        || {
            format!(
                "{} /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n",
                "A".repeat(70_000)
            )
        },
        Refused(431),
    ),
    long(
        "an identity under a line limit",
        "199 lines of `X-Remote-Extra-A: 1`",
        || {
            format!(
                "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n{}\r\n",
                "X-Remote-Extra-A: 1\r\n".repeat(199)
            )
        },
        Passes("get /proxy/x", "x-remote"),
    ),
];
