//! What genkan answers by itself, and how its answer ends.

use genkan_proto::v1alpha1::Resource;

use crate::kit::{Backend, Client};
use crate::objects::{mk_api, mk_host, mk_proxy, mk_service, mk_stub, none};
use crate::process::{Process, free_address};
use genkan_kit::http2::{DATA, HEADERS, RawHttp2};

fn resources(backend: &Backend) -> Vec<Resource> {
    let (upstream, endpoints) = mk_service("none", &[]);
    vec![
        mk_proxy("dead", "/proxy/dead/*", mk_host(free_address()), none()),
        mk_proxy("none", "/proxy/none/*", upstream, none()),
        endpoints,
        mk_stub("stub", "/proxy/stub/*", "Invalid", "spec is wrong"),
        mk_api("shop.example", "v1", mk_host(backend.address)),
    ]
}

/// Paths whose answer is an error, and its code.
const REFUSED: [(&str, u16); 5] = [
    ("/nothing.Here/Get", 404),
    ("/proxy/dead/shop.Carts/Get", 502),
    ("/proxy/none/shop.Carts/Get", 503),
    ("/proxy/stub/shop.Carts/Get", 503),
    ("/proxy/a%2E%2E/../x", 400),
];

/// Those that are decided on without a backend, so that their connection can be kept.
const DECIDED: [(&str, u16); 2] = [(REFUSED[0].0, 404), (REFUSED[3].0, 503)];

fn fields<'f>(method: &'f str, path: &'f str, content_type: &'f str) -> Vec<(&'f str, &'f [u8])> {
    let all = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "gw.example"),
        (":path", path),
        ("content-type", content_type),
    ];
    all.map(|(name, value)| (name, value.as_bytes())).to_vec()
}

#[tokio::test]
async fn of_http2_end_with_their_head_where_they_have_no_body() {
    let (process, backend) = (Process::start(&[]).await, Backend::ok().await);
    process.operator.publish(resources(&backend)).await;
    let headless = &[(HEADERS, true)][..];
    let whole = &[(HEADERS, false), (DATA, true)][..];
    let mut rows = vec![
        ("GET", "/proxy/dead", "text/plain", headless),
        ("HEAD", "/proxy/dead", "text/plain", headless),
        ("OPTIONS", "*", "text/plain", headless),
        ("GET", "/kapis", "text/plain", whole),
        ("HEAD", "/kapis", "text/plain", headless),
        ("POST", "/nothing", "application/grpc-web", whole),
    ];
    for (path, _) in REFUSED {
        rows.push(("POST", path, "application/grpc", headless));
        rows.push(("HEAD", path, "text/plain", headless));
        rows.push(("GET", path, "text/plain", whole));
        rows.push(("OPTIONS", path, "text/plain", whole));
        rows.push(("POST", path, "text/plain", whole));
    }
    for (method, path, content_type, expected) in rows {
        let what = format!("{method} {path} {content_type}");
        let mut raw = RawHttp2::connect(process.address).await;
        let fields = fields(method, path, content_type);
        let stream = raw.request(&fields).await;
        assert_eq!(raw.frames_of(stream).await, expected, "{what}");
        if method == "POST" {
            let stream = raw.begin(&fields).await;
            raw.data(stream, b"\0\0\0\0\0", true).await;
            assert_eq!(raw.frames_of(stream).await, expected, "{what} with a body");
            // The answer does not wait for the end of the request.
            let stream = raw.begin(&fields).await;
            assert_eq!(raw.frames_of(stream).await, expected, "{what} without its end");
            raw.data(stream, b"", true).await;
            let stream = raw.request(&fields).await;
            assert_eq!(raw.frames_of(stream).await, expected, "{what} again");
        }
    }
}

#[tokio::test]
async fn of_http1_keep_their_connection_and_their_framing() {
    let (process, backend) = (Process::start(&[]).await, Backend::ok().await);
    process.operator.publish(resources(&backend)).await;
    for method in ["GET", "HEAD", "OPTIONS", "POST"] {
        for content_type in ["text/plain", "application/grpc"] {
            for (path, code) in DECIDED {
                let what = format!("{method} {path} {content_type}");
                let mut client = Client::connect(process.address).await;
                let head = format!(
                    "{method} {path} HTTP/1.1\r\nHost: gw.example\r\nContent-Type: {content_type}\r\n\r\n"
                );
                for _ in 0..2 {
                    client.send(&head).await;
                    assert!(client.until("\r\n\r\n").await, "{what}");
                    let text = String::from_utf8_lossy(&client.buffered).into_owned();
                    let lower = text.to_lowercase();
                    let code = if content_type == "text/plain" { code } else { 200 };
                    assert!(text.starts_with(&format!("HTTP/1.1 {code}")), "{what}: {text}");
                    assert!(lower.contains("connection: keep-alive"), "{what}: {text}");
                    if method == "HEAD" {
                        assert!(text.ends_with("\r\n\r\n"), "{what}: {text}");
                        client.buffered.clear();
                    } else {
                        client.answer().await.unwrap();
                    }
                    assert!(client.buffered.is_empty(), "{what}: {text}");
                }
            }
        }
    }
}
