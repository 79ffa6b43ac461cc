//! What an extension is made of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Hook, Override, PolicyBody, Source};
use crate::definition::free;

/// One entry of an extension.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its name in the extension. That of an entry of the archive changes that entry.
    /// Default: none, it is required.
    /// Example: scan
    #[serde(default)]
    #[schemars(required)]
    pub name: String,

    /// Policy, Hook, Override, Files, CallOut, a type of DataPower's manifest, or global-policy.
    /// Default: that of the entry of the archive with this name.
    /// Example: Hook
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,

    /// Immediate, or Deferred, which is one data plane at a time.
    /// Default: spec.deploy.default; of an entry of the archive what its manifest says, else Deferred.
    /// Example: Immediate
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<String>,

    /// When it is applied among the others; never when it runs.
    /// Default: ten times its place in the list.
    /// Example: 5
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i32>,

    /// Entries that are applied before it.
    /// Default: none.
    /// Example: [policies]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,

    /// Of all its steps: Enforce; Shadow, where they change and block nothing; or Disabled.
    /// Default: Enforce.
    /// Example: Shadow
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,

    /// Of its steps: FailClosed, or FailOpen, where an error that is no refusal is skipped.
    /// Default: that of the extension.
    /// Example: FailOpen
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_policy: Option<String>,

    /// Of its steps.
    /// Default: those of the policies.
    /// Example: {deadline: 100ms}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,

    /// Of type Policy: a policy.
    /// Default: none.
    /// Example: {policy: partner-orders, version: 1.0.0, steps: [{use: cors}]}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyBody>,

    /// Of type Hook: steps that are added to objects.
    /// Default: none.
    /// Example: {at: PreRequest, steps: [{use: filter, with: {methods: [GET]}}]}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,

    /// Of type Override: settings of objects.
    /// Default: none.
    /// Example: {settings: {parse: {bodyBytes: 65536}}}
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Override>,

    /// Of type Files: files that steps read, as ENTRY/PATH.
    /// Default: none.
    /// Example: {files: {schema.json: "{}"}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Files>,

    /// Of type CallOut: a policy that another program decides.
    /// Default: none.
    /// Example: {policy: fraud, version: 1.0.0, extAuth: {url: "http://fraud.sec.svc"}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_out: Option<CallOut>,

    /// Of a type of DataPower's: where its file is.
    /// Default: none.
    /// Example: {configMap: {namespace: edge, name: jws, key: jws.yaml}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// Limits of the steps of an entry.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How long a step may take.
    /// Default: that of the policy.
    /// Example: 100ms
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,

    /// Bytes that a script may use.
    /// Default: 16Mi.
    /// Example: 32Mi
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,

    /// Bytes of a body at most.
    /// Default: 1Mi.
    /// Example: 64Ki
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<String>,
}

/// Files that steps read.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    /// The files: a text for each path.
    /// Default: none; source is given instead.
    /// Example: {schema.json: "{}"}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,

    /// Where they are.
    /// Default: none; files is given instead.
    /// Example: {configMap: {namespace: edge, name: schemas, key: schemas.zip}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,

    /// The source is a zip of them.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpack: Option<bool>,
}

/// A policy that another program decides.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallOut {
    /// Name of the policy.
    /// Default: none, it is required.
    /// Example: fraud
    #[serde(default)]
    #[schemars(required)]
    pub policy: String,

    /// Version of the policy.
    /// Default: none, it is required.
    /// Example: 1.0.0
    #[serde(default)]
    #[schemars(required)]
    pub version: String,

    /// By Envoy's external processing.
    /// Default: none; extAuth is given instead.
    /// Example: {target: "http://processor.sec.svc:9000"}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free::object")]
    pub ext_proc: Option<Map<String, Value>>,

    /// By external authorization.
    /// Default: none; extProc is given instead.
    /// Example: {url: "http://fraud.sec.svc"}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free::object")]
    pub ext_auth: Option<Map<String, Value>>,
}
