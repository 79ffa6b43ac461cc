//! Refusals: code, reason and sentence.

/// Why a request is refused, as the answer to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The HTTP status code.
    pub code: u16,
    /// Value of `x-genkan-reason`.
    pub reason: &'static str,
    /// One sentence for the client.
    pub message: String,
}

// === impl Refused ===

impl Refused {
    /// `reason` is explained to operators, `message` to clients.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
        }
    }

    pub(crate) fn bad_request(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, reason, message)
    }

    /// The head or its framing can be read in more than one way.
    pub fn framing(message: impl Into<String>) -> Self {
        Self::bad_request("Framing", message)
    }

    pub(crate) fn host(message: impl Into<String>) -> Self {
        Self::bad_request("HostRefused", message)
    }

    pub(crate) fn target(message: impl Into<String>) -> Self {
        Self::bad_request("PathRefused", message)
    }

    pub(crate) fn nomination(token: &str) -> Self {
        Self::bad_request(
            "ConnectionRefused",
            format!("the Connection header must not name {token}"),
        )
    }

    pub(crate) fn method(method: &str) -> Self {
        Self {
            code: 405,
            reason: "MethodRefused",
            message: format!("the method {method} is not served"),
        }
    }

    /// The client took longer than `seconds` for its head.
    pub fn timeout(seconds: u64) -> Self {
        Self {
            code: 408,
            reason: "RequestTimeout",
            message: format!("the request head did not arrive within {seconds} seconds"),
        }
    }

    /// There are as many requests as there are files for.
    pub fn busy() -> Self {
        Self {
            code: 503,
            reason: "TooManyAtOnce",
            message: "too many requests are being answered; try again".to_owned(),
        }
    }

    pub(crate) fn target_too_long(limit: usize) -> Self {
        Self {
            code: 414,
            reason: "TargetTooLong",
            message: format!("the request target is longer than {limit} bytes"),
        }
    }

    pub(crate) fn head_too_large(limit: usize) -> Self {
        Self {
            code: 431,
            reason: "HeaderTooLarge",
            message: format!("the request head is larger than {limit} bytes"),
        }
    }

    pub(crate) fn too_many_headers(limit: usize) -> Self {
        Self {
            code: 431,
            reason: "HeaderTooLarge",
            message: format!("the request has more than {limit} header lines"),
        }
    }

    pub(crate) fn expectation() -> Self {
        Self::new(417, "Framing", "the Expect header must be 100-continue")
    }

    pub(crate) fn trailers_too_large(limit: usize) -> Self {
        Self {
            code: 431,
            reason: "HeaderTooLarge",
            message: format!("the trailers of the request are larger than {limit} bytes"),
        }
    }

    pub(crate) fn transfer_coding() -> Self {
        Self {
            code: 501,
            reason: "TransferCoding",
            message: "no transfer coding but chunked is understood".to_owned(),
        }
    }

    pub(crate) fn version() -> Self {
        Self {
            code: 505,
            reason: "VersionRefused",
            message: "only HTTP/1.0 and HTTP/1.1 are spoken in this form".to_owned(),
        }
    }
}
