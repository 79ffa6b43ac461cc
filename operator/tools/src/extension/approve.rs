//! `genkan extension approve`: the annotation that a roll-out with `trigger: Manual` waits for.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use genkan_compile::object::Kind;
use genkan_crds::gateway::APPROVE;
use genkan_routing::model::Published;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::resource;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the GatewayExtension
    #[arg(value_name = "NAME")]
    name: String,
    /// Kubeconfig of the API server [default: the Pod's ServiceAccount, else ~/.kube/config]
    #[arg(long, env = "GENKAN_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// Approves the revision that the status names.
///
/// # Errors
/// When there is none, or the API server refuses it.
pub(super) fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .context("no thread can be started")?
        .block_on(approve(args))
}

async fn approve(args: &Args) -> Result<()> {
    let name = &args.name;
    let client = crate::cluster::client(args.kubeconfig.as_deref()).await?;
    let kind = resource::of(Kind::Published(Published::GatewayExtension));
    let api = resource::api(&client, &kind, "");
    let found = api.get_opt(name).await;
    let found = found.with_context(|| format!("GatewayExtension {name} cannot be read"))?;
    let found = found.ok_or_else(|| anyhow!("there is no GatewayExtension {name}"))?;
    let revision = found.data["status"]["revision"].as_str();
    let revision = revision.ok_or_else(|| {
        anyhow!("GatewayExtension {name} has no revision yet; kubectl describe gwext {name} says why")
    })?;
    let annotations = found.metadata.annotations.unwrap_or_default();
    if annotations
        .get(APPROVE)
        .is_some_and(|approved| approved == revision)
    {
        println!("{revision} was approved before");
        return Ok(());
    }
    // It is for the object whose status was read, and no later one.
    let patch = json!({"metadata": {
        "resourceVersion": found.metadata.resource_version,
        "annotations": {APPROVE: revision},
    }});
    let patched = api
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    patched.with_context(|| format!("GatewayExtension {name} cannot be changed"))?;
    println!("{revision} is approved");
    Ok(())
}
