//! Whether this machine can run a node at all.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs that a distribution has in a package.
const COMMANDS: [(&str, &str); 8] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("buildah", "buildah"),
    ("gcc", "gcc"),
];

const PLUGINS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];
const CONTROLLERS: &str = "/sys/fs/cgroup";
const NEEDED_GB: u64 = 6;

/// The folder of the network plug-ins, or why no node can run here, in a few words.
pub fn open() -> Result<PathBuf, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("a node needs root".into());
    }
    for (command, package) in COMMANDS {
        if !found(command) {
            return Err(format!(
                "the command {command} is not installed (package {package})"
            ));
        }
    }
    let plugins = PLUGINS
        .into_iter()
        .map(PathBuf::from)
        .find(|folder| folder.join("bridge").is_file())
        .ok_or("no network plug-ins (package containernetworking-plugins)")?;
    if !Path::new(CONTROLLERS).join("memory/tasks").is_file() {
        return Err(format!(
            "{CONTROLLERS} has no cgroup v1 controllers, and v2 has not been tried"
        ));
    }
    let probe = format!("{CONTROLLERS}/memory/genkan-e2e-probe");
    std::fs::create_dir(&probe).map_err(|error| format!("no cgroup can be made: {error}"))?;
    let _ = std::fs::remove_dir(&probe);
    tries(
        "an overlay cannot be mounted",
        "mkdir a b c d && mount -t overlay overlay -o lowerdir=a,upperdir=b,workdir=c d",
    )?;
    tries(
        "no pair of links can be made",
        "ip link add n0 type veth peer name n1",
    )?;
    tries("nft cannot make a table with NAT", NAT)?;
    let free = free_gb();
    if free < NEEDED_GB {
        return Err(format!("{free} GB of disk are free, {NEEDED_GB} are needed"));
    }
    Ok(plugins)
}

const NAT: &str = "nft add table ip probe && nft 'add chain ip probe c { type nat hook output priority 0; }'";

fn found(command: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(command).is_file())
}

/// Carries out a few commands in a network, a mount table and a folder that end with them.
fn tries(what: &str, commands: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-ec", commands])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("unshare: {error}"))?;
    if out.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&out.stderr).trim().replace('\n', "; ");
    Err(format!("{what} ({why})"))
}

fn free_gb() -> u64 {
    let out = Command::new("df")
        .args(["-Pk"])
        .arg(std::env::temp_dir())
        .output();
    let text = out
        .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
        .unwrap_or_default();
    let free = text
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    free.unwrap_or(0) >> 20
}
