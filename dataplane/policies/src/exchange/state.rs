use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::auth::{Auth, Identity};
use crate::failure::Counted;
use crate::meters::Marks;

/// What a request carries from one place of its plan to the next. Empty, it holds no memory of its own.
#[derive(Debug, Default)]
pub struct State {
    pub vars: Map<String, Value>,
    /// Who calls, if a step found another than the access review did.
    pub auth: Option<Auth>,
    /// As whom the backend is told that it comes, if a step says so.
    pub identity: Option<Identity>,
    /// The backend is to see the credential in `Authorization` that a step has judged.
    pub forwards_authorization: bool,
    /// The query of the request, if it was changed.
    pub query: Option<String>,
    /// The body of the request, if it was changed.
    pub body: Option<Bytes>,
    /// For the access line.
    pub log: Vec<(Arc<str>, String)>,
    /// For the head of the answer, whoever gives it.
    pub later: Vec<Later>,
    /// Steps that let a message through and should not have: which, and why.
    pub counted: Vec<(Arc<str>, Counted)>,
    /// Limits that were passed and only warn.
    pub warned: Vec<Arc<str>>,
    /// What is held until the request is over.
    pub(crate) held: Vec<crate::limiters::Held>,
    /// What it met of extensions.
    pub(crate) marks: Marks,
    /// Rules for the fields of the log.
    pub(crate) redactions: Vec<crate::builtins::LogRule>,
}

/// A header field for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Later {
    Set(HeaderName, HeaderValue),
    /// One more line, as `Vary` has.
    Add(HeaderName, HeaderValue),
}

// === impl State ===

impl State {
    /// For a step that must not change anything.
    pub(crate) fn shadow(&self) -> Self {
        Self {
            vars: self.vars.clone(),
            auth: self.auth.clone(),
            identity: self.identity.clone(),
            forwards_authorization: self.forwards_authorization,
            query: self.query.clone(),
            body: self.body.clone(),
            ..Self::default()
        }
    }

    /// One more header for the answer; a later word on a name is the one that counts.
    pub(crate) fn set_later(&mut self, name: HeaderName, value: HeaderValue) {
        self.later.retain(|later| match later {
            Later::Set(other, _) => *other != name,
            Later::Add(..) => true,
        });
        self.later.push(Later::Set(name, value));
    }
}
