use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use genkan_routing::model::policy::{Hook, Override, PolicyDefinition};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an entry brings.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    Policies(Vec<PolicyDefinition>),
    Hooks(Vec<Hook>),
    Overrides(Vec<Override>),
    /// By their paths in the entry.
    Files(BTreeMap<String, FileBytes>),
    /// A policy that another program runs.
    CallOut(Value),
}

/// A file, readable where it is a text.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FileBytes {
    Text(String),
    Base64(String),
}

// === impl Content ===

impl Content {
    /// `POLICY@VERSION` of each policy, or what else others can rely on.
    pub fn provides(&self) -> Vec<String> {
        match self {
            Self::Policies(policies) => {
                let each = policies.iter();
                each.map(|policy| format!("{}@{}", policy.policy, policy.version))
                    .collect()
            }
            Self::Overrides(_) => vec!["overrides".to_owned()],
            Self::CallOut(value) => {
                let text = |name: &str| value.get(name).and_then(Value::as_str);
                let names = text("policy").zip(text("version"));
                names
                    .map(|(policy, version)| format!("{policy}@{version}"))
                    .into_iter()
                    .collect()
            }
            Self::Hooks(_) | Self::Files(_) => Vec::new(),
        }
    }
}

// === impl FileBytes ===

impl FileBytes {
    pub fn new(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Base64(STANDARD.encode(error.as_bytes())),
        }
    }

    /// Of the file itself.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Base64(text) => text.trim_end_matches('=').len() * 3 / 4,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `None`: it is no Base64.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).ok(),
        }
    }
}
