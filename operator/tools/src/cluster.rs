//! The API server that somebody means.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tracing::info;

/// Longer than any watch may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(100);

/// A client for the cluster that a kubeconfig, the Pod, or the user's own configuration names.
///
/// # Errors
/// In one sentence, when there is none.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client> {
    let config = config(kubeconfig).await?;
    info!(cluster = %config.cluster_url, "API server");
    Client::try_from(config).context("no client for the API server can be made")
}

/// Where the API server is, and who we are there.
///
/// # Errors
/// In one sentence, when nothing says so.
pub async fn config(kubeconfig: Option<&Path>) -> Result<Config> {
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("--kubeconfig {} cannot be read", path.display()))?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("--kubeconfig {} names no usable cluster", path.display()))?
        }
        None => Config::infer().await.context(
            "no cluster is configured: give --kubeconfig, run inside a Pod, or use --source dir:PATH without a cluster",
        )?,
    };
    // A list, or the start of a watch, on a connection that died in silence would hang for a quarter of an hour.
    config.read_timeout = Some(READ_TIMEOUT);
    Ok(config)
}
