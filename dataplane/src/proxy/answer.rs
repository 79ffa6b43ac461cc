//! Writes answers of our own.

use std::time::Duration;

use bytes::Bytes;
use genkan_routing::answer::{Answer, Form, Head, is_sign};
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Method};
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tokio::time::timeout;

/// What is read of a request that is answered already.
const LITTLE: usize = 64 * 1024;
/// As long as that at most, where the front has set nothing else.
const PATIENCE: Duration = Duration::from_secs(5);

/// How an answer is to be given.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions<'a> {
    pub request_id: &'a str,
    pub form: Form,
    /// The connection cannot be used again.
    pub is_last: bool,
}

/// Writes an answer of our own; `adorn` may change its head.
///
/// # Errors
/// When the client is gone.
pub async fn write(
    answer: &Answer,
    session: &mut Session,
    options: WriteOptions<'_>,
    adorn: impl FnOnce(&mut ResponseHeader),
) -> Result<()> {
    let (head, body) = answer.render(options.form, options.request_id);
    let mut head = engine_head(head)?;
    let signs = signs(&head);
    adorn(&mut head);
    for (name, value) in signs {
        head.insert_header(name, value)?;
    }
    for (name, value) in answer.own_headers() {
        head.append_header(name.clone(), value.clone())?;
    }
    if options.is_last {
        session.set_keepalive(None);
    }
    if body.is_empty() && !session.is_http2() {
        // Or the end of the connection would be the end of the body.
        head.insert_header(CONTENT_LENGTH, "0")?;
    }
    let is_headless = session.req_header().method == Method::HEAD;
    let body = if is_headless {
        Bytes::new()
    } else {
        Bytes::from(body)
    };
    give(&mut session.downstream_session, head, body).await
}

/// A head as the engine takes it.
///
/// # Errors
/// Never in practice: every field is one that HTTP allows.
pub fn engine_head(head: Head) -> Result<ResponseHeader> {
    let mut out = ResponseHeader::build(head.code, Some(head.fields.len()))?;
    for (name, value) in head.fields {
        out.insert_header(name, value)?;
    }
    Ok(out)
}

fn signs(head: &ResponseHeader) -> Vec<(HeaderName, HeaderValue)> {
    let signs = head.headers.iter().filter(|(name, _)| is_sign(name));
    signs.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Writes an answer that is whole. Without a body it is one frame of HTTP/2: what follows a head would not be the end of
/// it for clients of gRPC, and the engine itself never ends a stream with a head.
pub async fn give(session: &mut ServerSession, head: ResponseHeader, body: Bytes) -> Result<()> {
    match session {
        ServerSession::H2(stream) if body.is_empty() => stream.write_response_header(Box::new(head), true),
        session => {
            session.write_response_header(Box::new(head)).await?;
            session.write_response_body(body, true).await
        }
    }
}

/// Reads what is under way of the request behind the answer to it. A stream that is let go of before is reset, which
/// some clients take for the end of the call, whatever was answered.
pub async fn discard(session: &mut ServerSession) {
    let patience = session.get_total_drain_timeout().unwrap_or(PATIENCE);
    let reading = async {
        let mut read = 0;
        while read <= LITTLE && !session.is_body_done() {
            match session.read_request_body().await {
                Ok(Some(piece)) => read += piece.len(),
                Ok(None) | Err(_) => return,
            }
        }
    };
    let _ = timeout(patience, reading).await;
}
