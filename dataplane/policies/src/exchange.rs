mod auth;
mod query;
mod state;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use genkan_routing::model::policy::Direction;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::json;
use crate::step::Definition;

pub use auth::{Auth, Caller, Certificate, Identity, Source};
pub(crate) use query::{Pairs, decoded, encoded};
pub use state::{Later, State};

/// Header fields that a plan reads and changes.
pub trait Headers: Send + Sync {
    fn map(&self) -> &HeaderMap;
    /// Replaces every value of this name.
    fn set(&mut self, name: HeaderName, value: HeaderValue);
    /// Adds a line.
    fn add(&mut self, name: HeaderName, value: HeaderValue);
    /// Removes every line of this name.
    fn remove(&mut self, name: &HeaderName);
}

/// What is fixed about a request while a plan looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'x> {
    pub id: &'x str,
    pub method: &'x str,
    pub scheme: &'x str,
    pub host: &'x str,
    pub path: &'x str,
    /// Without the question mark; the plan may have changed it in [`State::query`].
    pub query: &'x str,
    /// The name of the object, or of its route.
    pub route: &'x str,
    pub source: Source<'x>,
    /// Who was found to call, before the plan.
    pub caller: Caller<'x>,
}

/// The message that a plan may change.
#[allow(missing_debug_implementations, reason = "header fields hold credentials")]
pub enum Stage<'x> {
    Request(&'x mut dyn Headers),
    Response {
        /// Of the request, as it was sent to the backend.
        request: &'x HeaderMap,
        status: &'x mut u16,
        headers: &'x mut dyn Headers,
    },
}

/// One message under a plan.
#[allow(missing_debug_implementations, reason = "header fields hold credentials")]
pub struct Exchange<'x> {
    pub request: Request<'x>,
    pub stage: Stage<'x>,
    /// Of the request, as it came; `None` where it was not read.
    pub body: Option<Bytes>,
    /// What lasts as long as the request.
    pub state: &'x mut State,
    /// Of the definition whose steps run.
    pub(crate) params: Option<Arc<Map<String, Value>>>,
    /// What a hook of `OnError` is about.
    pub(crate) failing: Option<Failing>,
    /// Until when the step at hand has time, by the clock of `Moment::elapsed`.
    pub(crate) deadline: Option<Duration>,
    /// Nothing comes of it but a count.
    pub(crate) is_shadow: bool,
    /// Definitions that were begun and whose `finally` is still to run, with their parameters.
    pub(crate) open: Vec<Open>,
    parsed: OnceLock<Result<Option<Value>, &'static str>>,
}

pub(crate) type Open = (Arc<Definition>, Arc<Map<String, Value>>);

/// The answer that a hook of `OnError` may replace.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    pub(crate) status: u16,
    pub(crate) message: String,
}

// === impl Exchange ===

impl<'x> Exchange<'x> {
    pub fn new(request: Request<'x>, stage: Stage<'x>, state: &'x mut State) -> Self {
        Self {
            request,
            stage,
            body: None,
            state,
            params: None,
            failing: None,
            deadline: None,
            is_shadow: false,
            open: Vec::new(),
            parsed: OnceLock::new(),
        }
    }

    /// With the body of the request, which was read already.
    pub fn with_body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }

    /// With the parameters of a definition that the steps are part of.
    pub fn with_params(mut self, params: Map<String, Value>) -> Self {
        self.params = Some(Arc::new(params));
        self
    }

    /// Zero: the step at hand is too late.
    pub(crate) fn time_left(&self, elapsed: Duration) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_sub(elapsed))
    }

    pub(crate) fn direction(&self) -> Direction {
        match self.stage {
            Stage::Request(_) => Direction::Request,
            Stage::Response { .. } => Direction::Response,
        }
    }

    /// Of the request.
    pub(crate) fn request_headers(&self) -> &HeaderMap {
        match &self.stage {
            Stage::Request(headers) => headers.map(),
            Stage::Response { request, .. } => request,
        }
    }

    /// Of the current message.
    pub(crate) fn headers(&self) -> &HeaderMap {
        match &self.stage {
            Stage::Request(headers) | Stage::Response { headers, .. } => headers.map(),
        }
    }

    pub(crate) fn headers_mut(&mut self) -> &mut dyn Headers {
        match &mut self.stage {
            Stage::Request(headers) | Stage::Response { headers, .. } => *headers,
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match &self.stage {
            Stage::Request(_) => self.failing.as_ref().map(|failing| failing.status),
            Stage::Response { status, .. } => Some(**status),
        }
    }

    /// As it is by now.
    pub(crate) fn query(&self) -> &str {
        self.state.query.as_deref().unwrap_or(self.request.query)
    }

    /// Of the request, as it is by now.
    pub(crate) fn body(&self) -> Option<&Bytes> {
        self.state.body.as_ref().or(self.body.as_ref())
    }

    pub(crate) fn set_body(&mut self, body: Bytes) {
        self.state.body = Some(body);
        self.parsed = OnceLock::new();
    }

    /// The body for expressions: what JSON holds, or a text; `None` where it is empty. Read once, until it is written.
    ///
    /// # Errors
    /// When nobody can say what it holds, in one sentence: that is something else than none.
    pub(crate) fn body_value(&self) -> Result<Option<&Value>, String> {
        let read = || {
            let Some(body) = self.body() else {
                // Hooks for errors look at no body.
                return if self.failing.is_some() {
                    Ok(None)
                } else {
                    Err("the body was not read")
                };
            };
            if body.is_empty() {
                return Ok(None);
            }
            let is_json = match json::media_type(self.request_headers()) {
                Some(kind) => json::is_json(kind),
                None => true,
            };
            if is_json {
                let read = json::read(body).map(Some);
                return read.map_err(|_| "the body is no JSON, or a member of it is named twice");
            }
            Ok(Some(Value::String(String::from_utf8_lossy(body).into_owned())))
        };
        let read = self.parsed.get_or_init(read);
        read.as_ref()
            .map(Option::as_ref)
            .map_err(|problem| (*problem).to_owned())
    }

    /// Who calls, by now.
    pub(crate) fn auth(&self) -> Caller<'_> {
        self.state
            .auth
            .as_ref()
            .map_or(self.request.caller, Auth::as_caller)
    }

    /// To be changed by a step that authenticates.
    pub(crate) fn auth_mut(&mut self) -> &mut Auth {
        let caller = self.request.caller;
        self.state.auth.get_or_insert_with(|| Auth::of(caller))
    }

    /// Runs steps with other parameters.
    pub(crate) fn swap_params(
        &mut self,
        params: Option<Arc<Map<String, Value>>>,
    ) -> Option<Arc<Map<String, Value>>> {
        std::mem::replace(&mut self.params, params)
    }

    /// The query with the question mark, if there is one.
    pub(crate) fn target(&self) -> Cow<'_, str> {
        match self.query() {
            "" => self.request.path.into(),
            query => format!("{}?{query}", self.request.path).into(),
        }
    }
}

impl Headers for HeaderMap {
    fn map(&self) -> &HeaderMap {
        self
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.insert(name, value);
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) {
        self.append(name, value);
    }

    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }
}
