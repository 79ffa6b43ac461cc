//! The Kubernetes `Status` in which genkan answers for itself.

use std::borrow::Cow;

use serde_json::json;

/// A failure, as Kubernetes clients read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub code: u16,
    pub reason: Cow<'static, str>,
    pub message: String,
}

// === impl Status ===

impl Status {
    /// A failure with the reason that Kubernetes (and KubeSphere for 502 and 511) writes for this code.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason_of(code)),
            message: message.into(),
        }
    }

    /// As compact JSON.
    pub fn to_json(&self) -> String {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        })
        .to_string()
    }
}

/// The word that stands as `reason` beside a code.
pub fn reason_of(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        408 | 504 => "Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "RequestEntityTooLarge",
        414 => "RequestURITooLong",
        415 => "UnsupportedMediaType",
        417 => "ExpectationFailed",
        422 => "Invalid",
        429 => "TooManyRequests",
        431 => "RequestHeaderFieldsTooLarge",
        500 => "InternalError",
        501 => "NotImplemented",
        502 => "Bad Gateway",
        503 => "ServiceUnavailable",
        505 => "HTTPVersionNotSupported",
        508 => "LoopDetected",
        511 => "Network Authentication Required",
        _ => "Unknown",
    }
}
