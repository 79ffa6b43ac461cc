//! A real node: kubelet, containerd, scheduler and kube-proxy beside a control plane, in the private network.
//!
//! What it starts ends with the process tree of the run, and what it mounts with its mount table; only cgroups are left,
//! which [`sweep`] removes from outside.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::binaries::NodeBinaries;
use crate::control_plane::ControlPlane;
use crate::process::Process;
use crate::programs::Programs;
use crate::wait;

pub mod gate;
mod launch;
mod names;

/// The node's own address: of the API server, of backends, of the DNS.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
const NAME: &str = "node1";
const CGROUPS: &str = "/sys/fs/cgroup";
/// Addresses of Pods.
pub const PODS: &str = "10.244.0.0/24";
const START: Duration = Duration::from_secs(90);

/// What has to exist before, made outside of the private network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prepared {
    binaries: NodeBinaries,
    plugins: PathBuf,
    /// Archives of the images, and of the one that holds a Pod open.
    images: PathBuf,
    cgroup: String,
    /// For everything that the run writes: with its mounts gone, it can be removed from outside.
    pub folder: PathBuf,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    folder: PathBuf,
    // They end before what they need.
    processes: Mutex<Vec<Process>>,
}

// === impl Prepared ===

impl Prepared {
    /// Builds programs and images.
    pub fn make(programs: &Programs, plugins: PathBuf) -> Result<Self> {
        let binaries = NodeBinaries::find()?;
        let folder = programs.genkan.parent().context("a folder of programs")?;
        let images = folder.join("images");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        succeed(
            Command::new("sh")
                .arg(root.join("images/build"))
                .args([&programs.genkan, &programs.dataplane, &images])
                .arg(env!("CARGO_PKG_VERSION")),
        )?;
        pause(&images)?;
        Ok(Self {
            binaries,
            plugins,
            images,
            cgroup: format!("genkan-e2e-{}", std::process::id()),
            folder: tempfile::Builder::new().prefix("genkan-e2e-").tempdir()?.keep(),
        })
    }
}

/// An image with a program that waits.
fn pause(images: &Path) -> Result<()> {
    let work = tempfile::tempdir()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/pause.c");
    succeed(
        Command::new("gcc")
            .args(["-static", "-O2", "-o"])
            .arg(work.path().join("pause"))
            .arg(source),
    )?;
    let file = "FROM scratch\nCOPY pause /pause\nENTRYPOINT [\"/pause\"]\n";
    std::fs::write(work.path().join("Containerfile"), file)?;
    let buildah = || {
        let mut command = Command::new("buildah");
        command.current_dir(work.path()).args(["--storage-driver", "vfs"]);
        command.args(["--root", "store", "--runroot", "run"]);
        command
    };
    let build = [
        "build",
        "--quiet",
        "--isolation",
        "chroot",
        "--tag",
        launch::PAUSE,
        ".",
    ];
    succeed(buildah().args(build))?;
    let archive = images.join("pause.tar");
    let _ = std::fs::remove_file(&archive);
    let target = format!("oci-archive:{}:{}", archive.display(), launch::PAUSE);
    succeed(buildah().args(["push", "--quiet", launch::PAUSE, &target]))
}

fn succeed(command: &mut Command) -> Result<()> {
    let out = command
        .output()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    if !out.status.success() {
        bail!(
            "{:?}: {}{}",
            command.get_program(),
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }
    Ok(())
}

/// Network and mount table, before the control plane starts: it listens on the node's address.
pub fn settle(prepared: &Prepared) -> Result<()> {
    let services = crate::control_plane::SERVICES;
    for command in [
        "ip link add n0 type veth peer name n1".to_owned(),
        format!("ip address add {ADDRESS}/24 dev n0"),
        "ip link set n0 up".to_owned(),
        // Only so that there is a way: kube-proxy changes the destination before anything leaves.
        format!("ip route add {services} dev n0 src {ADDRESS}"),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        succeed(Command::new(words[0]).args(&words[1..]))?;
    }
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    // What runtimes leave in fixed places is left in the private mount table.
    for folder in ["/run", "/var/log", "/var/lib/cni"] {
        if Path::new(folder).is_dir() {
            succeed(Command::new("mount").args(["-t", "tmpfs", "tmpfs", folder]))?;
        }
    }
    for controller in controllers()? {
        let own = controller.join(&prepared.cgroup);
        std::fs::create_dir_all(&own)?;
        // An empty set of processors takes no process.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if own.join(file).is_file() {
                std::fs::write(own.join(file), std::fs::read(controller.join(file))?)?;
            }
        }
    }
    Ok(())
}

/// Removes what is left of a run that has ended; its folder only if nobody wants to look into it.
pub fn sweep(prepared: &Prepared, succeeded: bool) {
    if succeeded {
        let _ = std::fs::remove_dir_all(&prepared.folder);
    }
    // Runtimes make them where they like, also in hierarchies without controllers.
    for hierarchy in std::fs::read_dir(CGROUPS).into_iter().flatten().flatten() {
        remove(&hierarchy.path().join(&prepared.cgroup));
    }
}

fn remove(cgroup: &Path) {
    for entry in std::fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(cgroup);
}

fn controllers() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(CGROUPS)? {
        let path = entry?.path();
        if !path.is_symlink() && path.join("tasks").is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

// === impl Node ===

impl Node {
    /// Starts everything and waits until the node takes Pods; the images of genkan are loaded then.
    pub async fn start(control_plane: &ControlPlane, prepared: &Prepared) -> Result<Self> {
        let folder = control_plane.folder().join("node");
        std::fs::create_dir_all(&folder)?;
        let identity = |name: &str, group: Option<&str>| control_plane.identity(name, group);
        let binaries = &prepared.binaries;
        names::serve(control_plane.client(), ADDRESS).await?;
        let scheduler = identity("system:kube-scheduler", None)?;
        let kubelet = identity(&format!("system:node:{NAME}"), Some("system:nodes"))?;
        let proxy = identity("system:kube-proxy", None)?;
        let launches = [
            launch::scheduler(binaries, &scheduler),
            launch::containerd(&folder, &prepared.plugins)?,
        ];
        let mut node = Self {
            folder: folder.clone(),
            processes: Mutex::default(),
        };
        for launch in launches {
            node.processes.get_mut().push(launch.start(&folder)?);
        }
        wait::until_true("containerd answers", START, || async {
            node.expect_running()?;
            Ok(node.ctr(&["version"]).is_ok())
        })
        .await?;
        for name in ["pause", "genkan", "genkan-dataplane"] {
            node.load(&prepared.images.join(format!("{name}.tar")))?;
        }
        let launches = [
            launch::kubelet(binaries, &folder, &kubelet, control_plane.ca(), &prepared.cgroup)?,
            launch::kube_proxy(binaries, &folder, &proxy)?,
        ];
        for launch in launches {
            node.processes.get_mut().push(launch.start(&folder)?);
        }
        let kubectl = control_plane.kubectl();
        wait::until_true("the node exists", START, || async {
            node.expect_running()?;
            Ok(kubectl.run(&["get", "node", NAME]).await.is_ok())
        })
        .await?;
        let node_name = format!("node/{NAME}");
        kubectl
            .run(&["wait", "--for=condition=Ready", &node_name, "--timeout=90s"])
            .await?;
        Ok(node)
    }

    /// Puts an image into the node's store.
    pub fn load(&self, archive: &Path) -> Result<()> {
        self.ctr(&["images", "import", &archive.display().to_string()])
    }

    fn ctr(&self, arguments: &[&str]) -> Result<()> {
        let socket = launch::socket(&self.folder);
        succeed(
            Command::new("ctr")
                .arg("--address")
                .arg(socket)
                .args(["--namespace", "k8s.io"])
                .args(arguments),
        )
    }

    /// An error if a process of the node has ended by itself.
    pub fn expect_running(&self) -> Result<()> {
        self.processes
            .lock()
            .iter_mut()
            .try_for_each(Process::expect_running)
    }
}
