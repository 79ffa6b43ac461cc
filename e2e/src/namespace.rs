//! A private network, process tree and mount table for everything that a run starts.
//!
//! EndpointSlices may not hold 127.x, so backends need other addresses, and those must collide with nothing. The
//! same step solves teardown: the program inside is the first of its process tree, and when it ends, in whatever
//! way, the kernel ends the rest. It ends when its standard input does, so it cannot outlive the one outside.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

const INSIDE: &str = "GENKAN_E2E_INSIDE";

/// Addresses for backends, beside those of the loopback network: 10.99.0.1 to 10.99.0.N.
pub const BACKENDS: u8 = 40;

/// What the program outside handed to the one inside; none outside.
pub fn handed<T: DeserializeOwned>() -> Result<Option<T>> {
    match std::env::var(INSIDE) {
        Ok(text) => Ok(Some(
            serde_json::from_str(&text).context("what was handed into the namespace")?,
        )),
        Err(_) => Ok(None),
    }
}

/// Why this machine gives no private network, or the arguments of `unshare` that do.
pub fn probe() -> Result<Vec<&'static str>, String> {
    let kinds = [
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    let mapped = ["--user", "--map-root-user"];
    let root = rustix::process::geteuid().is_root();
    let attempts = if root {
        vec![kinds.to_vec()]
    } else {
        vec![[&mapped[..], &kinds[..]].concat()]
    };
    let mut why = String::from("no way was tried");
    for attempt in attempts {
        let shell = "ip link set lo up";
        match Command::new("unshare")
            .args(&attempt)
            .args(["sh", "-c", shell])
            .stdin(Stdio::null())
            .output()
        {
            Ok(out) if out.status.success() => return Ok(attempt),
            Ok(out) => why = String::from_utf8_lossy(&out.stderr).trim().replace('\n', "; "),
            Err(error) => why = format!("unshare: {error}"),
        }
    }
    Err(why)
}

/// Starts this program again, with the same arguments, inside.
pub fn enter<T: Serialize>(handed: &T) -> Result<Child> {
    command(handed)?.spawn().context("start inside a private network")
}

/// The command that [`enter`] starts. The one inside ends with the standard input that it is given here.
pub fn command<T: Serialize>(handed: &T) -> Result<Command> {
    let unshare = match probe() {
        Ok(args) => args,
        Err(why) => bail!(
            "this machine gives no private network ({why}); scenarios need the commands `unshare` and `ip`, and root \
             or user namespaces"
        ),
    };
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new("unshare");
    command
        .args(unshare)
        .arg("--")
        .arg(std::env::current_exe()?)
        .args(args)
        .env(INSIDE, serde_json::to_string(handed)?)
        .stdin(Stdio::piped())
        // Ctrl-C reaches the one outside alone, which closes the pipe.
        .process_group(0);
    Ok(command)
}

/// Brings the network up, and ties the life of this program to that of the one outside.
pub fn settle(on_end: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name("outside".into())
        .spawn(move || {
            let mut rest = Vec::new();
            let _ = std::io::stdin().read_to_end(&mut rest);
            on_end();
            std::process::exit(130);
        })?;
    ip(&["link", "set", "lo", "up"])?;
    for n in 1..=BACKENDS {
        ip(&["address", "add", &format!("10.99.0.{n}/32"), "dev", "lo"])?;
    }
    Ok(())
}

/// Leads host names to an address, in this mount table alone.
pub fn know(folder: &Path, names: &BTreeSet<String>, address: IpAddr) -> Result<()> {
    let all: String = names.iter().map(|name| format!("{address} {name}\n")).collect();
    let file = folder.join("hosts");
    std::fs::write(&file, format!("127.0.0.1 localhost\n::1 localhost\n{all}"))?;
    let mut mount = Command::new("mount");
    run(mount.arg("--bind").arg(&file).arg("/etc/hosts"))
}

fn ip(args: &[&str]) -> Result<()> {
    run(Command::new("ip").args(args))
}

fn run(command: &mut Command) -> Result<()> {
    let out = command.output().with_context(|| format!("{command:?}"))?;
    if !out.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}
