pub(crate) mod grpc;
mod stream;

use genkan_routing::reason;
use std::borrow::Cow;

use bytes::Bytes;
use genkan_routing::{Refused, Status};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

/// An answer that genkan gives itself.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    /// For `x-genkan-reason`, metrics and the log.
    pub reason: Cow<'static, str>,
    pub body: Body,
    /// For the log only: may name internal addresses.
    pub detail: String,
    pub hint: Option<Hint>,
}

/// What a program has to know beside the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// How it can say who it is.
    Authenticate,
    /// After how many seconds another attempt makes sense.
    RetryAfter(u32),
}

#[derive(Debug)]
pub enum Body {
    Status(Status),
    Redirect(HeaderValue),
    Json(String),
}

pub(crate) use stream::{discard, give};

pub const REASON: HeaderName = HeaderName::from_static("x-genkan-reason");
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How an answer is to be given.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    pub request_id: &'a str,
    /// In the form of gRPC, if the request is.
    pub is_grpc: bool,
    /// The connection cannot be used again.
    pub is_last: bool,
}

// === impl Answer ===

impl Answer {
    pub fn status(code: u16, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let body = Body::Status(Status::new(code, message));
        Self {
            code,
            reason: reason.into(),
            body,
            detail: String::new(),
            hint: None,
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
        Self {
            code: 308,
            reason: reason::BARE_PREFIX.into(),
            body: Body::Redirect(location),
            detail: String::new(),
            hint: None,
        }
    }

    pub fn json(body: String) -> Self {
        Self {
            code: 200,
            reason: reason::DISCOVERY.into(),
            body: Body::Json(body),
            detail: String::new(),
            hint: None,
        }
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub fn with_hint(mut self, hint: Hint) -> Self {
        self.hint = Some(hint);
        self
    }

    fn build(&self, manner: Manner<'_>) -> Result<(ResponseHeader, Bytes)> {
        let reason = HeaderValue::from_str(&self.reason).unwrap_or(HeaderValue::from_static(reason::UNKNOWN));
        if let (true, Body::Status(status)) = (manner.is_grpc, &self.body) {
            let mut head = grpc::trailers_only(status)?;
            head.insert_header(REASON, reason)?;
            head.insert_header(REQUEST_ID, manner.request_id)?;
            return Ok((head, Bytes::new()));
        }
        let mut head = ResponseHeader::build(self.code, Some(6))?;
        let body = match &self.body {
            Body::Status(status) => status.to_json(),
            Body::Json(body) => body.clone(),
            Body::Redirect(location) => {
                head.insert_header("Location", location)?;
                String::new()
            }
        };
        if !body.is_empty() {
            head.insert_header("Content-Type", "application/json")?;
        }
        head.insert_header("Content-Length", body.len())?;
        match self.hint {
            Some(Hint::Authenticate) => head.insert_header("WWW-Authenticate", "Bearer")?,
            Some(Hint::RetryAfter(seconds)) => head.insert_header("Retry-After", seconds)?,
            None => {}
        }
        head.insert_header(REASON, reason)?;
        head.insert_header(REQUEST_ID, manner.request_id)?;
        Ok((head, Bytes::from(body)))
    }

    /// Writes the answer; `adorn` may change its head.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn write(
        &self,
        session: &mut Session,
        manner: Manner<'_>,
        adorn: impl FnOnce(&mut ResponseHeader),
    ) -> Result<()> {
        let (mut head, body) = self.build(manner)?;
        let signs = signs(&head);
        adorn(&mut head);
        for (name, value) in signs {
            head.insert_header(name, value)?;
        }
        if manner.is_last {
            session.set_keepalive(None);
        }
        let is_headless = session.req_header().method == Method::HEAD;
        if body.is_empty() && !session.is_http2() {
            // Or the end of the connection would be the end of the body.
            head.insert_header(CONTENT_LENGTH, "0")?;
        }
        let body = if is_headless { Bytes::new() } else { body };
        give(&mut session.downstream_session, head, body).await
    }
}

/// What makes an answer recognizable as ours, and one to gRPC readable at all: no rule of an object takes it away.
fn signs(head: &ResponseHeader) -> Vec<(HeaderName, HeaderValue)> {
    let always = [REASON, REQUEST_ID, CONTENT_TYPE];
    let is_sign = |name: &HeaderName| always.contains(name) || grpc::is_sign(name);
    let signs = head.headers.iter().filter(|(name, _)| is_sign(name));
    signs.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self::status(refused.code, refused.reason, refused.message)
    }
}

// === impl Answer: what others say about it ===

impl Answer {
    /// The sentence for people.
    pub fn message(&self) -> String {
        match &self.body {
            Body::Status(status) => status.message.clone(),
            Body::Redirect(_) | Body::Json(_) => String::new(),
        }
    }
}
