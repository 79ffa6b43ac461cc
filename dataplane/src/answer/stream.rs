use std::time::Duration;

use bytes::Bytes;
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use tokio::time::timeout;

/// What is read of a request that is answered already.
const LITTLE: usize = 64 * 1024;
/// As long as that at most, where the front has set nothing else.
const PATIENCE: Duration = Duration::from_secs(5);

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
