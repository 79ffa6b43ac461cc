//! The types of the middle: what the operator compiles, what the stream carries, and what a data plane builds its tables
//! from. They know neither the schema of the API nor the wire.

mod blob;
pub mod connector;
mod duty;
pub mod endpoint;
mod object;
pub mod policy;
pub(crate) mod reference;
mod report;
mod resource;
mod route;
mod secret;
pub mod version;

pub use blob::{Blob, BlobKey, ChunkKey};
pub use connector::{
    AuthType, ClassProxy, Connector, ConnectorClass, Credential, FeatureFlags, Injection, Operation,
    OwnProxy, Provider, Role, TokenSource,
};
pub use duty::{Duty, Escape, Probed, Report, Use};
pub use object::{ObjectKey, ObjectRef, Published};
pub use policy::{DefinedPolicy, EntryKey, ExtensionEntry, ExtensionRevision, Policies};
pub use report::{BackendState, Health, Objection};
pub use resource::{Endpoint, EndpointSet, Resource, ResourceBody, ResourceKey, SetKey};
pub use route::{Action, Authorities, Matcher, Route, Target, Tls, Unavailable, Upstream};
pub use secret::{KeyedHash, LOGIN_DATA, Secret, SecretKey};
