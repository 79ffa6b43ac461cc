use genkan_routing::model::policy::PolicyDefinition;
use serde::Deserialize;
use serde_json::Value;

use super::{Form, Spec, Tool};

pub(super) static FORM: Form = Form {
    endpoint: "spec",
    matched: "spec.policy",
    column: "policy",
    group: genkan_crds::GATEWAY_GROUP,
    plural: "policydefinitions",
    is_namespaced: false,
    is_optional: true,
    read,
    matcher: |_, _| None,
    remarks: |_| Vec::new(),
};

fn read(spec: &Value) -> serde_json::Result<Spec> {
    Ok(Spec {
        tool: Tool::Policy(Box::new(PolicyDefinition::deserialize(spec)?)),
        ..Spec::default()
    })
}
