//! `APIService`: publishes a backend as an API group and version.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition::gateway;
use crate::definition::refine::{MAX_NAME, at, endpoint, limit, refine, require};
use crate::definition::rules;
use crate::gateway::{PolicyStep, SecretAlias};
use crate::{Condition, Endpoint};

/// What is published where.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "extensions.kubesphere.io",
    version = "v1alpha1",
    kind = "APIService",
    plural = "apiservices",
    shortname = "xapi",
    category = "genkan",
    status = "APIServiceStatus",
    doc = "Publishes a backend as an API group and version: requests below /kapis/GROUP/VERSION are sent to it.",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Prefix","type":"string","jsonPath":".status.prefix","description":"Path that is served"}"#,
    printcolumn = r#"{"name":"Backend","type":"string","jsonPath":".status.backend","description":"Where requests go"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether requests are answered"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why, in one word"}"#,
    printcolumn = r#"{"name":"Proxies","type":"string","jsonPath":".status.proxies","description":"Proxies that serve this generation, of those that count"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message","description":"What to do"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct APIServiceSpec {
    /// API group: the service answers below /kapis/GROUP/VERSION, and without a group below /kapi/VERSION.
    /// Default: no group.
    /// Example: shop.example
    #[serde(default)]
    pub group: String,

    /// API version.
    /// Default: none, it is required.
    /// Example: v1alpha1
    #[serde(default)]
    #[schemars(required)]
    pub version: String,

    /// Where the requests are sent.
    #[serde(flatten)]
    pub endpoint: Endpoint,

    /// Hand the caller's verified credential on to the backend. It is a token of this cluster: only for backends that you trust with it.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_authorization: Option<bool>,

    /// Policies that act on each request and answer, in order, behind the access review (cors before it).
    /// Default: none.
    /// Example: [{use: rateLimit, with: {requests: 100, per: 1m, key: auth.user}}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyStep>,

    /// Secrets that the policies use, by alias. Whoever writes this needs the right to read them.
    /// Default: none.
    /// Example: [{alias: keys, namespace: shop, name: api-keys}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_secrets: Vec<SecretAlias>,
}

/// What genkan found out; written by the operator.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct APIServiceStatus {
    /// The generation of the object that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Available while the condition Ready is True, else Unavailable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,

    /// The path below which requests are served.
    /// Example: /kapis/shop.example/v1alpha1
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,

    /// Where requests go, as resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,

    /// How many proxies serve this generation, of those that count.
    /// Example: 2/3
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<String>,

    /// Accepted, ResolvedRefs, Programmed and Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// With what the derived schema cannot say.
pub(crate) fn definition() -> CustomResourceDefinition {
    refine(APIService::crd(), |spec| {
        require(spec, &["version"]);
        limit(at(spec, "group"), MAX_NAME, rules::GROUP);
        limit(at(spec, "version"), MAX_NAME, rules::VERSION);
        endpoint(spec);
        gateway::policies(spec);
    })
}
