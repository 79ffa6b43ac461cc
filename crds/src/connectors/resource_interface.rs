//! `ResourceInterface`: data for user interfaces, stored and served as it is.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::connectors;

/// Whatever its author wrote.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "connectors.alauda.io",
    version = "v1alpha1",
    kind = "ResourceInterface",
    plural = "resourceinterfaces",
    category = "alauda",
    category = "genkan",
    doc = "What user interfaces need to offer the resources of a tool. It is stored and served as it is.",
    derive = "PartialEq"
)]
pub struct ResourceInterfaceSpec {
    /// The fields, unread.
    #[serde(flatten)]
    #[schemars(skip)]
    pub fields: Map<String, Value>,
}

/// With what the derived schema cannot say.
pub(crate) fn definition() -> CustomResourceDefinition {
    connectors::resource_interface(ResourceInterface::crd())
}
