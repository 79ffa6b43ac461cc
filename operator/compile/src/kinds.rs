//! What each published kind is to the operator. A new kind is a line of [`of`] and a file beside those of the others;
//! everything else goes by what it said here, and by the form of its match.

mod api_service;
mod connector;
mod connector_class;
mod gateway_extension;
mod policy_definition;
mod reverse_proxy;

use genkan_crds::Endpoint;
use genkan_crds::connectors::{ConnectorClassSpec, ConnectorSpec};
use genkan_crds::gateway::GatewayExtensionSpec;
use genkan_routing::directives::DirectiveSpec;
use genkan_routing::model::policy::{PolicyDefinition, PolicyStep, SecretAlias};
use genkan_routing::model::{Matcher, ObjectKey, Policies, Published};
use genkan_routing::public::Fronting;
use serde::Deserialize;
use serde_json::Value;

/// How the manifests of a kind are read, and where in them its users find what is said of it.
#[derive(Debug)]
pub struct Form {
    /// Path of what holds url and service.
    pub endpoint: &'static str,
    /// Path of the field that others are in conflict about.
    pub matched: &'static str,
    /// Of its status: where requests go.
    pub column: &'static str,
    /// Where the API server keeps it, of the one version.
    pub group: &'static str,
    pub plural: &'static str,
    /// Its objects stand in namespaces.
    pub is_namespaced: bool,
    /// A cluster may do without its definition, and the operator without a right to it.
    pub is_optional: bool,
    read: fn(&Value) -> serde_json::Result<Spec>,
    matcher: fn(&ObjectKey, &Value) -> Option<Matcher>,
    remarks: fn(&Value) -> Vec<(&'static str, String)>,
}

/// A specification, as far as the operator goes by it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    pub endpoint: Endpoint,
    /// What its backend sees of the front.
    pub fronting: Fronting,
    /// Absent where the author wrote none, and for kinds that have none.
    pub directives: Option<DirectiveSpec>,
    pub forward_authorization: bool,
    /// What is wrong with the rest of it, one sentence each, behind the path of its field.
    pub problems: Vec<String>,
    /// What is to be done with its requests; its labels are not among it. Absent where the author wrote none.
    pub policies: Option<Box<Policies>>,
    /// What other kinds say instead of all that.
    pub tool: Tool,
}

/// The specification of a kind that does not only lead to an endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Tool {
    #[default]
    None,
    Connector(Box<ConnectorSpec>),
    Class(Box<ConnectorClassSpec>),
    Policy(Box<PolicyDefinition>),
    Extension(Box<GatewayExtensionSpec>),
}

/// The form of a kind.
pub fn of(kind: Published) -> &'static Form {
    match kind {
        Published::ReverseProxy => &reverse_proxy::FORM,
        Published::ApiService => &api_service::FORM,
        Published::ConnectorClass => &connector_class::FORM,
        Published::Connector => &connector::FORM,
        Published::PolicyDefinition => &policy_definition::FORM,
        Published::GatewayExtension => &gateway_extension::FORM,
    }
}

// === impl Form ===

impl Form {
    /// Reads a specification.
    ///
    /// # Errors
    /// When it does not fit the schema.
    pub fn read(&self, spec: &Value) -> serde_json::Result<Spec> {
        (self.read)(spec)
    }

    /// What a specification takes, also where it cannot be read as a whole; `None` if it does not say.
    pub fn matcher(&self, key: &ObjectKey, spec: &Value) -> Option<Matcher> {
        (self.matcher)(key, spec)
    }

    /// What is wrong with a specification beyond its schema, its endpoint and its directives: fields, and a sentence about
    /// each. It is served all the same, as far as it can be.
    pub fn remarks(&self, spec: &Value) -> Vec<(&'static str, String)> {
        (self.remarks)(spec)
    }
}

/// `policies` and `policySecrets` of a specification.
///
/// # Errors
/// When they do not fit the schema.
fn policies(spec: &Value) -> serde_json::Result<Option<Box<Policies>>> {
    let list = |name: &str| spec.get(name).filter(|list| !list.is_null());
    let steps = list("policies").map(Vec::<PolicyStep>::deserialize).transpose()?;
    let secrets = list("policySecrets")
        .map(Vec::<SecretAlias>::deserialize)
        .transpose()?;
    let policies = Policies {
        steps: steps.unwrap_or_default(),
        secrets: secrets.unwrap_or_default(),
        ..Policies::default()
    };
    Ok((!policies.is_empty()).then(|| Box::new(policies)))
}

/// A member of a specification, where it is text.
fn text(spec: &Value, pointer: &str) -> Option<String> {
    spec.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}
