//! `PolicyDefinition`: a reusable policy.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PolicyDefinitionStatus, PolicyStep};
use crate::definition::{free, gateway};

/// What the policy does.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "gateway.genkan.io",
    version = "v1alpha1",
    kind = "PolicyDefinition",
    plural = "policydefinitions",
    shortname = "pdef",
    category = "genkan",
    status = "PolicyDefinitionStatus",
    doc = "A reusable policy: steps that published objects use by its name, with parameters of their own.",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Policy","type":"string","jsonPath":".spec.policy","description":"Name that steps use"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".spec.version","description":"Version that steps may ask for"}"#,
    printcolumn = r#"{"name":"From","type":"string","jsonPath":".spec.entry","description":"Extension and entry that it comes from"}"#,
    printcolumn = r#"{"name":"Used-By","type":"integer","jsonPath":".status.usedByCount","description":"How many objects use it"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether it can be used"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message","description":"What to do"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDefinitionSpec {
    /// What it does.
    #[serde(flatten)]
    pub body: PolicyBody,

    /// EXTENSION/ENTRY that it comes from; written by the operator only.
    /// Default: none.
    /// Example: corp/jws
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

/// What a policy does: one of steps, script and callOut.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBody {
    /// The name by which steps use it; no built-in policy has it. It never changes.
    /// Default: none, it is required.
    /// Example: partner-orders
    #[serde(default)]
    #[schemars(required)]
    pub policy: String,

    /// Its version: three numbers. It never changes.
    /// Default: none, it is required.
    /// Example: 1.0.0
    #[serde(default)]
    #[schemars(required)]
    pub version: String,

    /// For people.
    /// Default: none.
    /// Example: Orders of partners
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,

    /// For people.
    /// Default: none.
    /// Example: Lets partners with a paid plan in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,

    /// JSON Schema of an object, which with of every use must fit; at most 32 KiB.
    /// Default: none; then it has no parameters.
    /// Example: {type: object, required: [issuer], properties: {issuer: {type: string}}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free::object")]
    pub parameters: Option<Map<String, Value>>,

    /// The steps, in order.
    /// Default: none; script or callOut is given instead.
    /// Example: [{use: authorize, with: {cel: 'auth.claims.tier == "gold"'}}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PolicyStep>,

    /// JavaScript.
    /// Default: none; steps or callOut is given instead.
    /// Example: {source: "context.set('x', 1)"}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,

    /// Another program that decides.
    /// Default: none; steps or script is given instead.
    /// Example: {extAuth: {url: "http://fraud.sec.svc"}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free::object")]
    pub call_out: Option<Map<String, Value>>,

    /// What is done about errors inside; the first that matches.
    /// Default: nothing; the error is the answer.
    /// Example: [{errors: [TokenMissing], steps: [{use: redirect, with: {location: /login}}]}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catch: Vec<Catch>,

    /// Steps that run in any case, and answer nothing.
    /// Default: none.
    /// Example: [{use: log, with: {fields: {tier: auth.claims.tier}}}]
    #[serde(default, rename = "finally", skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<PolicyStep>,
}

/// JavaScript: one of its fields.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Script {
    /// The text.
    /// Default: none; file is given instead.
    /// Example: "context.set('x', 1)"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,

    /// ENTRY/PATH of a file of the extension.
    /// Default: none; source is given instead.
    /// Example: scripts/main.js
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// What is done about an error.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Catch {
    /// Reasons that it is for; * is all.
    /// Default: none, they are required.
    /// Example: [TokenMissing]
    #[serde(default)]
    #[schemars(required)]
    pub errors: Vec<String>,

    /// The steps, in order; the request goes on behind them unless one answers.
    /// Default: none.
    /// Example: [{use: redirect, with: {location: /login}}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PolicyStep>,
}

/// With what the derived schema cannot say.
pub(crate) fn definition() -> CustomResourceDefinition {
    gateway::policy_definition(PolicyDefinition::crd())
}
