use serde::{Deserialize, Serialize};

/// What an entry is: one of genkan's types, or one of DataPower's, which is converted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum EntryType {
    Policy,
    Hook,
    Override,
    Files,
    CallOut,
    #[serde(rename = "dp-import")]
    DpImport,
    #[serde(rename = "extension")]
    Extension,
    #[serde(rename = "user-defined-policy")]
    UserDefinedPolicy,
    #[serde(rename = "user-defined-policy-yaml")]
    UserDefinedPolicyYaml,
    #[serde(rename = "policy-v5")]
    PolicyV5,
    #[serde(rename = "v5_extension")]
    V5Extension,
    #[serde(rename = "gwd_extension")]
    GwdExtension,
    #[serde(rename = "global-policy")]
    GlobalPolicy,
}

/// When an entry comes into force: everywhere at once, or one data plane after the other.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Deploy {
    Immediate,
    #[default]
    Deferred,
}

/// What becomes of that which cannot be converted.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum OnUnsupported {
    /// The entry is rejected.
    #[default]
    Reject,
    /// It is left out, and told.
    Skip,
}

/// Which folder of an archive is its root.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Layout {
    #[default]
    Strict,
    /// One folder that holds everything is the root.
    Lenient,
}

/// What a global policy is used for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Designated {
    Prehook,
    Posthook,
    Error,
}

// === impl EntryType ===

impl EntryType {
    /// Those that a manifest may list, sorted by name.
    pub const LISTED: [Self; 7] = [
        Self::DpImport,
        Self::Extension,
        Self::GwdExtension,
        Self::PolicyV5,
        Self::UserDefinedPolicy,
        Self::UserDefinedPolicyYaml,
        Self::V5Extension,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "Policy",
            Self::Hook => "Hook",
            Self::Override => "Override",
            Self::Files => "Files",
            Self::CallOut => "CallOut",
            Self::DpImport => "dp-import",
            Self::Extension => "extension",
            Self::UserDefinedPolicy => "user-defined-policy",
            Self::UserDefinedPolicyYaml => "user-defined-policy-yaml",
            Self::PolicyV5 => "policy-v5",
            Self::V5Extension => "v5_extension",
            Self::GwdExtension => "gwd_extension",
            Self::GlobalPolicy => "global-policy",
        }
    }

    /// Whether it comes as a file of DataPower's.
    pub fn is_converted(self) -> bool {
        match self {
            Self::Policy | Self::Hook | Self::Override | Self::Files | Self::CallOut => false,
            Self::DpImport
            | Self::Extension
            | Self::UserDefinedPolicy
            | Self::UserDefinedPolicyYaml
            | Self::PolicyV5
            | Self::V5Extension
            | Self::GwdExtension
            | Self::GlobalPolicy => true,
        }
    }

    /// What is applied before what.
    pub(crate) fn class(self) -> u8 {
        match self {
            Self::Files | Self::DpImport => 0,
            Self::Policy
            | Self::CallOut
            | Self::Extension
            | Self::UserDefinedPolicy
            | Self::UserDefinedPolicyYaml
            | Self::PolicyV5 => 1,
            Self::Override | Self::GwdExtension => 2,
            Self::Hook | Self::V5Extension | Self::GlobalPolicy => 3,
        }
    }

    /// The ending that a file of this type must have, and another that is as good.
    pub(crate) fn endings(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::UserDefinedPolicyYaml | Self::GlobalPolicy => Some((".yaml", ".yml")),
            Self::GwdExtension => Some((".json", ".json")),
            Self::DpImport
            | Self::Extension
            | Self::UserDefinedPolicy
            | Self::PolicyV5
            | Self::V5Extension => Some((".zip", ".zip")),
            Self::Policy | Self::Hook | Self::Override | Self::Files | Self::CallOut => None,
        }
    }
}
