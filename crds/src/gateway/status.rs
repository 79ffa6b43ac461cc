//! What genkan found out about extensions and policies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;

/// What genkan found out; written by the operator.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayExtensionStatus {
    /// The generation of the object that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The revision that is meant.
    /// Example: corp-7f3a9c12
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,

    /// The last revision that was complete everywhere.
    /// Example: corp-51bd0e77
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_revision: Option<String>,

    /// The revisions that are kept, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,

    /// What kubectl get shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,

    /// The roll-out under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,

    /// Objects that use its policies, at most 16 of them.
    /// Example: [ReverseProxy orders]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_by: Vec<String>,

    /// How many objects use its policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by_count: Option<i64>,

    /// What is odd, and no error; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,

    /// Of dryRun: what the next revision would change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<String>,

    /// The entries, in the order of applying.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryStatus>,

    /// Accepted, ResolvedRefs, Deployed and Ready; Degraded and ConvertedFromLegacy where they are True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// What `kubectl get` shows.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Columns {
    /// Entries that are accepted, of all.
    /// Example: 5/5
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<String>,

    /// Data planes that have the revision, of those that count.
    /// Example: 1/3
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<String>,

    /// What the roll-out is doing.
    /// Example: Soaking 1/3
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
}

/// A roll-out under way.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Idle, AwaitingApproval, Rolling, Paused, RollingBack, RolledBack or Complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// The data plane in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,

    /// What is done with it: Draining, Applying, Verifying, Readying or Soaking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,

    /// How many are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<i64>,

    /// What the operator has to know of it when it starts again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
}

/// One entry.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryStatus {
    /// Its name.
    #[serde(default)]
    pub name: String,

    /// Its type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,

    /// Immediate or Deferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<String>,

    /// When it is applied among the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i32>,

    /// SHA-256 of what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,

    /// Pending, Accepted, Rejected, Deploying, Deployed, Degraded, Blocked or Removing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,

    /// Data planes that have it, of those that count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<String>,

    /// Policies and versions that it provides.
    /// Example: [jws-verify@2.0.0]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<String>,

    /// Why, in one word, where it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What genkan found out; written by the operator.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDefinitionStatus {
    /// The generation of the object that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Policy and version, as steps name it.
    /// Example: partner-orders@1.0.0
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,

    /// Objects that use it, at most 16 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_by: Vec<String>,

    /// How many objects use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by_count: Option<i64>,

    /// How many proxies serve this generation, of those that count.
    /// Example: 2/3
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<String>,

    /// Accepted, ResolvedRefs, Programmed and Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
