//! One object by itself.

use std::sync::LazyLock;

use genkan_compile::compiler::endpoint_problems;
use genkan_compile::kinds::{self, Tool};
use genkan_compile::named::{is_label, is_subdomain};
use genkan_compile::object::Kind;
use genkan_crds::Endpoint;
use genkan_routing::directives::Directives;
use genkan_routing::model::{Matcher, ObjectKey};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::document::Document;
use super::{Level, Remark, advice, legacy, schema};

static DEFINITIONS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(genkan_crds::all);

pub(super) fn check(document: &Document<'_>, remarks: &mut Vec<Remark>) {
    let Some(kind) = document.kind().and_then(Kind::published) else {
        return;
    };
    let mut error =
        |field: &str, message: String| remarks.push(document.remark(Level::Error, field, message));
    let version = format!("{}/{}", kinds::of(kind).group, genkan_crds::VERSION);
    if document.value["apiVersion"] != version {
        error("apiVersion", format!("is not served; write {version}"));
    }
    metadata(document, kinds::of(kind).is_namespaced, remarks);
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
    let form = kinds::of(kind);
    let Ok(read) = form.read(spec) else { return };
    for (field, message) in form.remarks(spec) {
        remarks.push(document.remark(Level::Error, field, message));
    }
    let rules = read.directives.unwrap_or_default();
    for problem in Directives::compile(&rules).err().into_iter().flatten() {
        remarks.push(document.remark(Level::Error, &format!("spec.{}", problem.field), problem.reason));
    }
    match read.tool {
        Tool::None => endpoint(document, &read.endpoint, form.endpoint, &unknown, remarks),
        Tool::Connector(_) | Tool::Class(_) | Tool::Policy(_) | Tool::Extension(_) => {}
    }
    let key = ObjectKey::cluster(kind, document.name());
    if let Some(Matcher::ReverseProxy { path, method }) = form.matcher(&key, spec) {
        advice::proxied(document, (&path, &method), &rules, remarks);
    }
}

fn metadata(document: &Document<'_>, is_namespaced: bool, remarks: &mut Vec<Remark>) {
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
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    if !is_namespaced && !namespace.is_empty() {
        let message = "objects of this kind are in no namespace; remove it";
        remarks.push(document.remark(Level::Warning, "metadata.namespace", message));
    }
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
    let written = document.value.pointer(&format!("/{}", at.replace('.', "/")));
    if written.is_none_or(Value::is_null) {
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
                let written = written.and_then(|endpoint| endpoint.pointer(&format!("/service/{name}")));
                if written.is_some_and(Value::is_string) && !is_label(value) {
                    let message = format!("{value:?} is no {name} of a Service");
                    remarks.push(document.remark(Level::Error, &format!("{at}.service.{name}"), message));
                }
            }
        }
        None => {}
    }
}
