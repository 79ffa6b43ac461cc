//! Group `gateway.genkan.io`: policies of requests, and the extensions that bring them.
//!
//! A PolicyDefinition is a reusable policy. A GatewayExtension loads entries into the gateway, which are policies, hooks,
//! overrides and files, from its own specification or from a DataPower zip.

pub mod archive;
pub mod entry;
pub mod extension;
pub mod hook;
pub mod policy_definition;
pub mod source;
pub mod status;
pub mod step;

pub use archive::Archive;
pub use entry::{CallOut, Entry, Files, Limits};
pub use extension::{Deploy, Drain, GatewayExtension, GatewayExtensionSpec, Rollout, Soak};
pub use hook::{Hook, Override, Select};
pub use policy_definition::{Catch, PolicyBody, PolicyDefinition, PolicyDefinitionSpec, Script};
pub use source::{ConfigMapSource, InlineSource, SecretSource, Source, UrlSource};
pub use status::{Columns, EntryStatus, GatewayExtensionStatus, PolicyDefinitionStatus, RolloutStatus};
pub use step::{PolicyStep, SecretAlias};

/// Annotation of a GatewayExtension that lets it go though it is used.
pub const FORCE_DELETE: &str = "gateway.genkan.io/force-delete";
/// Annotation of a GatewayExtension that names the revision which may be rolled out.
pub const APPROVE: &str = "gateway.genkan.io/approve";
