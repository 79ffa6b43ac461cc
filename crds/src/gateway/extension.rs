//! `GatewayExtension`: entries that are loaded into the gateway.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Archive, Entry, GatewayExtensionStatus, SecretAlias};
use crate::definition::gateway;

/// What is loaded, and how.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "gateway.genkan.io",
    version = "v1alpha1",
    kind = "GatewayExtension",
    plural = "gatewayextensions",
    shortname = "gwext",
    category = "genkan",
    status = "GatewayExtensionStatus",
    doc = "Policies, hooks, overrides and files of the gateway, each live at once or one data plane at a time.",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Entries","type":"string","jsonPath":".status.columns.entries","description":"Entries that are accepted, of all"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether all of it acts everywhere"}"#,
    printcolumn = r#"{"name":"Deployed","type":"string","jsonPath":".status.columns.deployed","description":"Data planes that have the revision, of those that count"}"#,
    printcolumn = r#"{"name":"Rollout","type":"string","jsonPath":".status.columns.rollout","description":"What the roll-out is doing"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why, in one word"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Revision","type":"string","priority":1,"jsonPath":".status.revision","description":"The revision that is meant"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message","description":"What to do"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct GatewayExtensionSpec {
    /// A DataPower extension zip, whose entries join those of this object.
    /// Default: none.
    /// Example: {source: {configMap: {namespace: edge, name: corp-zip, key: corp.zip}}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,

    /// What it is made of.
    /// Default: what the archive holds.
    /// Example: [{name: only-get, type: Hook, hook: {at: PreRequest, steps: [{use: filter, with: {methods: [GET]}}]}}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,

    /// Secrets that its steps and sources use.
    /// Default: none.
    /// Example: [{alias: idp, namespace: edge, name: idp-jwks}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretAlias>,

    /// How entries are deployed that do not say it.
    /// Default: {default: Immediate}.
    /// Example: {deferAll: true}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Deploy>,

    /// How deferred entries are rolled out.
    /// Default: by itself, one data plane at a time, with a minute of watching each.
    /// Example: {trigger: Manual}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,

    /// FailClosed, or FailOpen, where an error of a step that is no refusal is skipped.
    /// Default: FailClosed.
    /// Example: FailOpen
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_policy: Option<String>,

    /// Protective built-in policies that may fail open, anywhere in the gateway.
    /// Default: none.
    /// Example: [antivirus]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_fail_open: Vec<String>,

    /// Nothing is read or changed.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// What would be done is written into the status, and not done.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,

    /// A revision of status.revisions, which is what is meant until this is removed.
    /// Default: none; the newest that is accepted.
    /// Example: corp-51bd0e77
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<String>,

    /// How many revisions are kept.
    /// Default: 5.
    /// Example: 3
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
}

/// How entries are deployed that do not say it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deploy {
    /// Immediate, or Deferred, which is one data plane at a time.
    /// Default: Immediate.
    /// Example: Deferred
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,

    /// All entries are deferred, whatever they say.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_all: Option<bool>,
}

/// How deferred entries are rolled out.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Auto; or Manual, which waits for the annotation gateway.genkan.io/approve with the revision.
    /// Default: Auto.
    /// Example: Manual
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,

    /// The data plane in hand is finished, and no other taken.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,

    /// No data plane is taken while so many are not ready.
    /// Default: 1.
    /// Example: 2
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<i32>,

    /// How a data plane is taken out before it changes.
    /// Default: {mode: WhenPossible, settle: 10s, timeout: 30s}.
    /// Example: {mode: Never}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,

    /// How long each is watched before the next.
    /// Default: {duration: 60s, minRequests: 50, maxErrorRatio: "0.02"}.
    /// Example: {duration: 5m}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Soak>,

    /// What a failure means: Rollback or Pause.
    /// Default: Rollback.
    /// Example: Pause
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
}

/// How a data plane is taken out before it changes.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// WhenPossible: a single data plane changes undrained; Required: it pauses; Never.
    /// Default: WhenPossible.
    /// Example: Required
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,

    /// How long load balancers are given to notice.
    /// Default: 10s.
    /// Example: 30s
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<String>,

    /// How long requests in flight are waited for after that; at most 10m.
    /// Default: 30s.
    /// Example: 2m
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// How long each data plane is watched before the next.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Soak {
    /// How long; at most 1h.
    /// Default: 60s.
    /// Example: 5m
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,

    /// Requests before its errors count.
    /// Default: 50.
    /// Example: 500
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_requests: Option<i32>,

    /// Errors of its steps for each request, above which it has failed.
    /// Default: "0.02".
    /// Example: "0.1"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_error_ratio: Option<String>,
}

/// With what the derived schema cannot say.
pub(crate) fn definition() -> CustomResourceDefinition {
    gateway::extension(GatewayExtension::crd())
}
