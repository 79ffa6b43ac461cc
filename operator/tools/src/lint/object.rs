//! One object by itself.

use std::sync::LazyLock;

use genkan_compile::compiler::{endpoint_problems, reverse_proxy};
use genkan_compile::named::{is_label, is_subdomain};
use genkan_compile::object::Kind;
use genkan_crds::{APIServiceSpec, Endpoint, ReverseProxySpec};
use genkan_routing::directives::Directives;
use genkan_routing::model::Published;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Deserialize;

use super::document::Document;
use super::{Level, Remark, advice, legacy, schema};

static DEFINITIONS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(genkan_crds::all);

pub(super) fn check(document: &Document<'_>, remarks: &mut Vec<Remark>) {
    let Some(kind) = document.kind().and_then(Kind::published) else {
        return;
    };
    let mut error =
        |field: &str, message: String| remarks.push(document.remark(Level::Error, field, message));
    let version = format!("{}/{}", genkan_crds::GROUP, genkan_crds::VERSION);
    if document.value["apiVersion"] != version {
        error("apiVersion", format!("is not served; write {version}"));
    }
    metadata(document, remarks);
    let known = DEFINITIONS.iter().find(|crd| crd.spec.names.kind == kind.name());
    let unknown = known
        .map(|crd| schema::check(document, crd, remarks))
        .unwrap_or_default();
    let spec = &document.value["spec"];
    for (index, item) in spec["matcher"].as_array().into_iter().flatten().enumerate() {
        let path = item["path"].as_str().unwrap_or_default();
        if !genkan_routing::is_served_path(path) {
            let message = format!("no request can match: {path:?} does not start with /proxy");
            let field = format!("spec.matcher[{index}].path");
            remarks.push(document.remark(Level::Error, &field, message));
        }
    }
    match kind {
        Published::ReverseProxy => {
            if let Ok(spec) = ReverseProxySpec::deserialize(spec) {
                reverse_proxy(document, &spec, &unknown, remarks);
            }
        }
        Published::ApiService => {
            if let Ok(spec) = APIServiceSpec::deserialize(spec) {
                api_service(document, &spec, &unknown, remarks);
            }
        }
    }
}

fn metadata(document: &Document<'_>, remarks: &mut Vec<Remark>) {
    let metadata = &document.value["metadata"];
    if document.name().is_empty() {
        let message = "is missing; give the object a name";
        remarks.push(document.remark(Level::Error, "metadata.name", message));
    } else if !is_subdomain(document.name()) {
        let message = format!(
            "{:?} is no name of an object; use lower-case letters, digits, - and .",
            document.name()
        );
        remarks.push(document.remark(Level::Error, "metadata.name", message));
    }
    if metadata["namespace"]
        .as_str()
        .is_some_and(|namespace| !namespace.is_empty())
    {
        let message = "objects of this kind are in no namespace; remove it";
        remarks.push(document.remark(Level::Warning, "metadata.namespace", message));
    }
}

fn reverse_proxy(
    document: &Document<'_>,
    spec: &ReverseProxySpec,
    unknown: &[String],
    remarks: &mut Vec<Remark>,
) {
    let method = &document.value["spec"]["matcher"]["method"];
    if let Some(message) = method.as_str().and_then(genkan_routing::matcher::method_problem) {
        remarks.push(document.remark(Level::Error, "spec.matcher.method", message));
    }
    let rules = spec
        .directives
        .as_ref()
        .map(reverse_proxy::rules)
        .unwrap_or_default();
    for problem in Directives::compile(&rules).err().into_iter().flatten() {
        remarks.push(document.remark(Level::Error, &format!("spec.{}", problem.field), problem.reason));
    }
    endpoint(document, &spec.upstream, "spec.upstream", unknown, remarks);
    advice::reverse_proxy(document, spec, &rules, remarks);
}

fn api_service(
    document: &Document<'_>,
    spec: &APIServiceSpec,
    unknown: &[String],
    remarks: &mut Vec<Remark>,
) {
    if !spec.group.is_empty() && !is_segment(&spec.group) {
        let message = format!(
            "{:?} is no API group: it is one segment of a path, such as shop.example",
            spec.group
        );
        remarks.push(document.remark(Level::Error, "spec.group", message));
    }
    if document.value["spec"]["version"].is_string() && !is_segment(&spec.version) {
        let message = format!(
            "{:?} is no API version: it is one segment of a path, such as v1alpha1",
            spec.version
        );
        remarks.push(document.remark(Level::Error, "spec.version", message));
    }
    endpoint(document, &spec.endpoint, "spec", unknown, remarks);
}

fn endpoint(
    document: &Document<'_>,
    endpoint: &Endpoint,
    at: &str,
    unknown: &[String],
    remarks: &mut Vec<Remark>,
) {
    let named_otherwise = endpoint.url.is_none()
        && endpoint.service.is_none()
        && unknown.iter().any(|field| legacy::names_a_backend(field));
    if named_otherwise {
        return;
    }
    if at.starts_with("spec.") && document.value["spec"]["upstream"].is_null() {
        // The schema has said so.
        return;
    }
    for problem in endpoint_problems(endpoint, at) {
        let (field, message) = problem.split_once(": ").unwrap_or((at, &problem));
        remarks.push(document.remark(Level::Error, field, message));
    }
    match &endpoint.service {
        Some(_) if endpoint.url.is_some() => {
            let message = "is ignored, because there is a url; remove one of them";
            remarks.push(document.remark(Level::Warning, &format!("{at}.service"), message));
        }
        Some(service) => {
            for (name, value) in [("namespace", &service.namespace), ("name", &service.name)] {
                let written = document
                    .value
                    .pointer(&format!("/{}/service/{name}", at.replace('.', "/")));
                if written.is_some_and(serde_json::Value::is_string) && !is_label(value) {
                    let message = format!("{value:?} is no {name} of a Service");
                    remarks.push(document.remark(Level::Error, &format!("{at}.service.{name}"), message));
                }
            }
        }
        None => {}
    }
}

/// One segment of a path that a request can have.
fn is_segment(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().all(unreserved) && !text.bytes().all(|byte| byte == b'.')
}
