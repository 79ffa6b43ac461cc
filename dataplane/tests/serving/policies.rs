//! Policies on the wire: bodies that are read before they are sent on, answers, and who judges a credential.

use std::net::SocketAddr;

use genkan_proto::v1alpha1::{Label, Policies, Resource, SecretAlias, Upstream};
use serde_json::{Value, json};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::kit::Client;
use crate::objects::{mk_host, mk_proxy, mk_secret, none};
use crate::process::Process;

/// Answers each request with the length of its body, what the body begins with, and one header of it.
async fn mk_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut seen, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
                loop {
                    let end = loop {
                        if let Some(at) = seen.windows(4).position(|part| part == b"\r\n\r\n") {
                            break at + 4;
                        }
                        match stream.read(&mut buffer).await {
                            Ok(0) | Err(_) => return,
                            Ok(read) => seen.extend_from_slice(&buffer[..read]),
                        }
                    };
                    let head = String::from_utf8_lossy(&seen[..end]).to_ascii_lowercase();
                    let line = |name: &str| {
                        let mut lines = head.lines();
                        lines
                            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                            .map(str::to_owned)
                    };
                    let length = line("content-length").and_then(|length| length.parse::<usize>().ok());
                    let is_chunked = line("transfer-encoding").is_some();
                    let is_whole = |seen: &[u8]| match (length, is_chunked) {
                        (_, true) => seen.ends_with(b"0\r\n\r\n"),
                        (length, false) => seen.len() >= end + length.unwrap_or_default(),
                    };
                    while !is_whole(&seen) {
                        match stream.read(&mut buffer).await {
                            Ok(0) | Err(_) => return,
                            Ok(read) => seen.extend_from_slice(&buffer[..read]),
                        }
                    }
                    let body = match is_chunked {
                        true => joined(&seen[end..]),
                        false => seen[end..].to_vec(),
                    };
                    let told = json!({
                        "length": body.len(), "begins": String::from_utf8_lossy(&body[..body.len().min(16)]),
                        "mark": line("x-mark"), "authorization": line("authorization"), "expect": line("expect"),
                    })
                    .to_string();
                    seen.clear();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{told}", told.len());
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Speaks HTTP/2 without TLS, and answers with the body that came.
async fn mk_http2() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else {
                    return;
                };
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    tokio::spawn(async move {
                        let (mut body, mut all) = (request.into_body(), Vec::new());
                        while let Some(Ok(piece)) = body.data().await {
                            all.extend_from_slice(&piece);
                        }
                        let head = http::Response::builder().body(()).unwrap();
                        let mut sent = respond.send_response(head, false).unwrap();
                        sent.send_data(all.into(), true).unwrap();
                    });
                }
            });
        }
    });
    address
}

/// Chunks, put together.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = chunks.windows(2).position(|part| part == b"\r\n") {
        let size = std::str::from_utf8(&chunks[..at]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let begin = at + 2;
        body.extend_from_slice(&chunks[begin..begin + size]);
        chunks = &chunks[begin + size + 2..];
        if size == 0 {
            break;
        }
    }
    body
}

fn mk_object(name: &str, backend: SocketAddr, steps: Value) -> Resource {
    Resource {
        requires: vec!["extensions/1".into()],
        policies: Some(Policies {
            steps: steps.to_string(),
            secrets: vec![SecretAlias {
                alias: "keys".into(),
                namespace: "n".into(),
                name: "keys".into(),
                key: String::new(),
            }],
            labels: vec![Label {
                name: "team".into(),
                value: "shop".into(),
            }],
        }),
        ..mk_proxy(name, &format!("/proxy/{name}/*"), mk_host(backend), none())
    }
}

/// The longest body that is read before it is sent on.
const MOST: usize = 65_536;

#[tokio::test]
async fn bodies_that_policies_look_at_arrive_whole_or_not_at_all() {
    let backend = mk_echo().await;
    let process = Process::start(&[]).await;
    let filter = json!([{"use": "filter", "with": {"body": {"maxBytes": 1_000_000}}}]);
    process
        .operator
        .publish(vec![mk_object("p", backend, filter)])
        .await;
    let mut client = Client::connect(process.address).await;
    for size in [0, 1, MOST - 1, MOST, MOST + 1, 1 << 20] {
        for is_chunked in [false, true] {
            let body = "b".repeat(size);
            let request = match is_chunked {
                false => {
                    format!("POST /proxy/p/x HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{body}")
                }
                true if size == 0 => {
                    "POST /proxy/p/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                        .to_owned()
                }
                true => format!(
                    "POST /proxy/p/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
                ),
            };
            client.send(request).await;
            let answer = client.answer().await.unwrap();
            let what = format!("{size} {is_chunked}: {}", answer.text());
            if size > MOST {
                assert_eq!(answer.status, 501, "{what}");
                assert_eq!(
                    answer.header("x-genkan-reason"),
                    Some("BodyTooLongForNow"),
                    "{what}"
                );
                client = Client::connect(process.address).await;
                continue;
            }
            assert_eq!(answer.status, 200, "{what}");
            let told: Value = serde_json::from_str(&answer.text()).unwrap();
            assert_eq!(told["length"], size, "{what}");
        }
    }
}

#[tokio::test]
async fn a_body_that_policies_made_goes_in_place_of_the_clients() {
    let backend = mk_echo().await;
    let process = Process::start(&[]).await;
    let steps = json!([{"use": "set", "with": {"body": "made {{ request.body.a }}"}}]);
    process
        .operator
        .publish(vec![mk_object("p", backend, steps)])
        .await;
    let mut client = Client::connect(process.address).await;
    for _ in 0..2 {
        let body = format!("{{\"a\": \"it\", \"rest\": \"{}\"}}", "x".repeat(20_000));
        client
            .send(format!(
                "POST /proxy/p/x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        let answer = client.answer().await.unwrap();
        let told: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(
            (&told["length"], &told["begins"]),
            (&7.into(), &"made it".into()),
            "{told}"
        );
    }
}

#[tokio::test]
async fn steps_for_answers_see_the_body_of_the_request() {
    let backend = mk_echo().await;
    let process = Process::start(&[]).await;
    let steps = json!([
        {"use": "set", "on": "Response", "with": {"headers": {"set": {"x-seen": "{{ request.body.a }}"}}}},
        {"use": "set", "with": {"headers": {"set": {"authorization": "Bearer of-ours"}}}},
    ]);
    process
        .operator
        .publish(vec![mk_object("p", backend, steps)])
        .await;
    let mut client = Client::connect(process.address).await;
    client
        .send("POST /proxy/p/x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}")
        .await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.header("x-seen"), Some("b"), "{}", answer.text());
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    // What a step wrote is no credential of the client.
    assert_eq!(told["authorization"], "bearer of-ours", "{told}");
}

/// A request without a body gets one, where the engine can send it.
#[tokio::test]
async fn a_body_is_made_for_a_request_without_one() {
    let backend = mk_echo().await;
    let process = Process::start(&[]).await;
    let steps = json!([{"use": "set", "with": {"body": "made"}}]);
    let upstream = Upstream {
        http2: true,
        ..mk_host(mk_http2().await)
    };
    let of_http2 = Resource {
        policies: mk_object("q", backend, steps.clone()).policies,
        requires: vec!["extensions/1".into()],
        ..mk_proxy("q", "/proxy/q/*", upstream, none())
    };
    process
        .operator
        .publish(vec![mk_object("p", backend, steps), of_http2])
        .await;
    let mut client = Client::connect(process.address).await;
    client.send("GET /proxy/p/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.answer().await.unwrap();
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(
        (&told["length"], &told["begins"]),
        (&4.into(), &"made".into()),
        "{told}"
    );
    // It is replaced, or the request is refused; it is never sent with a wrong length.
    client
        .send("POST /proxy/q/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
        .await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "made"));
    client.send("GET /proxy/q/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.answer().await.unwrap();
    assert_eq!(
        (answer.status, answer.header("x-genkan-reason")),
        (501, Some("Unsupported")),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn who_waits_for_leave_to_send_gets_it_and_the_backend_is_not_asked() {
    let backend = mk_echo().await;
    let process = Process::start(&[]).await;
    let filter = json!([{"use": "filter", "with": {"body": {"maxBytes": 100}}}]);
    process
        .operator
        .publish(vec![mk_object("p", backend, filter)])
        .await;
    let mut client = Client::connect(process.address).await;
    client
        .send("POST /proxy/p/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await;
    assert!(client.until("HTTP/1.1 100 Continue\r\n\r\n").await);
    client.buffered.clear();
    client.send("ok").await;
    let answer = client.answer().await.unwrap();
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(
        (&told["length"], &told["expect"]),
        (&2.into(), &Value::Null),
        "{told}"
    );
}

#[tokio::test]
async fn steps_answer_in_their_own_words_and_nobody_else_judges_what_they_do() {
    let backend = mk_echo().await;
    let process = Process::start(&[]).await;
    let (secret, value) = mk_secret("keys", "k-1");
    let steps = json!([
        {"use": "apiKey", "with": {"keys": {"secret": "keys"}}},
        {"use": "switch", "with": {"cases": [{
            "when": "request.method == \"DELETE\"",
            "steps": [{"use": "throw", "with": {"error": "NoDelete", "status": 403, "message": "not here"}}],
        }]}},
        {"use": "cors", "with": {"origins": ["https://app.test"]}},
        {"use": "set", "with": {"headers": {"set": {"X-Mark": "{{ auth.key }}"}}}},
    ]);
    let mut object = mk_object("p", backend, steps);
    object.secrets = vec![secret.key.clone()];
    *process.operator.heard().secrets.lock() = vec![value];
    process.operator.publish(vec![secret, object]).await;
    let mut client = Client::connect(process.address).await;
    let mut ask = async |line: &str, more: &str| {
        client
            .send(format!("{line} /proxy/p/x HTTP/1.1\r\nHost: a\r\n{more}\r\n"))
            .await;
        client.answer().await.unwrap()
    };
    let answer = ask("GET", "").await;
    assert_eq!(
        (answer.status, answer.header("x-genkan-reason")),
        (401, Some("KeyMissing"))
    );
    let answer = ask("GET", "x-api-key: wrong\r\n").await;
    assert_eq!(
        (answer.status, answer.header("x-genkan-reason")),
        (401, Some("KeyInvalid"))
    );
    let answer = ask("GET", "x-api-key: k-1\r\nOrigin: https://app.test\r\n").await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://app.test")
    );
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(told["mark"], "key", "{told}");
    let answer = ask("DELETE", "x-api-key: k-1\r\n").await;
    assert_eq!(
        (answer.status, answer.header("x-genkan-reason")),
        (403, Some("NoDelete"))
    );
    assert!(answer.text().contains("not here"), "{}", answer.text());
    // Preflights need no right and no key.
    let preflight = "Origin: https://app.test\r\nAccess-Control-Request-Method: GET\r\n";
    let answer = ask("OPTIONS", preflight).await;
    assert_eq!(
        (answer.status, answer.header("x-genkan-reason")),
        (204, Some("Preflight"))
    );
}
