//! How a tool is told who comes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ParamSpec, Probe};

/// Type of a Secret with user name and password.
pub const BASIC_AUTH: &str = "kubernetes.io/basic-auth";
/// Type of a Secret with a token for `Authorization: Bearer`.
pub const BEARER_TOKEN: &str = "connectors.cpaas.io/bearer-token";
/// Type of a Secret without a form of its own.
pub const OPAQUE: &str = "Opaque";
/// What [`OPAQUE`] was called once.
pub const OLD_OPAQUE: &str = "kubernetes.io/opaque";
/// Type of Secrets that hold a token of this cluster, and are never used.
pub const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

/// One way to authenticate, of which a Connector picks one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthType {
    /// Name by which a Connector picks it.
    /// Default: none, it is required.
    /// Example: patAuth
    #[serde(default)]
    #[schemars(required)]
    pub name: String,

    /// Type of the Secret. Opaque and types of one's own say their keys in params.
    /// Default: none.
    /// Example: kubernetes.io/basic-auth
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_type: Option<String>,

    /// Whether a Connector may do without the Secret; its requests then carry no credential.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,

    /// The keys that the Secret holds.
    /// Default: those that the type has by itself.
    /// Example: [{name: token}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<ParamSpec>,

    /// How a request is given the credential, where the type does not say it.
    /// Default: basic-auth and bearer-token as their names say.
    /// Example: {rego: "package proxy\n..."}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,

    /// Name for people.
    /// Default: the name.
    /// Example: Personal access token
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,

    /// What it is, for people.
    /// Default: none.
    /// Example: A token from the page of your account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,

    /// Notes for programs that show it.
    /// Default: none.
    /// Example: {cpaas.io/display-name: Personal access token}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// How a request is given the credential.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Generator {
    /// A Rego policy of package proxy, whose rule auth says where the credential goes.
    /// Default: none.
    /// Example: "package proxy\nauth := {\"position\": \"header\", \"auth\": {\"Private-Token\": input.data.token}}"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rego: Option<String>,

    /// Fetch a bearer token for the client that the Secret names, in client_id and client_secret or in username and password.
    /// Default: none.
    /// Example: {tokenURL: "https://login.example.com/token", scopes: [read]}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
}

/// The client credentials grant of OAuth 2.0.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// Where tokens are fetched.
    /// Default: none, it is required.
    /// Example: https://login.example.com/token
    #[serde(default, rename = "tokenURL")]
    #[schemars(required)]
    pub token_url: String,

    /// What the token is to be good for.
    /// Default: what the server gives to whoever asks for nothing.
    /// Example: [read]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,

    /// Certificates that the certificate of tokenURL is checked against, in PEM.
    /// Default: the roots of the proxy.
    /// Example: "-----BEGIN CERTIFICATE-----..."
    #[serde(default, rename = "CACerts", skip_serializing_if = "Option::is_none")]
    pub ca_certs: Option<String>,
}

/// How a credential of one auth type is tried.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthProbe {
    /// Name of the auth type.
    /// Default: none, it is required.
    /// Example: patAuth
    #[serde(default)]
    #[schemars(required)]
    pub auth_name: String,

    /// What a Connector must give in spec.auth.params, with or without a Secret.
    /// Default: none.
    /// Example: [{name: repository}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<ParamSpec>,

    /// The question.
    /// Default: none; then nothing is tried.
    /// Example: {http: {path: /api/v4/user}}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

// === impl AuthType ===

impl AuthType {
    /// The type of the Secret, in the spelling of today; empty if any type will do.
    #[must_use]
    pub fn secret_type(&self) -> &str {
        spelled_today(self.secret_type.as_deref().unwrap_or_default())
    }
}

/// The type of a Secret in the spelling of today.
#[must_use]
pub fn spelled_today(secret_type: &str) -> &str {
    if secret_type == OLD_OPAQUE {
        OPAQUE
    } else {
        secret_type
    }
}
