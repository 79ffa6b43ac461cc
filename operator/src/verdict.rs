//! What a compile says about an object, for its status.

use std::fmt;

use crate::object::Kind;
use crate::sentence::bounded;

/// Bytes of a message: it ends in terminals, dashboards, answers and Events, which take no more. An author's text is part
/// of many, and quoted it is longer than it was.
pub const MAX_MESSAGE: usize = 1024;

/// A published object: a ReverseProxy or an APIService.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    pub kind: Kind,
    pub name: String,
}

/// One side of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub ok: bool,
    pub reason: &'static str,
    pub message: String,
}

/// What must answer before the object is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// It is broken, or sent to no proxy.
    None,
    /// The key of an endpoint set, and the Service for people.
    Endpoints { key: String, service: String },
    /// A host that proxies resolve.
    Host(String),
}

/// The outcome for one object at one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub uid: String,
    pub generation: i64,
    pub accepted: Finding,
    pub resolved: Finding,
    /// Proxies get it, as a route or as a stub.
    pub sent: bool,
    pub backend: Backend,
    pub columns: Columns,
}

/// What JSONPath cannot compute for `kubectl get`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// `/kapis/{group}/{version}`; APIService only.
    pub prefix: String,
    /// `svc/{namespace}/{name}:{port}`, or the URL.
    pub upstream: String,
}

// === impl ObjectKey ===

impl ObjectKey {
    pub fn reverse_proxy(name: impl Into<String>) -> Self {
        Self {
            kind: Kind::ReverseProxy,
            name: name.into(),
        }
    }

    pub fn api_service(name: impl Into<String>) -> Self {
        Self {
            kind: Kind::ApiService,
            name: name.into(),
        }
    }

    /// From the key of a resource in the snapshot; `None` if that is no published object.
    pub fn parse(key: &str) -> Option<Self> {
        let (kind, name) = key.split_once('/')?;
        let kind = [Kind::ReverseProxy, Kind::ApiService]
            .into_iter()
            .find(|k| k.name() == kind)?;
        Some(Self {
            kind,
            name: name.into(),
        })
    }
}

/// The key of its resource in the snapshot.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.name)
    }
}

// === impl Finding ===

impl Finding {
    pub fn yes(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            ok: true,
            reason,
            message: bounded(message.into(), MAX_MESSAGE),
        }
    }

    pub fn no(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            ok: false,
            reason,
            message: bounded(message.into(), MAX_MESSAGE),
        }
    }
}
