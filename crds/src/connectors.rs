//! Group `connectors.alauda.io`: tools that are reached without their passwords.
//!
//! A ConnectorClass describes a kind of tool, a Connector is one tool of a namespace with its Secret, and a
//! ResourceInterface is data for user interfaces. The schemas require neither the name of `spec.address` of a class nor
//! the kind of a reference, because published manifests leave them out; [`ADDRESS`] and [`reference`] have what is meant.

pub mod auth;
pub mod class;
pub mod connector;
pub mod destination;
pub mod param;
pub mod probe;
pub mod reference;
pub mod resource_interface;
pub mod status;

pub use auth::{AuthProbe, AuthType, Generator, OAuth2};
pub use class::{
    AuthExtractor, ClassApi, ClassApiStatus, ClassAuth, ClassProxy, Configuration, ConnectorClass,
    ConnectorClassSpec, ConnectorClassStatus, Permissions,
};
pub use connector::{
    Connector, ConnectorApiStatus, ConnectorAuth, ConnectorSpec, ConnectorStatus, Credential,
};
pub use destination::{Destination, ServiceRef};
pub use param::{Param, ParamProperty, ParamSpec};
pub use probe::{ApiProbe, HttpHeader, HttpProbe, Probe, ResponseRule};
pub use reference::{LocalSecretReference, SecretReference};
pub use resource_interface::{ResourceInterface, ResourceInterfaceSpec};
pub use status::{Addressable, Condition, ProxyStatus};

/// Name of the parameter that the address of a Connector is, where the class does not name it.
pub const ADDRESS: &str = "address";

/// Annotation of a ConnectorClass that says how its proxy knows which Connector is meant: `host` or `path`.
pub const PROXY_RESOLVER: &str = "connectors.cpaas.io/proxy-resolver";
