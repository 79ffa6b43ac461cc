//! The API types of genkan, and the CustomResourceDefinitions made from them.
//!
//! The types read whatever the API server stores: what a schema refuses today may have been stored yesterday, so
//! every field but the outermost is optional here, and judging a value is left to the operator.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

pub mod api_service;
pub mod condition;
pub mod connectors;
pub mod definition;
pub mod directives;
pub mod endpoint;
pub mod gateway;
pub mod reverse_proxy;

pub use api_service::{APIService, APIServiceSpec, APIServiceStatus};
pub use condition::Condition;
pub use connectors::{Connector, ConnectorClass, ResourceInterface};
pub use definition::{files, yaml};
pub use directives::{BodyRule, Directives};
pub use endpoint::{Endpoint, ServiceReference};
pub use gateway::{GatewayExtension, PolicyDefinition};
pub use reverse_proxy::{
    Matcher, ReverseProxy, ReverseProxySpec, ReverseProxyStatus, Upstream, UpstreamHost,
};

/// API group of the kinds that KubeSphere defined.
pub const GROUP: &str = "extensions.kubesphere.io";
/// API group of Connectors, their classes and ResourceInterfaces.
pub const CONNECTORS_GROUP: &str = "connectors.alauda.io";
/// API group of gateway extensions and policies.
pub const GATEWAY_GROUP: &str = "gateway.genkan.io";
/// The only version of all groups.
pub const VERSION: &str = "v1alpha1";

/// All definitions.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        api_service::definition(),
        reverse_proxy::definition(),
        connectors::class::definition(),
        connectors::connector::definition(),
        connectors::resource_interface::definition(),
        gateway::extension::definition(),
        gateway::policy_definition::definition(),
    ]
}
