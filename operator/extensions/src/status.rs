//! What a GatewayExtension says of itself: conditions and columns.

use serde::{Deserialize, Serialize};

use crate::refusal::Refused;

/// What has become of an entry.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum EntryState {
    Pending,
    Accepted,
    Rejected,
    Deploying,
    Deployed,
    /// A data plane refused it.
    Degraded,
    /// Removed from the list, and still in use.
    Blocked,
    Removing,
}

/// An entry, as far as the conditions are concerned.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct EntryStatus {
    pub name: String,
    pub state: EntryState,
    /// Data planes that have it.
    #[serde(default)]
    pub deployed: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a roll-out says of itself: a phase, or the stage of the Pod in hand.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct RolloutStatus {
    pub phase: Shown,
    /// Data planes that are through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What the column shows of a roll-out.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Shown {
    Idle,
    AwaitingApproval,
    Rolling,
    Draining,
    Applying,
    Verifying,
    Readying,
    Soaking,
    Paused,
    RollingBack,
    RolledBack,
    Complete,
}

/// Why a reference leads nowhere.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Unresolved {
    /// Such as `SecretNotFound`.
    pub reason: String,
    pub message: String,
}

/// All that the conditions are made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    pub entries: Vec<EntryStatus>,
    /// Data planes that are connected.
    pub pods: usize,
    pub rollout: Option<RolloutStatus>,
    pub archive_error: Option<Refused>,
    pub unresolved: Vec<Unresolved>,
    /// What was left out of the entries.
    pub skipped: Vec<String>,
    pub converted_from_legacy: bool,
}

/// A condition, without the times of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    #[serde(skip)]
    pub kind: &'static str,
    #[serde(serialize_with = "as_text")]
    pub status: bool,
    pub reason: String,
    pub message: String,
}

/// What `kubectl get` shows; a column without content is `-`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct Columns {
    pub entries: String,
    pub ready: String,
    pub deployed: String,
    pub rollout: String,
    pub reason: String,
}

const LEGACY: &str = "the archive has no manifest.json; its scripts are one deferred entry";

/// Conditions in their order, and the columns.
pub fn status(observed: &Observed) -> (Vec<Condition>, Columns) {
    let accepted = observed.accepted();
    let resolved = observed.resolved();
    let deployed = observed.deployed(&accepted);
    let judged = [accepted, resolved, deployed];
    let ready = match judged.iter().find(|condition| !condition.status) {
        Some(first) => Condition {
            kind: "Ready",
            ..first.clone()
        },
        None => holds("Ready", "Ready"),
    };
    let columns = observed.columns(&judged[2], &ready);
    let mut conditions = Vec::from(judged);
    conditions.push(ready);
    if let Some(first) = observed.skipped.first() {
        let message = match observed.skipped.len() {
            1 => format!("1 item was skipped: {first}"),
            many => format!("{many} items were skipped: {first}"),
        };
        conditions.push(Condition {
            message,
            ..holds("Degraded", "UnsupportedSkipped")
        });
    }
    if observed.converted_from_legacy {
        conditions.push(Condition {
            message: LEGACY.to_owned(),
            ..holds("ConvertedFromLegacy", "Filestore")
        });
    }
    (conditions, columns)
}

// === impl Observed ===

impl Observed {
    fn with(&self, state: EntryState) -> impl Iterator<Item = &EntryStatus> {
        self.entries.iter().filter(move |entry| entry.state == state)
    }

    /// Entries that are not rejected.
    fn taken(&self) -> impl Iterator<Item = &EntryStatus> {
        let is_taken = |entry: &&EntryStatus| entry.state != EntryState::Rejected;
        self.entries.iter().filter(is_taken)
    }

    /// Data planes that have every entry.
    fn complete(&self) -> usize {
        let least = self.taken().map(|entry| entry.deployed).min();
        let none = if self.entries.is_empty() { self.pods } else { 0 };
        least.unwrap_or(none).min(self.pods)
    }

    fn accepted(&self) -> Condition {
        if let Some(refused) = &self.archive_error {
            return fails("Accepted", refused.reason.as_str(), &refused.message);
        }
        let mut rejected = self.with(EntryState::Rejected);
        let Some(first) = rejected.next() else {
            return holds("Accepted", "Accepted");
        };
        let name = &first.name;
        let more = match rejected.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = first.message.as_deref().unwrap_or_default();
        let reason = first.reason.as_deref().unwrap_or("Invalid");
        fails("Accepted", reason, &format!("entry {name}{more}: {message}"))
    }

    fn resolved(&self) -> Condition {
        match self.unresolved.first() {
            Some(first) => fails("ResolvedRefs", &first.reason, &first.message),
            None => holds("ResolvedRefs", "ResolvedRefs"),
        }
    }

    /// The first of what stands in the way.
    fn deployed(&self, accepted: &Condition) -> Condition {
        let fails = |reason: &str, message: &str| fails("Deployed", reason, message);
        if !accepted.status && self.entries.is_empty() {
            return fails("NotAccepted", "no revision was accepted yet");
        }
        if self.pods == 0 {
            return fails("NoProxies", "no data plane is connected");
        }
        if let Some(entry) = self.with(EntryState::Degraded).next() {
            let message = entry.message.as_deref().unwrap_or_default();
            return fails("RejectedByProxy", &format!("entry {}: {message}", entry.name));
        }
        let complete = self.complete();
        let counted = format!("{complete}/{} data planes have every entry", self.pods);
        if let Some(rollout) = &self.rollout
            && let Some(reason) = rollout.phase.reason()
        {
            return fails(reason, rollout.message.as_deref().unwrap_or(&counted));
        }
        if let Some(entry) = self.with(EntryState::Blocked).next() {
            return fails("Blocked", entry.message.as_deref().unwrap_or_default());
        }
        if complete < self.pods && self.taken().next().is_some() {
            return fails("WaitingForProxies", &counted);
        }
        if self.archive_error.is_some() {
            return fails("NotAccepted", "the revision that was accepted last is deployed");
        }
        if !accepted.status {
            let (taken, all) = (self.taken().count(), self.entries.len());
            let message = format!("{taken}/{all} entries are accepted; those are deployed");
            return fails("NotAccepted", &message);
        }
        holds("Deployed", "Deployed")
    }

    fn columns(&self, deployed: &Condition, ready: &Condition) -> Columns {
        let rollout = match &self.rollout {
            Some(rollout) if rollout.phase != Shown::Idle => {
                let phase = rollout.phase.as_str();
                match rollout.done {
                    Some(done) => format!("{phase} {done}/{}", self.pods),
                    None => phase.to_owned(),
                }
            }
            Some(_) | None if deployed.status => Shown::Complete.as_str().to_owned(),
            Some(_) | None => "-".to_owned(),
        };
        Columns {
            entries: format!("{}/{}", self.taken().count(), self.entries.len()),
            ready: text(ready.status).to_owned(),
            deployed: format!("{}/{}", self.complete(), self.pods),
            rollout,
            reason: ready.reason.clone(),
        }
    }
}

// === impl Shown ===

impl Shown {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Rolling => "Rolling",
            Self::Draining => "Draining",
            Self::Applying => "Applying",
            Self::Verifying => "Verifying",
            Self::Readying => "Readying",
            Self::Soaking => "Soaking",
            Self::Paused => "Paused",
            Self::RollingBack => "RollingBack",
            Self::RolledBack => "RolledBack",
            Self::Complete => "Complete",
        }
    }

    /// Why `Deployed` is not True in this phase.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Idle | Self::Complete => None,
            Self::AwaitingApproval => Some("AwaitingApproval"),
            Self::Paused => Some("Paused"),
            Self::RolledBack => Some("RolledBack"),
            Self::Rolling
            | Self::Draining
            | Self::Applying
            | Self::Verifying
            | Self::Readying
            | Self::Soaking
            | Self::RollingBack => Some("RollingOut"),
        }
    }
}

fn holds(kind: &'static str, reason: &str) -> Condition {
    Condition {
        kind,
        status: true,
        reason: reason.to_owned(),
        message: String::new(),
    }
}

fn fails(kind: &'static str, reason: &str, message: &str) -> Condition {
    Condition {
        kind,
        status: false,
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

fn text(status: bool) -> &'static str {
    if status { "True" } else { "False" }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn as_text<S: serde::Serializer>(status: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text(*status))
}
