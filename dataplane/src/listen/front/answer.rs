use genkan_routing::answer::reason;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use genkan_routing::answer::{ALLOWED, Answer, Form, Refused};
use pingora_core::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::FrontConfig;
use crate::access::SHOWN;
use crate::request_id;

/// How long a refused client may go on sending before the connection is cut; closing at once could cost it
/// the answer.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Told of every request that the front answers by itself: refusals, and `OPTIONS *`.
pub trait Refusals: Send + Sync {
    fn refused(&self, request: &RefusedRequest<'_>);
}

/// A request that never reached the engine.
#[derive(Clone, Debug)]
pub struct RefusedRequest<'a> {
    pub request_id: &'a str,
    pub client: Option<SocketAddr>,
    /// Method and target as far as they can be told; escaped.
    pub method: String,
    pub target: String,
    pub protocol: &'static str,
    pub refused: &'a Refused,
}

/// The default of [`Refusals`]: one structured line.
#[derive(Clone, Copy, Debug)]
pub(super) struct AccessLine;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) address: Option<SocketAddr>,
}

// === impl AccessLine ===

impl Refusals for AccessLine {
    fn refused(&self, request: &RefusedRequest<'_>) {
        tracing::info!(
            target: "access",
            request_id = request.request_id,
            client = request.client.map(tracing::field::display),
            method = request.method,
            target = request.target,
            protocol = request.protocol,
            status = request.refused.code,
            reason = request.refused.reason,
            message = request.refused.message,
            "refused"
        );
    }
}

// === impl Client ===

impl Client {
    pub(super) fn of(stream: &Stream) -> Self {
        let digest = stream.get_socket_digest();
        let address = digest.and_then(|digest| digest.peer_addr()?.as_inet().copied());
        Self { address }
    }
}

// === impl RefusedRequest ===

impl<'a> RefusedRequest<'a> {
    pub(super) fn new(
        request_id: &'a str,
        client: Option<SocketAddr>,
        (method, target): (&[u8], &[u8]),
        protocol: &'static str,
        refused: &'a Refused,
    ) -> Self {
        let shown = |part: &[u8]| part[..part.len().min(SHOWN)].escape_ascii().to_string();
        Self {
            request_id,
            client,
            method: shown(method),
            target: shown(target),
            protocol,
            refused,
        }
    }
}

/// Answers a head that is refused and ends the connection. The rest of what the client sends is read and
/// forgotten for a moment, so that a reset does not overtake the answer.
pub(super) async fn refuse(
    mut stream: Stream,
    client: &Client,
    bytes: &[u8],
    refused: &Refused,
    config: &FrontConfig,
) {
    let request_id = request_id::choose(header(bytes, "x-request-id"));
    let (method, target) = request_line(bytes);
    config.record(&RefusedRequest::new(
        &request_id,
        client.address,
        (method, target),
        "HTTP/1.1",
        refused,
    ));
    let (head, body) = Answer::from(refused.clone()).render(Form::Http, &request_id);
    let mut answer = format!("HTTP/1.1 {} {}\r\n", head.code, phrase(head.code)).into_bytes();
    for (name, value) in &head.fields {
        answer.extend_from_slice(name.as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"Connection: close\r\n\r\n");
    if method != b"HEAD" {
        answer.extend_from_slice(body.as_bytes());
    }
    let sent = timeout(config.write_timeout, async {
        stream.write_all(&answer).await?;
        stream.flush().await?;
        AsyncWriteExt::shutdown(&mut stream).await
    });
    if matches!(sent.await, Ok(Ok(()))) {
        let mut rest = [0; 1024];
        let _ = timeout(LINGER, async {
            while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        })
        .await;
    }
}

/// What stands in the access line of `OPTIONS *`, which is no refusal but an answer of the front all the same.
pub(super) const SERVER_OPTIONS: Refused = Refused {
    code: 200,
    reason: reason::SERVER_OPTIONS,
    message: String::new(),
};

/// Answers `OPTIONS *`.
pub(super) async fn server_options(
    stream: &mut Stream,
    client: &Client,
    bytes: &[u8],
    last: bool,
    config: &FrontConfig,
) -> io::Result<()> {
    let request_id = request_id::choose(header(bytes, "x-request-id"));
    let line = (&b"OPTIONS"[..], &b"*"[..]);
    config.record(&RefusedRequest::new(
        &request_id,
        client.address,
        line,
        "HTTP/1.1",
        &SERVER_OPTIONS,
    ));
    let connection = if last { "close" } else { "keep-alive" };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nAllow: {ALLOWED}\r\nContent-Length: 0\r\nX-Request-Id: {request_id}\r\n\
         Connection: {connection}\r\n\r\n"
    );
    timeout(config.write_timeout, async {
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await
    })
    .await?
}

/// A header of a head that nobody has judged: the first line that looks like it.
fn header<'b>(bytes: &'b [u8], name: &str) -> Option<&'b [u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .skip(1)
        .take_while(|line| !line.trim_ascii().is_empty())
        .find_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            line[..colon]
                .eq_ignore_ascii_case(name.as_bytes())
                .then(|| line[colon + 1..].trim_ascii())
        })
}

/// Method and target of a head that nobody has judged.
fn request_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let line = bytes
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn phrase(code: u16) -> &'static str {
    let status = http::StatusCode::from_u16(code).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Refused")
}
