//! The DataPower zip of an extension.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Source;

/// A DataPower extension zip.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// Where the zip is.
    /// Default: none, it is required.
    /// Example: {configMap: {namespace: edge, name: corp-zip, key: corp.zip}}
    #[serde(default)]
    #[schemars(required)]
    pub source: Source,

    /// Strict, where manifest.json is at the root; or Lenient, where one folder that holds everything is the root.
    /// Default: Strict.
    /// Example: Lenient
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,

    /// What becomes of an entry that holds something which is not converted: Reject, or Skip, which leaves that out and says so.
    /// Default: Reject.
    /// Example: Skip
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unsupported: Option<String>,

    /// Use of the global policies among the entries: prehook, posthook or error for the name of each.
    /// Default: none; a global policy is then in nobody's way.
    /// Example: {global-audit: posthook}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub designated: BTreeMap<String, String>,

    /// Alias in spec.secrets for each crypto object that the archive names.
    /// Default: none.
    /// Example: {idp-key: idp}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_map: BTreeMap<String, String>,

    /// NAMESPACE/SERVICE:PORT or URL for each host or group that an invoke names.
    /// Default: none.
    /// Example: {backends: "shop/orders:8080"}
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub host_map: BTreeMap<String, String>,
}
