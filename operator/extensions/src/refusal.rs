use serde::{Deserialize, Serialize};

/// Why an archive or an entry is not taken, as a condition tells it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Reason {
    ArchiveInvalid,
    NoManifest,
    ManifestInvalid,
    DuplicateSingleton,
    DigestMismatch,
    PolicyInvalid,
    ScriptInvalid,
    ExportInvalid,
    OverrideInvalid,
    Unsupported,
    Conflicted,
    LimitExceeded,
    Invalid,
}

/// Something is not taken, and why, in a sentence for its author.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub reason: Reason,
    pub message: String,
}

// === impl Reason ===

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArchiveInvalid => "ArchiveInvalid",
            Self::NoManifest => "NoManifest",
            Self::ManifestInvalid => "ManifestInvalid",
            Self::DuplicateSingleton => "DuplicateSingleton",
            Self::DigestMismatch => "DigestMismatch",
            Self::PolicyInvalid => "PolicyInvalid",
            Self::ScriptInvalid => "ScriptInvalid",
            Self::ExportInvalid => "ExportInvalid",
            Self::OverrideInvalid => "OverrideInvalid",
            Self::Unsupported => "Unsupported",
            Self::Conflicted => "Conflicted",
            Self::LimitExceeded => "LimitExceeded",
            Self::Invalid => "Invalid",
        }
    }

    pub(crate) fn refuse(self, message: impl Into<String>) -> Refused {
        Refused {
            reason: self,
            message: message.into(),
        }
    }
}
