//! What a compile says about an object, for its status.

use std::sync::Arc;

use genkan_extensions::revision::Revision;
use genkan_extensions::status::{EntryState, Unresolved};
use genkan_extensions::{Deploy, Refused};
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
    /// Further members of the status.
    pub members: serde_json::Map<String, serde_json::Value>,
    /// What kinds of Connectors have instead of the two findings above.
    pub tool: Option<ToolVerdict>,
    /// What a GatewayExtension has instead.
    pub extension: Option<Box<ExtensionVerdict>>,
}

/// What is known of a GatewayExtension without the data planes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExtensionVerdict {
    /// In the order of applying.
    pub entries: Vec<EntryVerdict>,
    pub archive_error: Option<Refused>,
    pub unresolved: Vec<Unresolved>,
    /// Something that it names has not been looked at yet.
    pub is_pending: bool,
    pub is_suspended: bool,
    pub skipped: Vec<String>,
    pub warnings: Vec<String>,
    pub is_from_legacy: bool,
    /// Objects that use its policies, as people write them.
    pub used_by: Vec<String>,
    /// What would change, a line each.
    pub plan: Vec<String>,
    /// What was complete everywhere.
    pub stable: Option<String>,
    /// Revisions that are kept, the newest first: that is what is meant.
    pub history: Vec<Arc<Revision>>,
    /// A data plane that begins takes the stable one.
    pub restores_stable: bool,
}

/// What is known of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryVerdict {
    pub name: String,
    pub kind: String,
    pub deploy: Deploy,
    pub order: i32,
    pub digest: Option<String>,
    pub provides: Vec<String>,
    pub state: EntryState,
    pub reason: Option<String>,
    pub message: Option<String>,
}

impl Eq for ExtensionVerdict {}

// === impl ExtensionVerdict ===

impl ExtensionVerdict {
    /// What is meant; absent while nothing was accepted.
    pub fn target(&self) -> Option<&Arc<Revision>> {
        self.history.first()
    }
}

/// The conditions of a Connector or a class.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolVerdict {
    pub conditions: Vec<ToolCondition>,
    /// Further members of the status.
    pub status: serde_json::Map<String, serde_json::Value>,
}

impl Eq for ToolVerdict {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCondition {
    pub kind: &'static str,
    /// `None`: nobody knows yet.
    pub is_true: Option<bool>,
    /// May be empty where it is true.
    pub reason: &'static str,
    pub message: String,
    /// It counts for `Ready`.
    pub counts: bool,
}

// === impl ToolCondition ===

impl ToolCondition {
    pub fn yes(kind: &'static str, reason: &'static str) -> Self {
        Self::of(kind, Some(true), reason, "")
    }

    pub fn no(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::of(kind, Some(false), reason, message)
    }

    pub fn unknown(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::of(kind, None, reason, message)
    }

    fn of(
        kind: &'static str,
        is_true: Option<bool>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            is_true,
            reason,
            message: bounded(message.into(), MAX_MESSAGE),
            counts: true,
        }
    }

    /// It is told, and does not count for `Ready`.
    #[must_use]
    pub fn of_information(self) -> Self {
        Self {
            counts: false,
            ..self
        }
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
