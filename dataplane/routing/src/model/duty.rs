//! What one data plane does for all, and what came of it.

use super::{ObjectRef, SecretKey};

/// A question that one data plane asks for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// One for the life of what has to be done.
    pub name: String,
    /// Rises whenever it is given to somebody, or is another one.
    pub turn: u64,
    /// Its plan, which is a secret.
    pub plan: SecretKey,
}

/// What came of a duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub duty: String,
    pub turn: u64,
    pub outcome: Probed,
}

/// What a tool answered, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    pub is_good: bool,
    /// It answered at all.
    pub has_answered: bool,
    /// One sentence without a secret; empty if all is well.
    pub message: String,
}

/// Pages of a web UI asked for paths outside of its prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escape {
    pub object: ObjectRef,
    /// The last of them, escaped and bounded.
    pub path: String,
    /// Since the last report.
    pub count: u64,
}

/// A request carried the credential of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub object: ObjectRef,
    /// Seconds since 1970.
    pub at: u64,
}
