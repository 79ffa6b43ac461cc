//! What a compile says about an object, for its status.

use genkan_routing::model::{ObjectRef, SetKey};

use crate::sentence::bounded;

/// Bytes of a message: it ends in terminals, dashboards, answers and Events, which take no more. An author's text is part
/// of many, and quoted it is longer than it was.
pub const MAX_MESSAGE: usize = 1024;

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
    /// An endpoint set.
    Endpoints(SetKey),
    /// A host that proxies resolve.
    Host(String),
}

/// The outcome for one object at one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub object: ObjectRef,
    pub accepted: Finding,
    pub resolved: Finding,
    /// Proxies get it, as a route or as a stub.
    pub sent: bool,
    pub backend: Backend,
    /// Members of the status that JSONPath cannot compute for `kubectl get`, such as where requests go.
    pub columns: Vec<(&'static str, String)>,
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
