//! genkan to try out: on a control plane of its own, on the reader's cluster, or on a folder of manifests.

use std::fs::File;
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
    pub authentication: Authentication,
}

/// How the data planes are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Authentication {
    /// Every caller is anonymous and may do everything
    Disabled,
    /// The API server is asked
    Kubernetes,
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
    authentication: Authentication,
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
    let asks = wish.authentication == Authentication::Kubernetes;
    if asks && (wish.directory || wish.kubeconfig.is_some()) {
        bail!(
            "--authentication=kubernetes is for the control plane that a run starts itself; say it without --directory and \
             without a kubeconfig"
        );
    }
    if let Some(kubeconfig) = &wish.kubeconfig
        && may_use(kubeconfig)?
    {
        return block_on(cluster::run(kubeconfig, &fresh(&wish.folder)?.path));
    }
    if wish.directory {
        return block_on(directory::run(&fresh(&wish.folder)?.path));
    }
    if let Err(why) = namespace::probe() {
        if asks {
            bail!(
                "This machine gives no private network ({why}), which the control plane needs, and without one nobody can be \
                 asked who calls"
            );
        }
        println!(
            "This machine gives no private network ({why}), which the control plane needs. Running genkan on a \
             folder of manifests instead; conditions are printed by the operator, and there is no kubectl."
        );
        return block_on(directory::run(&fresh(&wish.folder)?.path));
    }
    block_on(outside(&fresh(&wish.folder)?.path, wish.authentication))
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

async fn outside(folder: &Path, authentication: Authentication) -> Result<()> {
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
        authentication,
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

/// The folder of a run, which is nobody else's while this lives.
struct Claim {
    path: PathBuf,
    _lock: File,
}

const DEFAULT: &str = ".genkan";
/// Says that a folder is one of ours.
const MARK: &str = "genkan-run.lock";
/// What people write stays.
const MANIFESTS: &str = "manifests";

/// Empties the folder: what an earlier run left in it is of no use. One that was not made for this is left alone.
fn fresh(folder: &Path) -> Result<Claim> {
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.canonicalize()?;
    let mark = path.join(MARK);
    let is_ours = mark.exists() || path.file_name().is_some_and(|name| name == DEFAULT);
    if !is_ours && std::fs::read_dir(&path)?.next().is_some() {
        bail!(
            "{} holds files that no run of genkan has put there; choose an empty folder",
            folder.display()
        );
    }
    let lock = File::create(&mark).with_context(|| format!("write {}", mark.display()))?;
    if lock.try_lock().is_err() {
        bail!(
            "genkan is running in {} already; end that run, or choose another folder with ARGS='--folder FOLDER'",
            folder.display()
        );
    }
    // Its content, not itself: it may be somebody's mount.
    for entry in std::fs::read_dir(&path)? {
        let entry = entry?;
        if entry.file_name() == MARK || entry.file_name() == MANIFESTS {
            continue;
        }
        let gone = if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())
        } else {
            std::fs::remove_file(entry.path())
        };
        gone.with_context(|| format!("remove {}", entry.path().display()))?;
    }
    Ok(Claim { path, _lock: lock })
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_ours_is_emptied_and_by_one_run_at_a_time() {
        let base = tempfile::tempdir().unwrap();
        let other = base.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("precious.txt"), "mine").unwrap();
        assert!(fresh(&other).is_err());
        assert!(other.join("precious.txt").exists());

        let ours = base.path().join("ours");
        let first = fresh(&ours).unwrap();
        std::fs::create_dir(ours.join(MANIFESTS)).unwrap();
        std::fs::write(ours.join(MANIFESTS).join("mine.yaml"), "").unwrap();
        std::fs::write(ours.join("old.log"), "").unwrap();
        assert!(fresh(&ours).is_err(), "it is in use");
        assert!(ours.join("old.log").exists());
        drop(first);
        assert!(fresh(&ours).is_ok());
        assert!(!ours.join("old.log").exists());
        assert!(ours.join(MANIFESTS).join("mine.yaml").exists());
    }
}
