use genkan_crds::APIServiceSpec;
use genkan_routing::model::{Matcher, ObjectKey};
use serde::Deserialize;
use serde_json::Value;

use super::{Form, Spec, Tool, policies, text};

pub(super) static FORM: Form = Form {
    endpoint: "spec",
    matched: "spec.version",
    column: "backend",
    group: genkan_crds::GROUP,
    plural: "apiservices",
    is_namespaced: false,
    is_optional: false,
    read,
    matcher,
    remarks,
};

fn read(spec: &Value) -> serde_json::Result<Spec> {
    let policies = policies(spec)?;
    let spec = APIServiceSpec::deserialize(spec)?;
    let mut problems = Vec::new();
    if spec.version.is_empty() {
        problems.push("spec.version: is empty; give one, such as v1".to_owned());
    }
    Ok(Spec {
        endpoint: spec.endpoint,
        fronting: Default::default(),
        directives: None,
        forward_authorization: spec.forward_authorization.unwrap_or(false),
        problems,
        policies,
        tool: Tool::None,
    })
}

fn matcher(_: &ObjectKey, spec: &Value) -> Option<Matcher> {
    let version = text(spec, "/version").filter(|version| !version.is_empty())?;
    let group = text(spec, "/group").unwrap_or_default();
    Some(Matcher::ApiService { group, version })
}

fn remarks(spec: &Value) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if let Some(group) = text(spec, "/group").filter(|group| !group.is_empty() && !is_segment(group)) {
        let message = format!("{group:?} is no API group: it is one segment of a path, such as shop.example");
        found.push(("spec.group", message));
    }
    if let Some(version) = text(spec, "/version").filter(|version| !is_segment(version)) {
        let message = format!("{version:?} is no API version: it is one segment of a path, such as v1alpha1");
        found.push(("spec.version", message));
    }
    found
}

/// One segment of a path that a request can have.
fn is_segment(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().all(unreserved) && !text.bytes().all(|byte| byte == b'.')
}
