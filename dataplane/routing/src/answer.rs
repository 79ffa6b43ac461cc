//! What genkan answers itself: one form for every protocol and every place that refuses.

mod decided;
pub mod escape;
mod grpc;
pub mod guard;
pub mod links;
pub mod reason;
pub mod redirect;
mod refused;
mod status;

use std::borrow::Cow;
use std::num::NonZero;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};

use crate::connectors;

pub use refused::Refused;
pub use status::{Status, reason_of};

/// An answer that genkan gives itself.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    /// For `x-genkan-reason`, metrics and the log.
    pub reason: Cow<'static, str>,
    pub body: Body,
    /// Beside those that its code and body have; no rule of an object changes them.
    own: Option<Box<OwnHeaders>>,
    /// For the log only: may name internal addresses.
    pub detail: Box<str>,
    /// After how many seconds another attempt makes sense.
    retry_after: Option<NonZero<u32>>,
    /// A policy gave it.
    pub policy: Option<Box<OfPolicy>>,
    /// It is one of the Connector API, which has words of its own; whether methods that write are served there.
    connectors: Option<bool>,
}

/// What an answer has that a policy gave.
#[derive(Debug, Default)]
pub struct OfPolicy {
    /// The step that answers: `EXT/ENTRY/STEP`, or `ReverseProxy shop/policies[1]`.
    pub step: Arc<str>,
    /// In place of those of the same name that genkan would write.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// It is what the step is for, and no error.
    pub is_responded: bool,
}

/// Apart: nearly no answer has them.
#[derive(Debug, Default)]
struct OwnHeaders(Vec<(HeaderName, HeaderValue)>);

#[derive(Debug)]
pub enum Body {
    Status(Status),
    Text(Box<Text>),
    Redirect(HeaderValue),
    Json(String),
}

/// A body of a policy; who speaks gRPC gets its message instead.
#[derive(Debug)]
pub struct Text {
    pub content_type: Option<HeaderValue>,
    pub text: String,
    pub message: String,
}

/// A head without a protocol: the code, and fields by the names that HTTP/1 writes.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub code: u16,
    pub fields: Vec<(&'static str, HeaderValue)>,
}

/// Who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Http,
    /// A failure is told in the head, and nothing follows.
    Grpc,
}

pub const REASON: HeaderName = HeaderName::from_static("x-genkan-reason");
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a server may be asked to do.
pub const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

// === impl Answer ===

impl Answer {
    pub fn status(code: u16, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let body = Body::Status(Status::new(code, message));
        Self {
            code,
            reason: reason.into(),
            body,
            own: None,
            detail: Box::default(),
            retry_after: None,
            policy: None,
            connectors: None,
        }
    }

    /// With a reason in the body that Kubernetes has no word for.
    pub fn of(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        let mut answer = Self::status(code, reason, message);
        if let Body::Status(status) = &mut answer.body {
            status.reason = Cow::Borrowed(reason);
        }
        answer
    }

    pub fn redirect(location: HeaderValue) -> Self {
        Self::elsewhere(308, reason::BARE_PREFIX, location)
    }

    /// A redirect, of any kind.
    pub fn elsewhere(code: u16, reason: &'static str, location: HeaderValue) -> Self {
        Self {
            code,
            reason: reason.into(),
            own: None,
            body: Body::Redirect(location),
            detail: Box::default(),
            retry_after: None,
            policy: None,
            connectors: None,
        }
    }

    /// For this request of this page alone.
    pub fn moved(location: HeaderValue) -> Self {
        Self::elsewhere(307, reason::ESCAPED, location)
    }

    pub fn json(body: String) -> Self {
        Self {
            code: 200,
            reason: reason::DISCOVERY.into(),
            own: None,
            body: Body::Json(body),
            detail: Box::default(),
            retry_after: None,
            policy: None,
            connectors: None,
        }
    }

    /// In the words of the Connector API. `writes`: methods that write are served there.
    pub fn of_connectors(mut self, writes: bool) -> Self {
        if let Body::Status(status) = &mut self.body
            && self.code == 502
        {
            status.reason = Cow::Borrowed(reason_of(500));
        }
        self.connectors = Some(writes);
        self
    }

    pub fn with_detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = detail.into();
        self
    }

    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.own.get_or_insert_default().0.push((name, value));
        self
    }

    /// Those that it was given beside those that its code and body have.
    pub fn own_headers(&self) -> &[(HeaderName, HeaderValue)] {
        self.own.as_ref().map_or(&[], |own| &own.0)
    }

    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = NonZero::new(seconds.max(1));
        self
    }

    /// It is no error, whatever its code: a policy is there to give it.
    pub fn is_responded(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.is_responded)
    }

    /// Head and body, as they are written in any protocol.
    pub fn render(&self, form: Form, request_id: &str) -> (Head, String) {
        let (mut head, body) = match (form, &self.body) {
            (Form::Grpc, Body::Status(status)) => (grpc::trailers_only(status), String::new()),
            (Form::Grpc, Body::Text(body)) => (
                grpc::trailers_only_of_policy(self.code, &body.message),
                String::new(),
            ),
            (_, body) => self.plain(body),
        };
        if self.connectors.is_some() && self.code >= 400 {
            // An answer of a tool never has it.
            head.add("X-Connectors-Error", "gateway");
        }
        head.add("X-Genkan-Reason", &self.reason);
        head.add("X-Request-Id", request_id);
        (head, body)
    }

    fn plain(&self, body: &Body) -> (Head, String) {
        let mut head = Head::new(self.code);
        let body = match body {
            Body::Status(status) => status.to_json(),
            Body::Json(body) => body.clone(),
            Body::Text(body) => {
                let content_type = body.content_type.clone();
                head.fields
                    .extend(content_type.map(|content_type| ("Content-Type", content_type)));
                body.text.clone()
            }
            Body::Redirect(location) => {
                head.fields.push(("Location", location.clone()));
                if self.code == 307 {
                    head.add("Cache-Control", "no-store");
                    head.add("Vary", "Referer");
                }
                String::new()
            }
        };
        if !body.is_empty() && !matches!(self.body, Body::Text(_)) {
            head.add("Content-Type", "application/json");
        }
        head.fields
            .push(("Content-Length", HeaderValue::from(body.len())));
        if let Some(seconds) = self.retry_after {
            head.fields
                .push(("Retry-After", HeaderValue::from(seconds.get())));
        }
        match self.code {
            401 => head.add("WWW-Authenticate", "Bearer"),
            405 => head.add("Allow", self.connectors.map_or(ALLOWED, connectors::methods)),
            _ => {}
        }
        (head, body)
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        match &self.body {
            Body::Status(status) => &status.message,
            Body::Text(body) => &body.message,
            Body::Redirect(_) | Body::Json(_) => "",
        }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self::status(refused.code, refused.reason, refused.message)
    }
}

// === impl Head ===

impl Head {
    pub(crate) fn new(code: u16) -> Self {
        Self {
            code,
            fields: Vec::with_capacity(6),
        }
    }

    /// What no header can hold becomes a word that says so.
    pub(crate) fn add(&mut self, name: &'static str, value: &str) {
        let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(reason::UNKNOWN));
        self.fields.push((name, value));
    }
}

/// What makes an answer recognizable as ours, and one to gRPC readable at all: no rule of an object takes it away.
pub fn is_sign(name: &HeaderName) -> bool {
    [REASON, REQUEST_ID, CONTENT_TYPE].contains(name) || grpc::is_sign(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fields(answer: &Answer, form: Form) -> Vec<(&'static str, String)> {
        let (head, _) = answer.render(form, "1-2");
        let text = |value: HeaderValue| value.to_str().map(ToOwned::to_owned).unwrap();
        head.fields
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect()
    }

    #[test]
    fn refusal_says_how_to_go_on() {
        for (code, name, value) in [
            (401, "WWW-Authenticate", "Bearer"),
            (405, "Allow", ALLOWED),
            (503, "Retry-After", "5"),
        ] {
            let answer = Answer::status(code, "Reason", "message").with_retry_after(5);
            assert!(
                fields(&answer, Form::Http).contains(&(name, value.to_owned())),
                "{code}"
            );
        }
    }

    #[test]
    fn every_form_tells_reason_and_request() {
        let answer = Answer::status(503, "BackendNotFound", "no such Service");
        for form in [Form::Http, Form::Grpc] {
            let fields = fields(&answer, form);
            assert!(
                fields.contains(&("X-Genkan-Reason", "BackendNotFound".to_owned())),
                "{form:?}"
            );
            assert!(fields.contains(&("X-Request-Id", "1-2".to_owned())), "{form:?}");
        }
        assert_eq!(answer.render(Form::Grpc, "1-2").1, "");
    }
}
