use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::front::{Refusals, RefusedRequest};
use crate::metrics::Metrics;
use genkan_routing::identity::ANONYMOUS;

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
}

// === impl Access ===

impl Access {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }

    pub fn write(&self, line: &Line) {
        tracing::info!(
            target: "access",
            request_id = line.request_id,
            trace_id = line.trace_id,
            client = line.client.map(tracing::field::display),
            user = shown(&line.user),
            protocol = line.protocol,
            method = shown(&line.method),
            host = shown(&line.host),
            path = shown(&line.path),
            status = line.status,
            reason = %line.reason,
            detail = shown(&line.detail),
            object = &*line.object,
            upstream = line.upstream.map(tracing::field::display),
            attempts = line.attempts,
            reused = line.is_reused,
            took_us = micros(line.took),
            answered_us = line.answered.map(micros),
            received = line.received,
            sent = line.sent,
        );
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
