use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use genkan_routing::identity::ANONYMOUS;
use serde::Serialize;

use crate::front::{Refusals, RefusedRequest};
use crate::log::Lines;
use crate::metrics::Metrics;
use crate::timestamp::Timestamp;

/// What is written about a request when it has ended.
#[derive(Debug, Default)]
pub struct Line {
    pub request_id: String,
    /// From `traceparent`, where the client sent one.
    pub trace_id: String,
    pub client: Option<SocketAddr>,
    /// Empty while nobody knows who it is.
    pub user: Arc<str>,
    pub protocol: &'static str,
    pub method: String,
    pub host: String,
    /// Canonical, or as it came when it has no canonical form; without the query, which may hold secrets.
    pub path: String,
    /// 0 when no answer was given.
    pub status: u16,
    /// Why genkan answered itself, or why there was no answer.
    pub reason: Cow<'static, str>,
    /// For operators only; may name addresses.
    pub detail: String,
    /// Kind, and name with namespace.
    pub object: Arc<str>,
    pub upstream: Option<SocketAddr>,
    pub attempts: u32,
    pub is_reused: bool,
    pub took: Duration,
    /// From the head of the request to the head of the backend's answer.
    pub answered: Option<Duration>,
    pub received: usize,
    pub sent: usize,
}

/// Bytes of a text that somebody else wrote, in a line.
pub const SHOWN: usize = 1024;

/// Where access lines go.
#[derive(Debug)]
pub struct Access {
    metrics: Arc<Metrics>,
    log: Lines,
}

/// The line as it is written. A generic formatter of events would take more instructions than all the rest of a request.
#[derive(Serialize)]
struct Record<'l> {
    timestamp: &'l str,
    level: &'static str,
    request_id: &'l str,
    trace_id: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<SocketAddr>,
    user: &'l str,
    protocol: &'static str,
    method: &'l str,
    host: &'l str,
    path: &'l str,
    status: u16,
    reason: &'l str,
    detail: &'l str,
    object: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<SocketAddr>,
    attempts: u32,
    reused: bool,
    took_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_us: Option<u64>,
    received: usize,
    sent: usize,
    target: &'static str,
}

/// Most lines fit.
const USUAL_LENGTH: usize = 640;

// === impl Access ===

impl Access {
    pub fn new(metrics: Arc<Metrics>, log: Lines) -> Self {
        Self { metrics, log }
    }

    /// Hands the line to the log, if the filter lets it pass; waits for nobody.
    pub fn write(&self, line: &Line) {
        if !tracing::enabled!(target: "access", tracing::Level::INFO) {
            return;
        }
        let record = Record {
            timestamp: &Timestamp::now(),
            level: "INFO",
            request_id: &line.request_id,
            trace_id: &line.trace_id,
            client: line.client,
            user: shown(&line.user),
            protocol: line.protocol,
            method: shown(&line.method),
            host: shown(&line.host),
            path: shown(&line.path),
            status: line.status,
            reason: &line.reason,
            detail: shown(&line.detail),
            object: &line.object,
            upstream: line.upstream,
            attempts: line.attempts,
            reused: line.is_reused,
            took_us: micros(line.took),
            answered_us: line.answered.map(micros),
            received: line.received,
            sent: line.sent,
            target: "access",
        };
        let mut text = Vec::with_capacity(USUAL_LENGTH);
        // Strings and numbers in a struct, written into a Vec: there is nothing to fail.
        let _ = serde_json::to_writer(&mut text, &record);
        text.push(b'\n');
        self.log.send(text);
    }
}

/// What the front refuses leaves the same line as everything else.
impl Refusals for Access {
    fn refused(&self, request: &RefusedRequest<'_>) {
        let refused = request.refused;
        self.metrics.answered(refused.reason, refused.code);
        self.write(&Line {
            request_id: request.request_id.to_owned(),
            client: request.client,
            user: ANONYMOUS.into(),
            protocol: request.protocol,
            method: request.method.clone(),
            path: request.target.split('?').next().unwrap_or_default().to_owned(),
            status: refused.code,
            reason: Cow::Borrowed(refused.reason),
            detail: refused.message.clone(),
            ..Line::default()
        });
    }
}

fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN)]
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_json_whatever_they_tell() {
        let (log, written) = Lines::for_tests();
        let access = Access::new(Arc::default(), log);
        let line = Line {
            request_id: "r".into(),
            client: Some(([192, 0, 2, 1], 4711).into()),
            path: "/a\"\\\n\u{7f}\u{202e}".into(),
            status: 404,
            took: Duration::from_micros(1_500),
            ..Line::default()
        };
        tracing::subscriber::with_default(tracing_subscriber::registry(), || access.write(&line));
        let text = String::from_utf8(written.recv().unwrap()).unwrap();
        assert!(text.ends_with("}\n") && text.matches('\n').count() == 1, "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["path"], line.path);
        assert_eq!(
            (&read["client"], &read["took_us"], &read["target"]),
            (&"192.0.2.1:4711".into(), &1_500.into(), &"access".into())
        );
        assert!(read.get("upstream").is_none());
        let time = read["timestamp"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    }
}
