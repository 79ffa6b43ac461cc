//! A run without Kubernetes: the operator reads a folder of manifests.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

use super::{asked_to_end, sample, while_running};
use crate::backend::Backend;
use crate::product::{Source, local};
use crate::programs::Programs;
use crate::seeds;
use crate::world::Product;

pub(super) async fn run(folder: &Path) -> Result<()> {
    let programs = tokio::task::spawn_blocking(Programs::build).await??;
    let backend = Backend::start("sample", local(0)).await?;
    let manifests = folder.join("manifests");
    std::fs::create_dir_all(&manifests)?;
    let sample = [
        &sample::services(backend.address),
        seeds::EMPLOYEE,
        seeds::WEAVE_SCOPE,
    ]
    .join("\n---\n");
    std::fs::write(manifests.join("sample.yaml"), sample).context("write the sample")?;
    let product = Product::launch(
        &programs,
        folder,
        &Source::Folder(manifests.clone()),
        super::free_ports().await?,
        // The sample backend is on loopback, which a proxy dials only when told.
        &["--allow-upstream-cidr", "127.0.0.0/8"],
    )
    .await?;
    let proxies: Vec<SocketAddr> = product.proxies.iter().map(|proxy| proxy.listen).collect();
    sample::answered(&proxies, 200).await?;
    println!(
        "\ngenkan is running on {}; Ctrl-C ends everything.",
        manifests.display()
    );
    println!("Add, edit or remove manifests there; they are read at once. In another shell:\n");
    for proxy in &proxies {
        println!("  curl http://{proxy}{}", sample::EMPLOYEES);
    }
    println!("\n  logs and conditions: {}/*.log", folder.display());
    tokio::select! {
        outcome = while_running(|| product.expect_running()) => outcome,
        () = asked_to_end()? => Ok(()),
    }
}
