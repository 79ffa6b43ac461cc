use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use genkan_routing::Status;
use genkan_routing::answer::reason;
use http::{HeaderName, HeaderValue};
use serde_json::json;

/// What a plan answers instead of passing a message on.
#[derive(Clone, Debug)]
pub struct PolicyAnswer {
    pub status: u16,
    /// For `x-genkan-reason`, metrics and the log.
    pub reason: Cow<'static, str>,
    /// The sentence for people.
    pub message: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: AnswerBody,
    /// For `details.causes` of a Status.
    pub causes: Vec<Cause>,
    /// The step that answers: `EXT/ENTRY/STEP`, or `ReverseProxy shop/policies[1]`.
    pub step: Arc<str>,
    pub kind: AnswerKind,
    /// For the log only.
    pub detail: String,
    /// `onError` of a step around it may let the message pass.
    pub(crate) is_skippable: bool,
    /// No `catch` lets the message pass: a step that protects says it, or one stands behind it and was not reached.
    pub(crate) is_final: bool,
}

#[derive(Clone, Debug, Default)]
pub enum AnswerBody {
    /// A Kubernetes Status of code, reason and message.
    #[default]
    Status,
    Raw {
        content_type: Option<HeaderValue>,
        bytes: Bytes,
    },
}

/// Why there is an answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// It is what the step is for: no mistake, and no hook replaces it.
    Responded,
    /// The verdict of a step.
    Refused,
    /// No verdict could be reached.
    Failed,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Such as a JSON pointer; empty if it is about the whole.
    pub field: String,
    pub message: String,
}

// === impl PolicyAnswer ===

impl PolicyAnswer {
    pub(crate) fn new(kind: AnswerKind, status: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            reason: reason.into(),
            message: String::new(),
            headers: Vec::new(),
            body: AnswerBody::Status,
            causes: Vec::new(),
            step: Arc::from(""),
            kind,
            detail: String::new(),
            is_skippable: false,
            is_final: false,
        }
    }

    pub(crate) fn refused(
        status: u16,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            message: message.into(),
            ..Self::new(AnswerKind::Refused, status, reason)
        }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A body is larger than this version puts together before it is sent.
    pub fn body_too_long_for_now(message: impl Into<String>) -> Self {
        Self::refused(501, reason::BODY_TOO_LONG_FOR_NOW, message)
    }

    /// Hooks of `OnError` are about it.
    pub fn is_error(&self) -> bool {
        self.kind != AnswerKind::Responded
    }

    /// The type and the bytes that are sent.
    pub fn render(&self) -> (Option<HeaderValue>, Bytes) {
        match &self.body {
            AnswerBody::Raw { content_type, bytes } => (content_type.clone(), bytes.clone()),
            AnswerBody::Status if matches!(self.status, 204 | 304) => (None, Bytes::new()),
            AnswerBody::Status => (
                Some(HeaderValue::from_static("application/json")),
                Bytes::from(self.to_status()),
            ),
        }
    }

    fn to_status(&self) -> String {
        let status = Status {
            code: self.status,
            reason: self.reason.clone(),
            message: self.message.clone(),
        };
        if self.causes.is_empty() {
            return status.to_json();
        }
        let causes = self.causes.iter();
        let causes: Vec<_> = causes
            .map(|cause| json!({"field": cause.field, "message": cause.message}))
            .collect();
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": {"causes": causes},
            "code": self.status,
        })
        .to_string()
    }
}
