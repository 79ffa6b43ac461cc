//! Steps of policies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::free;

/// One step: a built-in policy, or one of a PolicyDefinition.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStep {
    /// A built-in policy, or the policy of a PolicyDefinition, perhaps with @ and the version or its first numbers.
    /// Default: none, it is required.
    /// Example: partner-orders@1
    #[serde(default, rename = "use")]
    #[schemars(required)]
    pub uses: String,

    /// Its configuration. Texts may hold {{ CEL }}.
    /// Default: that of the policy.
    /// Example: {requests: 100, per: 1m}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free::object")]
    pub with: Option<Map<String, Value>>,

    /// How logs call it.
    /// Default: its number in the list.
    /// Example: only-partners
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// CEL; where it is false the step is skipped.
    /// Default: it is never skipped.
    /// Example: request.method == "POST"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,

    /// Which message it is about: Request or Response.
    /// Default: Request.
    /// Example: Response
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,

    /// The same as on, which readers of YAML 1.1, kubectl among them, take for this where it has no quotes.
    /// Default: none.
    /// Example: Response
    #[serde(default, rename = "true", skip_serializing_if = "Option::is_none")]
    pub on_without_quotes: Option<String>,

    /// What an error of the step means, which is no refusal: Fail or Continue.
    /// Default: as the failurePolicy of its entry says, else Fail.
    /// Example: Continue
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<String>,

    /// Enforce; Shadow, where it changes and blocks nothing; or Disabled.
    /// Default: Enforce.
    /// Example: Shadow
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,

    /// How long it may take.
    /// Default: that of the policy.
    /// Example: 2s
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// A name under which steps know a Secret.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretAlias {
    /// The name that steps use.
    /// Default: none, it is required.
    /// Example: idp
    #[serde(default)]
    #[schemars(required)]
    pub alias: String,

    /// Namespace of the Secret.
    /// Default: none, it is required.
    /// Example: edge
    #[serde(default)]
    #[schemars(required)]
    pub namespace: String,

    /// Name of the Secret.
    /// Default: none, it is required.
    /// Example: idp-jwks
    #[serde(default)]
    #[schemars(required)]
    pub name: String,

    /// The one key of the Secret that is meant.
    /// Default: all of them.
    /// Example: jwks.json
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}
