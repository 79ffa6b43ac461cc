//! The roll-out of deferred entries, one data plane after the other: a machine that is told what happened and says what is to
//! be done. Every action can be done twice.

mod event;
mod machine;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use event::{Action, Event};
pub use machine::{Kept, Machine};

/// What an extension says about its roll-out.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    pub trigger: Trigger,
    pub on_failure: OnFailure,
    pub drain: Drain,
    /// None is taken while so many are not ready.
    pub max_unavailable: usize,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Trigger {
    #[default]
    Auto,
    /// Each revision waits to be approved.
    Manual,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum OnFailure {
    #[default]
    Rollback,
    Pause,
}

/// Whether a data plane gets out of the way before it is changed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Drain {
    /// Unless it is the only one.
    #[default]
    WhenPossible,
    Required,
    Never,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Phase {
    #[default]
    Idle,
    AwaitingApproval,
    Rolling,
    Paused,
    RollingBack,
    RolledBack,
    Complete,
}

/// Of the Pod in hand.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Stage {
    Draining,
    Applying,
    Verifying,
    /// Let in again, and not ready yet.
    Readying,
    Soaking,
}

/// Where a roll-out is, as people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    pub phase: Phase,
    pub target: Option<String>,
    /// The last revision that was completed everywhere.
    pub stable: Option<String>,
    /// What each data plane has.
    pub pods: BTreeMap<String, Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<InHand>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why the last immediate change was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

/// The Pod in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InHand {
    pub pod: String,
    pub stage: Stage,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            trigger: Trigger::default(),
            on_failure: OnFailure::default(),
            drain: Drain::default(),
            max_unavailable: 1,
        }
    }
}
