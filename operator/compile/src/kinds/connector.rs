use genkan_crds::connectors::ConnectorSpec;
use genkan_routing::model::{Matcher, ObjectKey};
use serde::Deserialize;
use serde_json::Value;

use super::{Form, Spec, Tool, policies};

pub(super) static FORM: Form = Form {
    endpoint: "spec.address",
    matched: "metadata.name",
    column: "api",
    group: genkan_crds::CONNECTORS_GROUP,
    plural: "connectors",
    is_namespaced: true,
    is_optional: true,
    read,
    matcher,
    remarks: |_| Vec::new(),
};

fn read(spec: &Value) -> serde_json::Result<Spec> {
    Ok(Spec {
        policies: policies(spec)?,
        tool: Tool::Connector(Box::new(ConnectorSpec::deserialize(spec)?)),
        ..Spec::default()
    })
}

fn matcher(key: &ObjectKey, _: &Value) -> Option<Matcher> {
    Some(Matcher::Connector {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    })
}
