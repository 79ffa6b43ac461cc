//! Where the bytes of an archive or of files come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where bytes come from: exactly one of its fields.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The bytes themselves.
    /// Default: none.
    /// Example: {text: "..."}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<InlineSource>,

    /// A ConfigMap, in one of the namespaces that the chart allows.
    /// Default: none.
    /// Example: {namespace: edge, name: corp-zip, key: corp.zip}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,

    /// A Secret, by its alias in spec.secrets.
    /// Default: none.
    /// Example: {alias: corp, key: corp.zip}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSource>,

    /// A file of a web server. Only where the chart says extensions.urlSources.
    /// Default: none.
    /// Example: {url: "https://files.example.com/corp.zip", sha256: "..."}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<UrlSource>,
}

/// The bytes themselves.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InlineSource {
    /// As text.
    /// Default: none; base64 is given instead.
    /// Example: "{}"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,

    /// In base64.
    /// Default: none; text is given instead.
    /// Example: UEsFBg==
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// A key of a ConfigMap, or several in order.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapSource {
    /// Namespace of the ConfigMap.
    /// Default: none, it is required.
    /// Example: edge
    #[serde(default)]
    #[schemars(required)]
    pub namespace: String,

    /// Name of the ConfigMap.
    /// Default: none, it is required.
    /// Example: corp-zip
    #[serde(default)]
    #[schemars(required)]
    pub name: String,

    /// The key that holds it.
    /// Default: none; keys is given instead.
    /// Example: corp.zip
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,

    /// The keys that hold its parts, in order; MAP/KEY is a key of another ConfigMap of the namespace.
    /// Default: none; key is given instead.
    /// Example: [corp.zip.0, corp-zip-1/corp.zip.1]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// A key of a Secret, or several in order.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// Alias of the Secret in spec.secrets.
    /// Default: none, it is required.
    /// Example: corp
    #[serde(default)]
    #[schemars(required)]
    pub alias: String,

    /// The key that holds it.
    /// Default: that of the alias, or keys is given instead.
    /// Example: corp.zip
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,

    /// The keys that hold its parts, in order.
    /// Default: none.
    /// Example: [corp.zip.0, corp.zip.1]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// A file of a web server.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlSource {
    /// Where it is.
    /// Default: none, it is required.
    /// Example: https://files.example.com/corp.zip
    #[serde(default)]
    #[schemars(required)]
    pub url: String,

    /// SHA-256 of its content, in hexadecimal; nothing else is taken.
    /// Default: none, it is required.
    /// Example: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    #[serde(default)]
    #[schemars(required)]
    pub sha256: String,

    /// Alias of a Secret whose ca.crt its certificate is checked against.
    /// Default: none; then the roots of the operator.
    /// Example: corporate-ca
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,

    /// Alias of a Secret that holds what is sent in Authorization to its host, and to no other.
    /// Default: none.
    /// Example: files-token
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,

    /// How long fetching it may take.
    /// Default: 30s.
    /// Example: 60s
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}
