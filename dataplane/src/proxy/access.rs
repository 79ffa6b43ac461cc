pub mod json;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use genkan_routing::identity::ANONYMOUS;

use crate::front::{Refusals, RefusedRequest};
use crate::log::Lines;
use crate::metrics::Metrics;
use crate::timestamp::Timestamp;
use json::Object;

/// What is written about a request when it has ended.
#[derive(Debug, Default)]
pub struct Line {
    /// Of letters, digits and dashes; [`choose`](crate::request_id::choose) sees to that.
    pub request_id: String,
    /// From `traceparent`, where the client sent one; hexadecimal digits.
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
    /// What policies did; absent where the object has none.
    pub policies: Option<Box<PolicyLine>>,
    pub upstream: Option<SocketAddr>,
    pub attempts: u32,
    pub is_reused: bool,
    pub took: Duration,
    /// From the head of the request to the head of the backend's answer.
    pub answered: Option<Duration>,
    pub received: usize,
    pub sent: usize,
}

/// What policies did with a request.
#[derive(Debug, Default)]
pub struct PolicyLine {
    /// The step that answered: `EXT/ENTRY/STEP`, or `ReverseProxy shop/policies[1]`; empty if none did.
    pub step: Arc<str>,
    /// `HeaderOnly` or `EarlyBody`.
    pub class: &'static str,
    pub took: Duration,
    /// Steps with limits that were passed and only warn.
    pub warned: Vec<Arc<str>>,
    /// What `log` steps wrote, by the names that they gave.
    pub fields: Vec<(Arc<str>, String)>,
}

/// Bytes of a text that somebody else wrote, in a line.
pub const SHOWN: usize = 1024;

/// Where access lines go.
#[derive(Debug)]
pub struct Access {
    metrics: Arc<Metrics>,
    log: Lines,
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
        let mut text = Object::with_capacity(USUAL_LENGTH);
        text.plain("{\"timestamp\":", &Timestamp::now());
        text.plain(",\"level\":\"INFO\",\"request_id\":", &line.request_id);
        text.plain(",\"trace_id\":", &line.trace_id);
        if let Some(client) = line.client {
            text.address(",\"client\":", client);
        }
        text.text(",\"user\":", shown(&line.user));
        text.plain(",\"protocol\":", line.protocol);
        text.text(",\"method\":", shown(&line.method));
        text.text(",\"host\":", shown(&line.host));
        text.text(",\"path\":", shown(&line.path));
        text.number(",\"status\":", line.status.into());
        text.text(",\"reason\":", &line.reason);
        text.text(",\"detail\":", shown(&line.detail));
        text.text(",\"object\":", &line.object);
        if let Some(policies) = &line.policies {
            text.text(",\"policy\":", &policies.step);
            text.plain(",\"class\":", policies.class);
            text.number(",\"policy_us\":", micros(policies.took));
            if !policies.warned.is_empty() {
                text.text(",\"warned\":", shown(&policies.warned.join(", ")));
            }
            if !policies.fields.is_empty() {
                text.members(",\"fields\":", &policies.fields);
            }
        }
        if let Some(upstream) = line.upstream {
            text.address(",\"upstream\":", upstream);
        }
        text.number(",\"attempts\":", line.attempts.into());
        text.flag(",\"reused\":", line.is_reused);
        text.number(",\"took_us\":", micros(line.took));
        if let Some(answered) = line.answered {
            text.number(",\"answered_us\":", micros(answered));
        }
        text.number(",\"received\":", line.received as u64);
        text.number(",\"sent\":", line.sent as u64);
        text.plain(",\"target\":", "access");
        self.log.send(text.end());
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
