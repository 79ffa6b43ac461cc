//! References to Secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Secret, in the shape of a reference to any object.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    /// Default: none; without a name there is no Secret.
    /// Example: gitlab-token
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Namespace of the Secret, which is that of the Connector; no other is allowed.
    /// Default: the namespace of the Connector.
    /// Example: team-a
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,

    /// Kind of what is referred to; only Secret is used.
    /// Default: Secret.
    /// Example: Secret
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,

    /// Version of the API of what is referred to; only v1 is used.
    /// Default: v1.
    /// Example: v1
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,

    /// Not used.
    /// Default: none.
    /// Example: data
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_path: Option<String>,

    /// Not used: the Secret counts as it is now.
    /// Default: none.
    /// Example: "4711"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,

    /// Not used: the Secret of this name counts.
    /// Default: none.
    /// Example: 6b0a1c7e-5d3f-4c36-9d0b-0a6c9b1f2e55
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalSecretReference {
    /// Name of the Secret.
    /// Default: none, it is required.
    /// Example: corporate-ca
    #[serde(default)]
    #[schemars(required)]
    pub name: String,
}

// === impl SecretReference ===

impl SecretReference {
    /// The name, if one is given.
    #[must_use]
    pub fn named(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.is_empty())
    }

    /// Whether this may be a Secret of a Connector in `namespace`.
    #[must_use]
    pub fn stays_in(&self, namespace: &str) -> bool {
        let said = self.namespace.as_deref().unwrap_or_default();
        said.is_empty() || said == namespace
    }
}
