//! What entries do to objects that others published.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::PolicyStep;
use crate::definition::free;

/// Steps that are added to objects.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// When: PreRequest, PostRequest, PostResponse, or OnError, where genkan answers with an error of its own.
    /// Default: none, it is required.
    /// Example: PreRequest
    #[serde(default)]
    #[schemars(required)]
    pub at: String,

    /// Of PreRequest: AfterBuiltin or BeforeBuiltin, which is before the access review.
    /// Default: AfterBuiltin.
    /// Example: BeforeBuiltin
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,

    /// Of several hooks of one place the higher one is first; then by the names of extension and entry.
    /// Default: 0.
    /// Example: 100
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,

    /// Which objects it is added to.
    /// Default: all.
    /// Example: {kinds: [ReverseProxy], labels: {gateway.genkan.io/catalog: "prod*"}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Select>,

    /// Of OnError: globs on the reasons that it is for.
    /// Default: ["*"].
    /// Example: ["Token*", RateLimited]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,

    /// The steps, in order.
    /// Default: none, they are required.
    /// Example: [{use: filter, with: {methods: [GET]}}]
    #[serde(default)]
    #[schemars(required)]
    pub steps: Vec<PolicyStep>,
}

/// Which objects are meant.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Select {
    /// ReverseProxy, APIService or Connector.
    /// Default: all of them.
    /// Example: [ReverseProxy]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,

    /// Names, where * and ? stand for anything; of Connectors NAMESPACE/NAME.
    /// Default: ["*"].
    /// Example: ["shop-*"]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,

    /// Labels that are all there and match; values may hold * and ?.
    /// Default: none is asked for.
    /// Example: {gateway.genkan.io/catalog: "prod*"}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Settings of objects.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Which objects it is for.
    /// Default: all.
    /// Example: {labels: {gateway.genkan.io/catalog: prod}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Select>,

    /// What broader overrides say is dropped.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<bool>,

    /// Settings of broader overrides that are dropped.
    /// Default: none.
    /// Example: [limits]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<String>,

    /// limits, by name; parse, the sizes that body policies go by; upstreamTLS, with minVersion and maxVersion.
    /// Default: none.
    /// Example: {limits: {gold: {kind: rate, requests: 100, per: 1s}}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free::object")]
    pub settings: Option<Map<String, Value>>,
}
