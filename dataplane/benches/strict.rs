//! What the strict reading of a head costs. The budget of one request is 0.3 µs.
//!
//! `cargo bench -p genkan-dataplane --bench strict` prints a table.

use std::hint::black_box;

use genkan_routing::strict::{HeadScan, Limits, check};
use tokio::time::Instant;

const ROUNDS: u32 = 200_000;

const HEADS: [(&str, &str); 4] = [
    ("small", "GET /proxy/svc/x HTTP/1.1\r\nHost: gw.example\r\n\r\n"),
    (
        "browser",
        "GET /proxy/svc00042/api/v1/things/42?limit=10 HTTP/1.1\r\nHost: gw.example\r\nConnection: keep-alive\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n\
         Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\
         Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n",
    ),
    (
        "upload",
        "POST /kapis/g.example/v1/things HTTP/1.1\r\nHost: gw.example\r\nContent-Type: application/json\r\n\
         Content-Length: 1234\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdef\r\n\r\n",
    ),
    (
        "rewritten",
        "GET http://gw.example/proxy/x HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade, HTTP2-Settings\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    ),
];

fn main() {
    println!("{:>10} {:>6} {:>9}", "head", "bytes", "ns/head");
    for (name, head) in HEADS {
        let limits = Limits::default();
        let judge = || {
            let head = black_box(head.as_bytes());
            black_box(HeadScan::default().advance(head, &limits).is_ok());
            black_box(check(head, &limits).is_ok())
        };
        let from = Instant::now();
        assert!((0..ROUNDS).all(|_| judge()));
        let nanoseconds = from.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS);
        println!("{name:>10} {:>6} {nanoseconds:>9.0}", head.len());
    }
}
