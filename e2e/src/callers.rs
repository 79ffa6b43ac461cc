//! Callers with tokens, and data planes that ask the API server about them.

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::kubectl::Kubectl;
use crate::product::Proxy;
use crate::world::{RBAC, World};

/// Starts data planes on these ports (listener and admin listener) that judge callers as their own ServiceAccount may.
pub async fn judging(world: &World, ports: &[(u16, u16)], arguments: &[&str]) -> Result<Vec<Proxy>> {
    world
        .kubectl()
        .apply(RBAC)
        .await
        .context("the data plane's rights")?;
    let kubeconfig = world
        .control_plane
        .service_account_kubeconfig("genkan-system", "genkan-dataplane")
        .await?;
    let kubeconfig = kubeconfig.display().to_string();
    let mut all = vec!["--authentication", "kubernetes", "--kubeconfig", &kubeconfig];
    // Nobody is left when they end.
    all.extend(["--drain-delay", "0s", "--drain-timeout", "1s"]);
    all.extend(arguments);
    let folder = world.folder("judging")?;
    let operator = world.product().operator.grpc;
    let mut proxies = Vec::new();
    for (n, ports) in (11..).zip(ports) {
        let proxy = Proxy::new(world.programs(), &folder, n, operator, *ports, &all);
        proxy.start().await?;
        proxies.push(proxy);
    }
    Ok(proxies)
}

/// A token of a ServiceAccount in namespace `default`, which is made if need be.
pub async fn token(client: &kube::Client, name: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    accounts
        .patch(name, &PatchParams::apply("e2e"), &Patch::Apply(account))
        .await?;
    let answer = accounts
        .create_token_request(name, &PostParams::default(), &TokenRequest::default())
        .await?;
    let token = answer.status.and_then(|status| status.token);
    token.with_context(|| format!("no token for ServiceAccount {name}"))
}

/// Binds a rule, written as a refusal prints it, to a ServiceAccount in namespace `default`.
pub async fn bind(kubectl: &Kubectl, name: &str, rule: &str) -> Result<()> {
    let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": "default"});
    bind_to(kubectl, name, rule, &subject).await
}

/// Binds a rule to any subject.
pub async fn bind_to(kubectl: &Kubectl, name: &str, rule: &str, subject: &serde_json::Value) -> Result<()> {
    let manifest = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\nrules:\n- {rule}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\nsubjects:\n- {subject}\n"
    );
    kubectl.apply(&manifest).await?;
    Ok(())
}

/// How often the API server was asked about tokens, and about access.
pub async fn reviews(kubectl: &Kubectl) -> Result<(u64, u64)> {
    let metrics = kubectl.run(&["get", "--raw", "/metrics"]).await?;
    let count = |resource: &str| {
        let named = format!("resource=\"{resource}\"");
        let of_resource = |line: &&str| line.starts_with("apiserver_request_total{") && line.contains(&named);
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        metrics.lines().filter(of_resource).filter_map(value).sum::<f64>() as u64
    };
    Ok((count("tokenreviews"), count("subjectaccessreviews")))
}
