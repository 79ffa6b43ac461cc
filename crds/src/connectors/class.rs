//! `ConnectorClass`: a kind of tool.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Addressable, AuthProbe, AuthType, Condition, Destination, ParamSpec, Probe, ProxyStatus};
use crate::definition::{connectors, free};

/// What the tools of this kind have in common.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "connectors.alauda.io",
    version = "v1alpha1",
    kind = "ConnectorClass",
    plural = "connectorclasses",
    category = "alauda",
    category = "genkan",
    status = "ConnectorClassStatus",
    doc = "A kind of tool: how its Connectors authenticate, how they are tried, and which API the tool has.",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether API and proxy of the class can be reached"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why, in one word"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message","description":"What to do"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorClassSpec {
    /// What a Connector gives as its address.
    /// Default: a text without default.
    /// Example: {name: address, type: string}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<ParamSpec>,

    /// Further addresses, by name.
    /// Default: none.
    /// Example: [{name: registry}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub address_extensions: Vec<ParamSpec>,

    /// What else a Connector gives.
    /// Default: none.
    /// Example: [{name: project, default: main}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<ParamSpec>,

    /// How Connectors authenticate.
    /// Default: not at all.
    /// Example: {types: [{name: basicAuth, secretType: kubernetes.io/basic-auth}]}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ClassAuth>,

    /// How credentials are tried, at most once for each auth type.
    /// Default: they are not.
    /// Example: [{authName: basicAuth, probe: {http: {path: /user}}}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth_probes: Vec<AuthProbe>,

    /// How it is found out that a tool is there.
    /// Default: it is not.
    /// Example: {http: {path: /health}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,

    /// The API of the class, and what is known of that of the tool.
    /// Default: none; then every path is the tool's.
    /// Example: {ref: {name: tickets-api, namespace: tools}, uri: /v1}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ClassApi>,

    /// The proxy that carries requests to the tool. connectors-proxy-service in connectors-system is the one built in.
    /// Default: none; then no path is the tool's.
    /// Example: {ref: {name: connectors-proxy-service, namespace: connectors-system}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ClassProxy>,

    /// Files that are written for Pods which use a Connector.
    /// Default: none.
    /// Example: [{name: config, data: {settings.ini: "..."}}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<Configuration>,
}

/// How Connectors authenticate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassAuth {
    /// The ways, of which a Connector picks one.
    /// Default: none.
    /// Example: [{name: basicAuth, secretType: kubernetes.io/basic-auth, optional: true}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<AuthType>,
}

/// The API of the class.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassApi {
    /// Where it is. It gets the credential of every Connector of the class.
    #[serde(flatten)]
    pub destination: Destination,

    /// OpenAPI 3.0 description of the API of tool and class, with x-provider-type and x-openapi-address at operations; at most 256 KiB.
    /// Default: none; then every path is the tool's.
    /// Example: {openapi: 3.0.1, paths: {/tickets/mine: {get: {x-provider-type: api}}}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free::object")]
    pub openapi: Option<Map<String, Value>>,

    /// What a request counts as when rights are asked for.
    /// Default: the method says it.
    /// Example: {rego: "package permissions\n..."}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
}

/// A policy.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permissions {
    /// A Rego policy of package permissions, whose result.verb is read, write, delete or empty.
    /// Default: none.
    /// Example: "package permissions\nresult := {\"verb\": \"read\"}"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rego: Option<String>,
}

/// The proxy of the class.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassProxy {
    /// Where it is.
    #[serde(flatten)]
    pub destination: Destination,

    /// How the caller's token is found in a request to the proxy.
    /// Default: in Authorization.
    /// Example: {rego: "package proxy\n..."}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_extractor: Option<AuthExtractor>,

    /// Hand the caller's token on to a proxy of the class's own. It is a token of this cluster: only for proxies that you trust with it.
    /// Default: false; then only the built-in proxy can be used.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_authorization: Option<bool>,
}

/// How the caller's token is found.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthExtractor {
    /// A Rego policy of package proxy, whose auth.token is the token; an empty one is none.
    /// Default: none.
    /// Example: "package proxy\nauth := {\"token\": input.request.headers[\"Private-Token\"][0]}"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rego: Option<String>,
}

/// Files for Pods.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// Name by which it is asked for.
    /// Default: none, it is required.
    /// Example: config
    #[serde(default)]
    #[schemars(required)]
    pub name: String,

    /// What the files depend on.
    /// Default: none.
    /// Example: [{name: email}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<ParamSpec>,

    /// The files: a template for each name.
    /// Default: none.
    /// Example: {settings.ini: "url={{ .connector.status.proxyAddress }}"}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,

    /// Notes for programs that show it.
    /// Default: none.
    /// Example: {cpaas.io/description: Settings of the client}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What genkan found out; written by the operator.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorClassStatus {
    /// The generation of the object that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Notes of whoever wrote the status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// The API of the class, as resolved; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ClassApiStatus>,

    /// The proxy of the class, as resolved; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyStatus>,

    /// Hosts that get credentials of Connectors because this class says so, beside the addresses of the Connectors.
    /// Example: [tickets-api.tools.svc.cluster.local]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credential_hosts: Vec<String>,

    /// APIReady, ProxyReady and Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// The API of the class, as resolved.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassApiStatus {
    /// Where the API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Addressable>,
}

/// With what the derived schema cannot say.
pub(crate) fn definition() -> CustomResourceDefinition {
    connectors::class(ConnectorClass::crd())
}
