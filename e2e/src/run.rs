//! genkan to try out: on a control plane of its own, on the reader's cluster, or on a folder of manifests.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use crate::namespace;
use crate::programs::Prepared;
use crate::relay::Held;
use crate::world::Addresses;

mod cluster;
mod directory;
mod inside;
mod sample;

/// What was asked for.
#[derive(Debug)]
pub struct Wish {
    pub kubeconfig: Option<PathBuf>,
    pub folder: PathBuf,
    pub directory: bool,
}

/// What is handed into the private network.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    prepared: Prepared,
    /// For kubeconfig and logs.
    folder: PathBuf,
    /// For the sockets of the relay; its path is short, as the paths of sockets have to be.
    sockets: PathBuf,
    ports: Ports,
}

/// The same inside and outside, so that a printed address works everywhere.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Ports {
    api: u16,
    operator_admin: u16,
    /// Listener and admin listener.
    proxies: [(u16, u16); 2],
}

// === impl Ports ===

impl Ports {
    fn all(&self) -> Vec<u16> {
        let [(a, b), (c, d)] = self.proxies;
        vec![self.api, self.operator_admin, a, b, c, d]
    }
}

/// Runs until Ctrl-C or SIGTERM.
pub fn run(wish: Wish) -> Result<()> {
    if let Some(plan) = namespace::handed::<Plan>()? {
        return inside::run(plan);
    }
    if let Some(kubeconfig) = &wish.kubeconfig
        && may_use(kubeconfig)?
    {
        return block_on(cluster::run(kubeconfig, &fresh(&wish.folder)?));
    }
    if wish.directory {
        return block_on(directory::run(&fresh(&wish.folder)?));
    }
    if let Err(why) = namespace::probe() {
        println!(
            "This machine gives no private network ({why}), which the control plane needs. Running genkan on a \
             folder of manifests instead; conditions are printed by the operator, and there is no kubectl."
        );
        return block_on(directory::run(&fresh(&wish.folder)?));
    }
    block_on(outside(&fresh(&wish.folder)?))
}

/// Names the cluster and asks; only a person at a terminal can say yes.
fn may_use(kubeconfig: &Path) -> Result<bool> {
    let named = cluster::name(kubeconfig)?;
    println!("KUBECONFIG is {}: {named}.", kubeconfig.display());
    if !std::io::stdin().is_terminal() {
        println!("There is nobody to ask whether to use it, so genkan gets a control plane of its own.");
        return Ok(false);
    }
    print!("Install the custom resources of genkan there, and run it against it? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let yes = matches!(answer.trim(), "y" | "Y" | "yes");
    if !yes {
        println!("Leaving it alone; genkan gets a control plane of its own.");
    }
    Ok(yes)
}

async fn outside(folder: &Path) -> Result<()> {
    let prepared = tokio::task::spawn_blocking(|| Prepared::make(true)).await??;
    let sockets = tempfile::Builder::new().prefix("genkan-").tempdir()?;
    let mut held = Vec::new();
    for wanted in [6443, 9301, 8001, 9401, 8002, 9402] {
        held.push(Held::near(wanted).await?);
    }
    let ports = Ports {
        api: held[0].port,
        operator_admin: held[1].port,
        proxies: [(held[2].port, held[3].port), (held[4].port, held[5].port)],
    };
    let plan = Plan {
        prepared,
        folder: folder.to_owned(),
        sockets: sockets.path().to_owned(),
        ports,
    };
    let mut child = namespace::enter(&plan)?;
    held.into_iter().for_each(|held| held.lead_in(sockets.path()));
    // The one inside lives as long as this pipe.
    let alive = child.stdin.take();
    let mut ended = tokio::task::spawn_blocking(move || child.wait());
    tokio::select! {
        status = &mut ended => {
            let status = status??;
            if !status.success() {
                bail!("genkan has ended ({status}); the logs are in {}", folder.display());
            }
        }
        () = asked_to_end()? => {
            drop(alive);
            ended.await??;
            println!("\nEverything has ended.");
        }
    }
    Ok(())
}

/// Resolves on Ctrl-C or SIGTERM.
fn asked_to_end() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// An error as soon as something has ended by itself.
async fn while_running(mut running: impl FnMut() -> Result<()>) -> Result<()> {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        running()?;
    }
}

async fn free_ports() -> Result<Addresses> {
    let mut ports = Vec::new();
    for wanted in [9300, 9301, 8001, 9401, 8002, 9402] {
        ports.push(Held::near(wanted).await?);
    }
    Ok(Addresses {
        operator_grpc: ports[0].port,
        operator_admin: ports[1].port,
        proxies: vec![(ports[2].port, ports[3].port), (ports[4].port, ports[5].port)],
    })
}

/// The folder, empty: what an earlier run left in it is of no use.
fn fresh(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    // Its content, not itself: it may be somebody's mount.
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let gone = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        gone.with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(folder.canonicalize()?)
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
