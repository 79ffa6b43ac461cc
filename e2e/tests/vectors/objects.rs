//! From the short form of a case to manifests.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::case::{Case, text};
use super::upstream::{Keys, ca_bundle};

/// All objects of a case; `proxies` names the list that holds its ReverseProxies.
pub fn manifests(case: &Case, proxies: &str, address: SocketAddr, keys: &Keys) -> Vec<Value> {
    let config = &case.json["config"];
    let lists = [(proxies, "ReverseProxy"), ("apiServices", "APIService")];
    let mut objects = Vec::new();
    let mut services = Vec::new();
    for (list, kind) in lists {
        for short in config[list].as_array().into_iter().flatten() {
            let full = complete(kind, &fill(short, &address.to_string(), keys));
            let spec = &full["spec"];
            let endpoint = if kind == "ReverseProxy" {
                &spec["upstream"]
            } else {
                spec
            };
            if endpoint["service"].is_object() {
                services.push(endpoint["service"].clone());
            }
            objects.push(full);
        }
    }
    for service in services {
        let exists = config["services"].as_array().is_none_or(|known| {
            known
                .iter()
                .any(|known| known["namespace"] == service["namespace"] && known["name"] == service["name"])
        });
        if exists {
            objects.extend(mk_service(&service, address));
        }
    }
    objects
}

fn complete(kind: &str, short: &Value) -> Value {
    let mut metadata = Map::new();
    for name in ["name", "labels", "creationTimestamp"] {
        if !short[name].is_null() {
            metadata.insert(name.to_owned(), short[name].clone());
        }
    }
    let mut full = json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": short["spec"],
    });
    if !short["status"].is_null() {
        full["status"] = short["status"].clone();
    }
    full
}

/// A Service with one port, and the slice that leads to the backend.
fn mk_service(service: &Value, address: SocketAddr) -> [Value; 2] {
    let port = if service["port"].is_null() {
        json!(443)
    } else {
        service["port"].clone()
    };
    let (namespace, name) = (text(&service["namespace"]), text(&service["name"]));
    [
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "namespace": namespace, "name": name },
            "spec": { "clusterIP": "None", "ports": [{ "port": port, "targetPort": address.port() }] },
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": namespace,
                "name": format!("{name}-1"),
                "labels": { "kubernetes.io/service-name": name },
            },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": [address.ip().to_string()], "conditions": { "ready": true } }],
            "ports": [{ "name": "", "port": address.port(), "protocol": "TCP" }],
        }),
    ]
}

fn fill(value: &Value, address: &str, keys: &Keys) -> Value {
    match value {
        Value::String(written) => {
            Value::String(ca_bundle(value, keys).unwrap_or_else(|| written.replace("UPSTREAM", address)))
        }
        Value::Array(items) => items.iter().map(|item| fill(item, address, keys)).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), fill(value, address, keys)))
                .collect(),
        ),
        other => other.clone(),
    }
}
