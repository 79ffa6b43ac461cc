use genkan_crds::connectors::ConnectorClassSpec;
use genkan_routing::model::{Matcher, ObjectKey};
use serde::Deserialize;
use serde_json::Value;

use super::{Form, Spec, Tool};

pub(super) static FORM: Form = Form {
    endpoint: "spec.api",
    matched: "metadata.name",
    column: "api",
    group: genkan_crds::CONNECTORS_GROUP,
    plural: "connectorclasses",
    is_namespaced: false,
    is_optional: true,
    read,
    matcher,
    remarks: |_| Vec::new(),
};

fn read(spec: &Value) -> serde_json::Result<Spec> {
    Ok(Spec {
        tool: Tool::Class(Box::new(ConnectorClassSpec::deserialize(spec)?)),
        ..Spec::default()
    })
}

fn matcher(key: &ObjectKey, _: &Value) -> Option<Matcher> {
    Some(Matcher::ConnectorClass {
        name: key.name.clone(),
    })
}
