//! Conditions: the type, and the words that genkan writes into it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod connector;

/// One aspect of the state of the object.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about: Accepted, ResolvedRefs, Programmed or Ready.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// The generation of the object that the condition was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the status of the condition last changed.
    #[serde(default = "epoch")]
    pub last_transition_time: Time,
    /// Why, in one word, for programs.
    #[serde(default)]
    pub reason: String,
    /// What is so, where, and what to do, in one sentence.
    #[serde(default)]
    pub message: String,
}

/// Condition types.
pub mod kind {
    /// The spec is valid and wins its match.
    pub const ACCEPTED: &str = "Accepted";
    /// Everything that the spec names exists and may be used.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
    /// Every counted proxy serves this generation.
    pub const PROGRAMMED: &str = "Programmed";
    /// All of the others, and a backend that can be reached.
    pub const READY: &str = "Ready";
}

/// Values of `status` of a condition.
pub mod status {
    pub const TRUE: &str = "True";
    pub const FALSE: &str = "False";
    pub const UNKNOWN: &str = "Unknown";
}

/// Values of `reason` of a condition.
pub mod reason {
    /// `Accepted` is true.
    pub const ACCEPTED: &str = "Accepted";
    /// The spec breaks a rule that the schema does not express, or was stored before the rule existed.
    pub const INVALID: &str = "Invalid";
    /// Another object has the same match and is older.
    pub const CONFLICTED: &str = "Conflicted";
    /// Other objects take every request that this one would match.
    pub const SHADOWED: &str = "Shadowed";
    /// The spec asks for something that this version does not know.
    pub const UNSUPPORTED_VALUE: &str = "UnsupportedValue";
    /// Older objects have what there is of something that all share.
    pub const OVER_BUDGET: &str = "OverBudget";
    /// The object, or what it leads to, is larger than what proxies are sent.
    pub const TOO_LARGE: &str = "TooLarge";
    /// A limit of genkan is exceeded.
    pub const LIMIT_EXCEEDED: &str = "LimitExceeded";
    /// It uses a policy that this version of genkan does not run.
    pub const UNSUPPORTED: &str = "Unsupported";
    /// The label of the object gives it to another program.
    pub const HANDLED_ELSEWHERE: &str = "HandledElsewhere";

    /// `ResolvedRefs` is true.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
    /// The Service, or its port, does not exist.
    pub const BACKEND_NOT_FOUND: &str = "BackendNotFound";
    /// A Secret does not exist.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// There is no policy of that name and version.
    pub const POLICY_NOT_FOUND: &str = "PolicyNotFound";
    /// The extension that provides the policy is not deployed everywhere yet.
    pub const WAITING_FOR_EXTENSION: &str = "WaitingForExtension";
    /// The reference is not allowed, whether or not its target exists.
    pub const REF_NOT_PERMITTED: &str = "RefNotPermitted";

    /// `Programmed` is true.
    pub const PROGRAMMED: &str = "Programmed";
    /// Nothing of it is read or changed, because its author wants that.
    pub const SUSPENDED: &str = "Suspended";
    /// Nothing is known yet.
    pub const PENDING: &str = "Pending";
    /// Some proxies have not acknowledged this generation.
    pub const WAITING_FOR_PROXIES: &str = "WaitingForProxies";
    /// A proxy cannot build what it was sent.
    pub const REJECTED_BY_PROXY: &str = "RejectedByProxy";
    /// There is no proxy.
    pub const NO_PROXIES: &str = "NoProxies";

    /// `Ready` is true.
    pub const READY: &str = "Ready";
    /// The Service has no endpoint that may be used.
    pub const NO_READY_ENDPOINTS: &str = "NoReadyEndpoints";
    /// Not every proxy has resolved the host.
    pub const HOST_UNRESOLVED: &str = "HostUnresolved";
    /// A proxy cannot connect to the backend.
    pub const BACKEND_UNREACHABLE: &str = "BackendUnreachable";
    /// A proxy cannot agree on TLS with the backend.
    pub const BACKEND_TLS_FAILED: &str = "BackendTLSFailed";
}

/// Values of `reason` of the conditions of GatewayExtensions, beside those above.
pub mod extension {
    pub const ARCHIVE_INVALID: &str = "ArchiveInvalid";
    pub const NO_MANIFEST: &str = "NoManifest";
    pub const MANIFEST_INVALID: &str = "ManifestInvalid";
    pub const DUPLICATE_SINGLETON: &str = "DuplicateSingleton";
    pub const DIGEST_MISMATCH: &str = "DigestMismatch";
    pub const POLICY_INVALID: &str = "PolicyInvalid";
    pub const SCRIPT_INVALID: &str = "ScriptInvalid";
    pub const EXPORT_INVALID: &str = "ExportInvalid";
    pub const OVERRIDE_INVALID: &str = "OverrideInvalid";
    pub const SOURCE_NOT_FOUND: &str = "SourceNotFound";
    pub const SOURCE_UNREACHABLE: &str = "SourceUnreachable";
    pub const DEPLOYED: &str = "Deployed";
    pub const ROLLING_OUT: &str = "RollingOut";
    pub const AWAITING_APPROVAL: &str = "AwaitingApproval";
    pub const PAUSED: &str = "Paused";
    pub const ROLLED_BACK: &str = "RolledBack";
    pub const BLOCKED: &str = "Blocked";
    pub const NOT_ACCEPTED: &str = "NotAccepted";
    pub const UNSUPPORTED_SKIPPED: &str = "UnsupportedSkipped";
    pub const FILESTORE: &str = "Filestore";
}

/// Values of `status.state`, which mirrors `Ready` for clients of KubeSphere.
pub mod state {
    pub const AVAILABLE: &str = "Available";
    pub const UNAVAILABLE: &str = "Unavailable";
}

fn epoch() -> Time {
    Time(Timestamp::UNIX_EPOCH)
}
