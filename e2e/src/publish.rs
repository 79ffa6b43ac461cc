//! Short ways to write the objects of genkan.

use std::time::Duration;

use anyhow::{Result, bail};
use genkan_crds::ReverseProxy;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::wait;

/// A ReverseProxy of everything below a path, which is stripped, to a Service.
pub fn reverse_proxy(name: &str, prefix: &str, service: &str, directives: Value) -> Value {
    let mut directives = directives;
    if directives.get("stripPathPrefix").is_none() {
        directives["stripPathPrefix"] = json!(prefix);
    }
    json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1",
        "kind": "ReverseProxy",
        "metadata": {"name": name},
        "spec": {
            "matcher": {"path": format!("{prefix}/*"), "method": "*"},
            "upstream": {"url": format!("http://{service}")},
            "directives": directives,
        },
    })
}

/// An APIService of a group and version to a Service.
pub fn api_service(name: &str, group: &str, version: &str, service: &str) -> Value {
    json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1",
        "kind": "APIService",
        "metadata": {"name": name},
        "spec": {"group": group, "version": version, "url": format!("http://{service}")},
    })
}

/// Manifests in one text.
pub fn manifest(objects: &[Value]) -> String {
    objects
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>()
        .join("\n---\n")
}

/// Applies a ReverseProxy without the cost of a kubectl process, and waits until every proxy serves it.
pub async fn apply(client: &kube::Client, object: &Value) -> Result<ReverseProxy> {
    let applied = apply_only(client, object).await?;
    programmed(client, &applied).await
}

/// Applies a ReverseProxy and does not wait.
pub async fn apply_only(client: &kube::Client, object: &Value) -> Result<ReverseProxy> {
    let api: Api<ReverseProxy> = Api::all(client.clone());
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Ok(api
        .patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(object))
        .await?)
}

/// Waits until `Programmed` is true for this very object in this generation.
pub async fn programmed(client: &kube::Client, object: &ReverseProxy) -> Result<ReverseProxy> {
    let api: Api<ReverseProxy> = Api::all(client.clone());
    let name = object.metadata.name.clone().unwrap_or_default();
    let what = format!("ReverseProxy {name} is programmed");
    wait::until(&what, Duration::from_secs(30), || async {
        let seen = api.get(&name).await?;
        if seen.metadata.uid != object.metadata.uid {
            bail!("it is another object of this name");
        }
        Ok(is_programmed(&seen).then_some(seen))
    })
    .await
}

/// `Programmed` is true for the generation that the object has.
pub fn is_programmed(object: &ReverseProxy) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions
        .filter(|condition| condition.type_ == "Programmed" && condition.status == "True")
        .any(|condition| condition.observed_generation >= object.metadata.generation)
}
