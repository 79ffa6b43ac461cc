//! Objects that are stored already, judged by the definitions that would come.

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::lint::{Level, lint};

/// In one answer of the API server.
const PAGE: u32 = 500;

/// Every object of the kind.
pub(super) async fn list(
    client: &Client,
    installed: &CustomResourceDefinition,
) -> Result<Vec<DynamicObject>> {
    let names = &installed.spec.names;
    let Some(version) = installed.spec.versions.iter().find(|version| version.served) else {
        return Ok(Vec::new());
    };
    let kind = GroupVersionKind::gvk(&installed.spec.group, &version.name, &names.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &names.plural);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut objects = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api
            .list(&params)
            .await
            .with_context(|| format!("{} cannot be listed", names.plural))?;
        objects.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(objects),
        }
    }
}

/// What an edit of each would be refused for, in sentences.
pub(super) fn judge(objects: &[DynamicObject]) -> Vec<String> {
    let texts: Vec<_> = objects
        .iter()
        .map(|object| ("cluster".to_owned(), manifest(object)))
        .collect();
    let remarks = lint(&texts).remarks.into_iter();
    let errors = remarks.filter(|remark| remark.level == Level::Error);
    errors
        .map(|remark| format!("{}: {}: {}", remark.object, remark.field, remark.message))
        .collect()
}

/// What an author would have applied. JSON is YAML.
fn manifest(object: &DynamicObject) -> String {
    let types = object.types.clone().unwrap_or_default();
    let spec = object.data.get("spec").cloned().unwrap_or(Value::Null);
    let metadata = json!({ "name": object.metadata.name, "labels": object.metadata.labels });
    json!({ "apiVersion": types.api_version, "kind": types.kind, "metadata": metadata, "spec": spec })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_longer_fits_is_named_with_its_field() {
        let mk = |name: &str, spec: Value| -> DynamicObject {
            let object = json!({
                "apiVersion": "extensions.kubesphere.io/v1alpha1", "kind": "ReverseProxy",
                "metadata": { "name": name, "uid": "1", "managedFields": [] },
                "spec": spec, "status": { "state": "Available" },
            });
            serde_json::from_value(object).unwrap()
        };
        let good = mk(
            "good",
            json!({ "matcher": { "path": "/proxy/a/*", "method": "*" }, "upstream": { "url": "http://a.example" } }),
        );
        let bad = mk(
            "bad",
            json!({ "matcher": { "path": "/proxy/b/*", "method": "*" }, "upstream": { "url": "http://b.example?x=1" } }),
        );
        let remarks = judge(&[good, bad]);
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(
            remarks[0].starts_with("ReverseProxy bad: spec.upstream.url: "),
            "{remarks:?}"
        );
    }
}
