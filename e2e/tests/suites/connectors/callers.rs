//! Callers: ServiceAccounts with tokens of the API server, and its RBAC.

use std::time::Duration;

use anyhow::{Context, Result};
use genkan_e2e::{callers, wait};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::objects;

/// Somebody who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    pub token: String,
}

/// A token of a ServiceAccount that has these grants, as `verbs`, `resources`, `names`, `namespace`.
pub async fn granted(client: &Client, account: &str, grants: &[&Value]) -> Result<Caller> {
    let token = callers::token(client, account).await?;
    for (n, grant) in grants.iter().enumerate() {
        let name = format!("{account}-{n}");
        let namespace = grant["namespace"].as_str().unwrap_or("default");
        let rule = json!({
            "apiGroups": ["connectors.alauda.io"], "resources": grant["resources"], "verbs": grant["verbs"],
            "resourceNames": grant["names"].as_array().filter(|names| !names.is_empty()),
        });
        bind(client, namespace, &name, account, rule).await?;
        let text = |value: &Value| value[0].as_str().map(str::to_owned);
        may(
            client,
            account,
            namespace,
            text(&grant["resources"]),
            text(&grant["verbs"]),
            text(&grant["names"]),
        )
        .await?;
    }
    Ok(Caller { token })
}

/// Somebody who may `get` every Connector of a namespace.
pub async fn reader(client: &Client, namespace: &str) -> Result<Caller> {
    let grant = json!({"namespace": namespace, "verbs": ["get"], "resources": ["connectors"]});
    granted(client, &format!("reader-{namespace}"), &[&grant]).await
}

async fn bind(client: &Client, namespace: &str, name: &str, account: &str, rule: Value) -> Result<()> {
    let api = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": [rule],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}],
    });
    objects::apply(client, &format!("{api}/namespaces/{namespace}/roles"), &role).await?;
    objects::apply(
        client,
        &format!("{api}/namespaces/{namespace}/rolebindings"),
        &binding,
    )
    .await?;
    Ok(())
}

/// Waits until the API server has taken a grant in: a no would be remembered for some seconds.
async fn may(
    client: &Client,
    account: &str,
    namespace: &str,
    resource: Option<String>,
    verb: Option<String>,
    name: Option<String>,
) -> Result<()> {
    let resource = resource.context("a grant of no resource")?;
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource.to_owned(), Some(subresource.to_owned())),
        None => (resource, None),
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:default:{account}")),
            resource_attributes: Some(ResourceAttributes {
                group: Some("connectors.alauda.io".into()),
                resource: Some(resource),
                subresource,
                verb,
                name,
                namespace: Some(namespace.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    wait::until_true("the grant holds", Duration::from_secs(10), || async {
        let answer = api.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    })
    .await
}
