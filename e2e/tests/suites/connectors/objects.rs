//! Objects of the API server as JSON, written without the cost of a kubectl process.

use anyhow::{Context, Result};
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

pub const CLASSES: &str = "/apis/connectors.alauda.io/v1alpha1/connectorclasses";

pub fn connectors(namespace: &str) -> String {
    format!("/apis/connectors.alauda.io/v1alpha1/namespaces/{namespace}/connectors")
}

pub fn secrets(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

pub fn role_bindings(namespace: &str) -> String {
    format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings")
}

async fn send(client: &Client, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Value> {
    let request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header("content-type", kind)
        .body(body)?;
    client
        .request(request)
        .await
        .with_context(|| format!("{method} {path}"))
}

pub async fn create(client: &Client, folder: &str, object: &Value) -> Result<Value> {
    send(
        client,
        Method::POST,
        folder,
        "application/json",
        serde_json::to_vec(object)?,
    )
    .await
}

/// Makes it, or makes it so.
pub async fn apply(client: &Client, folder: &str, object: &Value) -> Result<Value> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!("{folder}/{name}?fieldManager=e2e&force=true");
    send(
        client,
        Method::PATCH,
        &path,
        "application/apply-patch+yaml",
        serde_json::to_vec(object)?,
    )
    .await
}

pub async fn get(client: &Client, path: &str) -> Result<Value> {
    send(client, Method::GET, path, "application/json", Vec::new()).await
}

pub async fn delete(client: &Client, path: &str) -> Result<()> {
    send(client, Method::DELETE, path, "application/json", Vec::new()).await?;
    Ok(())
}

pub async fn namespace(client: &Client, name: &str) -> Result<()> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    apply(client, "/api/v1/namespaces", &object).await?;
    Ok(())
}

/// An object of this group, with the spec of another one.
pub fn made(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "connectors.alauda.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    })
}

/// A Secret; values are text.
pub fn secret(name: &str, kind: &str, values: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "stringData": data})
}

/// The RoleBinding by which a team lets the operator read the Secrets of its namespace.
pub fn secrets_binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "genkan-connector-secrets"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "genkan-connector-secrets"},
        "subjects": [{"kind": "ServiceAccount", "name": "genkan-operator", "namespace": "genkan-system"}],
    })
}

/// A condition that speaks about the generation that the object has.
pub fn condition<'o>(object: &'o Value, kind: &str) -> Option<&'o Value> {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|condition| {
        condition["type"] == kind && condition["observedGeneration"] == object["metadata"]["generation"]
    })
}

/// All conditions in words.
pub fn spoken(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let word = |condition: &Value| {
        let part = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
        format!(
            "{}={} {} ({})",
            part("type"),
            part("status"),
            part("reason"),
            part("message")
        )
    };
    let all: Vec<String> = conditions.into_iter().flatten().map(word).collect();
    format!("{}: {}", object["metadata"]["name"], all.join("; "))
}
