use genkan_crds::gateway::GatewayExtensionSpec;
use serde::Deserialize;
use serde_json::Value;

use super::{Form, Spec, Tool};

pub(super) static FORM: Form = Form {
    endpoint: "spec",
    matched: "metadata.name",
    column: "revision",
    group: genkan_crds::GATEWAY_GROUP,
    plural: "gatewayextensions",
    is_namespaced: false,
    is_optional: true,
    read,
    matcher: |_, _| None,
    remarks: |_| Vec::new(),
};

fn read(spec: &Value) -> serde_json::Result<Spec> {
    Ok(Spec {
        tool: Tool::Extension(Box::new(GatewayExtensionSpec::deserialize(spec)?)),
        ..Spec::default()
    })
}
