//! `Connector`: one tool of a namespace.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, LocalSecretReference, Param, ProxyStatus, SecretReference};
use crate::definition::connectors;
use crate::gateway::{PolicyStep, SecretAlias};

/// Which tool it is, and who comes.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "connectors.alauda.io",
    version = "v1alpha1",
    kind = "Connector",
    plural = "connectors",
    namespaced,
    category = "alauda",
    category = "genkan",
    status = "ConnectorStatus",
    doc = "A tool, with the credential that whoever may get this object reaches it with, and never sees.",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Class","type":"string","jsonPath":".spec.connectorClassName","description":"Kind of tool"}"#,
    printcolumn = r#"{"name":"Address","type":"string","jsonPath":".spec.address","description":"Where the tool is"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether the tool can be used"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why, in one word"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Proxies","type":"string","priority":1,"jsonPath":".status.proxies","description":"Proxies that serve this generation, of those that count"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message","description":"What to do"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorSpec {
    /// Name of the ConnectorClass.
    /// Default: none, it is required.
    /// Example: gitlab
    #[serde(default)]
    #[schemars(required)]
    pub connector_class_name: String,

    /// Where the tool is: http or https, a host, an optional port and an optional base path.
    /// Default: that of the class.
    /// Example: https://git.example.com
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,

    /// The further addresses that the class declares.
    /// Default: those of the class.
    /// Example: [{name: registry, value: "https://registry.example.com"}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub address_extensions: Vec<Param>,

    /// Who comes.
    /// Default: nobody; requests carry no credential.
    /// Example: {name: patAuth, secretRef: {name: gitlab-token}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ConnectorAuth>,

    /// The parameters that the class declares.
    /// Default: those of the class.
    /// Example: [{name: project, value: main}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Param>,

    /// Secret of this namespace with certificates that the certificate of the tool is checked against, in PEM.
    /// Default: none; then the roots of the proxy.
    /// Example: {name: corporate-ca}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert_secret_ref: Option<LocalSecretReference>,

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

/// Who comes.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorAuth {
    /// Name of one of the auth types of the class.
    /// Default: none.
    /// Example: patAuth
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Secret of this namespace that holds the credential.
    /// Default: none, where the auth type does without.
    /// Example: {name: gitlab-token}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,

    /// What the auth probe of the class asks for.
    /// Default: none.
    /// Example: [{name: repository, value: team/app.git}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Param>,
}

/// What genkan found out; written by the operator.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorStatus {
    /// The generation of the object that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Notes of whoever wrote the status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// How the tool is reached through the entry point of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ConnectorApiStatus>,

    /// How the tool is reached through the proxy; absent where the class has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyStatus>,

    /// How many proxies serve this generation, of those that count.
    /// Example: 2/3
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<String>,

    /// What is known of the credential; never the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,

    /// ConnectorClassReady, SecretReady, LivenessReady, AuthReady, ProxyServiceReady, CACertReady, Programmed and Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// How the tool is reached through the entry point of the cluster.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorApiStatus {
    /// Path below the entry point; what follows it is the tool's own path.
    /// Example: /connectors/v1alpha1/team-a/gitlab/path
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What is known of the credential.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// When its content last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Time>,

    /// When a request last carried it, to within some minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Time>,
}

/// With what the derived schema cannot say.
pub(crate) fn definition() -> CustomResourceDefinition {
    connectors::connector(Connector::crd())
}
