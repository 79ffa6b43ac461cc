//! What the parts of the operator tell each other: it stands below all of them.

mod absence;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use genkan_compile::index::Change;
use genkan_compile::object::Kind;
use genkan_routing::model::policy::{ActiveRevisions, ExtensionReport, RolloutState};
use genkan_routing::model::{Escape, Health, ObjectKey, Objection, Report, Use};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::budgets::Budgets;
use crate::fleet::SessionId;
use crate::snapshot::{HashKey, Scope};
pub use absence::Absence;

/// Uids of the Pods that exist.
pub type Pods = Arc<BTreeSet<String>>;

/// What the engine is told.
#[derive(Debug)]
pub enum Input {
    Changes(Vec<Change>),
    /// Nothing of the kind can be read, or it can be again.
    Absent(Kind, Option<Absence>),
    Connected {
        name: String,
        instance: String,
        session: SessionId,
        /// It can do what one does for all.
        does_duties: bool,
        /// What is active there of extensions.
        active: ActiveRevisions,
        reply: oneshot::Sender<String>,
    },
    Acknowledged {
        name: String,
        session: SessionId,
        sequence: u64,
        /// What the objections are all there are of.
        scope: Scope,
        objections: Vec<Objection>,
    },
    Reported {
        name: String,
        session: SessionId,
        health: Health,
    },
    /// What came of duties.
    Reports {
        session: SessionId,
        reports: Vec<Report>,
    },
    /// How far a data plane has come with a roll-out.
    RolledOut {
        name: String,
        session: SessionId,
        state: RolloutState,
    },
    /// How an extension does on one data plane.
    ExtensionReport {
        name: String,
        session: SessionId,
        report: ExtensionReport,
    },
    /// What PodDisruptionBudgets say about the Pods of the data plane.
    Budgets(Budgets),
    /// Whose credentials were used.
    Used(Vec<Use>),
    /// Pages of web UIs asked for paths outside of theirs.
    Escaped(Vec<Escape>),
    Disconnected {
        name: String,
        session: SessionId,
    },
    Written(WriteOutcome),
    /// Under which secrets are hashed from now on.
    HashKey(HashKey),
    /// This replica writes status from now on, or no longer.
    Leading(bool),
}

/// What became of a write.
#[derive(Debug)]
pub enum WriteOutcome {
    Done {
        key: ObjectKey,
        uid: String,
        /// Resource versions before and after the write.
        before: String,
        after: String,
        status: Value,
    },
    /// The object is newer than the write, or the API server did not take it: to be looked at again after this, in case
    /// no event comes.
    Refused { key: ObjectKey, again: Duration },
}
