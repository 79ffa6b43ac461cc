//! Policies of gateway extensions, as they are written and sent: steps, definitions, hooks and overrides. They read what
//! manifests hold; whether a step can be run is said by the crate that runs it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One step of a chain: a built-in policy, or one of a PolicyDefinition.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyStep {
    /// `jwt`, `partner-orders`, `partner-orders@1`.
    #[serde(rename = "use")]
    pub uses: String,
    /// Its configuration; texts may hold `{{ CEL }}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// For logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// CEL: it is skipped where this is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub on: Direction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// Such as `2s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// Which message a step is about.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Direction {
    #[default]
    Request,
    Response,
}

/// What an error of a step means; a refusal is never skipped.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum OnError {
    #[default]
    Fail,
    Continue,
}

/// Whether a step acts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Mode {
    #[default]
    Enforce,
    /// On a copy: it changes and blocks nothing.
    Shadow,
    Disabled,
}

/// What becomes of requests when a step can reach no verdict and does not say so itself.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum FailurePolicy {
    #[default]
    FailClosed,
    FailOpen,
}

/// A reusable policy: the specification of a PolicyDefinition.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyDefinition {
    pub policy: String,
    /// `N.N.N`.
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of an object; it checks `with`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PolicyStep>,
    /// JavaScript: `{source}` or `{file}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_out: Option<Map<String, Value>>,
    /// `EXTENSION/ENTRY` that it comes from; written by the operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catch: Vec<Catch>,
    #[serde(default, rename = "finally", skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<PolicyStep>,
}

/// What is done about an error inside a definition.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Catch {
    /// Reasons; `*` is all.
    pub errors: Vec<String>,
    #[serde(default)]
    pub steps: Vec<PolicyStep>,
}

/// Steps that an administrator adds to objects.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    pub at: HookPlace,
    #[serde(default, skip_serializing_if = "is_default")]
    pub position: Position,
    /// Higher first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub select: Select,
    /// `OnError` alone: globs on reasons; none are all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    pub steps: Vec<PolicyStep>,
}

/// Where in the life of a request a hook stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum HookPlace {
    #[default]
    PreRequest,
    PostRequest,
    PostResponse,
    OnError,
}

/// Of a `PreRequest` hook: behind or before the access review.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Position {
    #[default]
    AfterBuiltin,
    BeforeBuiltin,
}

/// Which objects are meant.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Select {
    /// `ReverseProxy`, `APIService`, `Connector`; none are all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Globs on names, for Connectors on `NAMESPACE/NAME`; none are all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// All present and matching; values are globs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Settings of the objects that it selects.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Override {
    #[serde(default, skip_serializing_if = "is_default")]
    pub select: Select,
    /// All broader ones are dropped.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exclusive: bool,
    /// Keys of `settings` that broader ones set and this one drops.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
}

/// A name under which steps know a Secret.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretAlias {
    pub alias: String,
    pub namespace: String,
    pub name: String,
    /// The one key that is meant; all of them where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
