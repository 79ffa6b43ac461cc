//! What every definition promises, and what the types read.

#![allow(clippy::unwrap_used)]

use genkan_crds::{APIServiceSpec, ReverseProxySpec};
use serde_json::{Value, json};

fn schemas() -> Vec<(String, Value)> {
    let schema = |crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let version = crd.spec.versions[0].clone();
        let root = serde_json::to_value(version.schema.unwrap().open_api_v3_schema.unwrap()).unwrap();
        (crd.spec.names.kind, root)
    };
    genkan_crds::all().into_iter().map(schema).collect()
}

fn visit(path: &str, schema: &Value, see: &mut impl FnMut(&str, &Value)) {
    see(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(&format!("{path}.{name}"), property, see);
    }
    if schema["items"].is_object() {
        visit(&format!("{path}[]"), &schema["items"], see);
    }
    if schema["additionalProperties"].is_object() {
        visit(&format!("{path}{{}}"), &schema["additionalProperties"], see);
    }
}

#[test]
fn nothing_has_a_default() {
    for (kind, root) in schemas() {
        visit(&kind, &root, &mut |path, schema| {
            assert_eq!(schema["default"], Value::Null, "{path}")
        });
    }
}

/// A text or list without a maximum would make the API server refuse the rules on it as too expensive.
#[test]
fn everything_that_authors_write_is_bounded() {
    for (kind, root) in schemas() {
        visit(&kind, &root["properties"]["spec"], &mut |path, schema| {
            let bound = match schema["type"].as_str() {
                Some("array") => "maxItems",
                Some("string") if schema["enum"].is_null() => "maxLength",
                Some("object") if schema["additionalProperties"].is_object() => "maxProperties",
                _ => return,
            };
            assert!(schema[bound].is_u64(), "{path} has no {bound}");
        });
    }
}

#[test]
fn every_field_is_explained_with_default_and_example() {
    for (kind, root) in schemas() {
        let fields = &root["properties"]["spec"]["properties"];
        for (name, field) in fields.as_object().into_iter().flatten() {
            visit(&format!("{kind}.{name}"), field, &mut |path, schema| {
                if path.ends_with("[]") || path.ends_with("{}") {
                    return;
                }
                let text = schema["description"].as_str().unwrap_or_default();
                assert!(
                    text.contains("\nDefault: ") && text.contains("\nExample: "),
                    "{path}: {text}"
                );
            });
        }
    }
}

#[test]
fn rules_are_expressions_with_a_sentence() {
    for (kind, root) in schemas() {
        visit(&kind, &root, &mut |path, schema| {
            for rule in schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let message = rule["message"].as_str().unwrap();
                assert!(
                    !message.is_empty() && !message.contains('\n') && !message.ends_with('.'),
                    "{path}: {message}"
                );
            }
        });
    }
}

/// The schema may have become stricter since an object was stored.
#[test]
fn whatever_is_stored_can_be_read() {
    let spec: ReverseProxySpec = serde_json::from_value(json!({})).unwrap();
    assert_eq!(
        (spec.matcher.path.as_str(), spec.upstream.endpoint.url),
        ("", None)
    );
    let spec: ReverseProxySpec = serde_json::from_value(json!({
        "matcher": {"path": "/proxy/x"},
        "upstream": {"url": null, "service": {"namespace": "n", "port": 70_000}, "healthCheck": {}},
        "directives": {"headerUp": null, "timeout": "3s"},
    }))
    .unwrap();
    let service = spec.upstream.endpoint.service.unwrap();
    assert_eq!(
        (service.effective_port(), service.effective_scheme()),
        (None, "https")
    );
    let spec: APIServiceSpec =
        serde_json::from_value(json!({"service": {"namespace": "n", "name": "s"}})).unwrap();
    assert_eq!(spec.endpoint.service.unwrap().effective_port(), Some(443));
}

#[test]
fn an_api_service_writes_its_endpoint_beside_its_version() {
    let spec: APIServiceSpec = serde_json::from_value(json!({
        "group": "shop.example", "version": "v1", "url": "http://h.example", "insecureSkipTLSVerify": true,
    }))
    .unwrap();
    assert!(spec.endpoint.skips_verification());
    assert_eq!(
        serde_json::to_value(&spec).unwrap(),
        json!({"group": "shop.example", "version": "v1", "url": "http://h.example", "insecureSkipTLSVerify": true})
    );
}
