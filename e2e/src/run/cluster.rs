//! A run against a cluster that the reader already has.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use super::{asked_to_end, while_running};
use crate::binaries::Binaries;
use crate::kubectl::Kubectl;
use crate::product::Source;
use crate::programs::Programs;
use crate::world::{self, Product};

/// Context and server of a kubeconfig, in words.
pub(super) fn name(path: &Path) -> Result<String> {
    let config = Kubeconfig::read_from(path).with_context(|| format!("read {}", path.display()))?;
    let context = config
        .current_context
        .ok_or_else(|| anyhow!("{} has no current context", path.display()))?;
    let cluster = config
        .contexts
        .iter()
        .find(|named| named.name == context)
        .and_then(|named| named.context.as_ref())
        .map(|named| named.cluster.clone())
        .unwrap_or_default();
    let server = config
        .clusters
        .iter()
        .find(|named| named.name == cluster)
        .and_then(|named| named.cluster.as_ref())
        .and_then(|named| named.server.clone())
        .unwrap_or_else(|| "no server".to_owned());
    Ok(format!("context {context}, cluster {cluster} at {server}"))
}

pub(super) async fn run(kubeconfig: &Path, folder: &Path) -> Result<()> {
    let (program, programs) =
        tokio::task::spawn_blocking(|| Ok::<_, anyhow::Error>((Binaries::kubectl()?, Programs::build()?)))
            .await??;
    let kubectl = Kubectl::new(&program, &kubeconfig.canonicalize()?, folder);
    world::install(&kubectl, &programs).await?;
    let own = operator_kubeconfig(&kubectl, folder).await?;
    let product = Product::launch(
        &programs,
        folder,
        &Source::Kubernetes(own),
        super::free_ports().await?,
        &[],
    )
    .await?;
    println!(
        "\ngenkan runs here, against your cluster; Ctrl-C ends it and leaves the custom resources there."
    );
    println!("Backends are dialled from this machine, so Services work where it can reach the Pods.\n");
    for proxy in &product.proxies {
        println!(
            "  data plane  http://{}   http://{}/config",
            proxy.listen, proxy.admin
        );
    }
    println!("  operator    http://{}/metrics", product.operator.admin);
    println!("  logs        {}/*.log", folder.display());
    tokio::select! {
        outcome = while_running(|| product.expect_running()) => outcome,
        () = asked_to_end()? => Ok(()),
    }
}

/// The cluster as the reader reaches it, with a token of the operator's ServiceAccount.
async fn operator_kubeconfig(kubectl: &Kubectl, folder: &Path) -> Result<PathBuf> {
    let token = kubectl
        .run(&[
            "create",
            "token",
            "genkan-operator",
            "-n",
            "genkan-system",
            "--duration=24h",
        ])
        .await?;
    let view = kubectl
        .run(&["config", "view", "--minify", "--flatten", "--raw", "-o", "json"])
        .await?;
    let mut config: Value = serde_json::from_str(&view)?;
    for user in config["users"].as_array_mut().into_iter().flatten() {
        user["user"] = json!({"token": token.trim()});
    }
    let path = folder.join("operator.kubeconfig");
    std::fs::write(&path, serde_yaml::to_string(&config)?)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
