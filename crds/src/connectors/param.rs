//! Parameters: what a class declares, and what a Connector gives.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ADDRESS;
use crate::definition::free::any;

/// The type of a parameter that says none.
pub const DEFAULT_TYPE: &str = "string";

/// A parameter that is declared.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParamSpec {
    /// Name of the parameter.
    /// Default: none, it is required.
    /// Example: repository
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,

    /// What a value is: string, array or object. Only string is used.
    /// Default: string.
    /// Example: string
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,

    /// Value for whoever gives none.
    /// Default: none, a value must be given.
    /// Example: https://git.example.com
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any")]
    pub default: Option<Value>,

    /// What the parameter is for, for people.
    /// Default: none.
    /// Example: Repository that the credential is tried on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,

    /// The values that are allowed, for type string.
    /// Default: any value.
    /// Example: [http, https]
    #[serde(default, rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub enum_: Vec<String>,

    /// The members of a value of type object.
    /// Default: none.
    /// Example: {url: {type: string}}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, ParamProperty>,

    /// Notes for programs that show the parameter.
    /// Default: none.
    /// Example: {cpaas.io/display-name: Repository}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A member of a parameter of type object.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParamProperty {
    /// What the member is: string, array or object.
    /// Default: string.
    /// Example: string
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
}

/// A parameter that is given.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Param {
    /// Name of the parameter, as the class declares it.
    /// Default: none, it is required.
    /// Example: repository
    #[serde(default)]
    #[schemars(required)]
    pub name: String,

    /// Its value.
    /// Default: none, it is required.
    /// Example: team/app.git
    #[serde(default)]
    #[schemars(required)]
    pub value: String,
}

// === impl ParamSpec ===

impl ParamSpec {
    /// The name, where this is the `spec.address` of a class.
    #[must_use]
    pub fn address_name(&self) -> &str {
        if self.name.is_empty() { ADDRESS } else { &self.name }
    }

    /// The default, where it is a text.
    #[must_use]
    pub fn default_text(&self) -> Option<&str> {
        self.default.as_ref().and_then(Value::as_str)
    }
}
