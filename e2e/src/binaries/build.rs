//! Building the Go programs.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

use super::cache::Cache;
use super::{KUBERNETES, Tool, tools_folder};

pub(super) fn flags() -> Vec<String> {
    let minor = KUBERNETES.split('.').nth(1).unwrap_or_default();
    let set = |name: &str, value: &str| format!("-X k8s.io/component-base/version.{name}={value}");
    vec![
        "-mod=readonly".into(),
        "-trimpath".into(),
        "-ldflags".into(),
        format!(
            "-s -w {} {} {}",
            set("gitVersion", KUBERNETES),
            set("gitMajor", "1"),
            set("gitMinor", minor)
        ),
    ]
}

/// Version and platform of the Go that would build.
pub(super) fn go_version() -> Result<String> {
    let out = go().args(["env", "GOVERSION", "GOOS", "GOARCH"]).output();
    let out = out.context(
        "the `go` command was not found; install Go 1.26 or newer, or point KUBEBUILDER_ASSETS at a folder with the \
         programs: etcd, kube-apiserver, kubectl, and for all tests kube-controller-manager and helm",
    )?;
    if !out.status.success() {
        bail!("go env: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

pub(super) fn into_cache(cache: &Cache, tools: &[Tool]) -> Result<()> {
    if tools.iter().all(|tool| cache.path(tool.name).is_file()) {
        return Ok(());
    }
    let _lock = cache.lock()?;
    let todo: Vec<_> = tools
        .iter()
        .filter(|tool| !cache.path(tool.name).is_file())
        .collect();
    if todo.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = todo.iter().map(|tool| tool.name).collect();
    eprintln!(
        "Building from source, once: {} (Kubernetes is {KUBERNETES}). On two cores with an empty Go cache all of it \
         takes about 8 minutes; the result is kept in {}.",
        names.join(", "),
        cache.folder().display()
    );
    for tool in todo {
        let begin = Instant::now();
        build(cache, tool)?;
        eprintln!("  {} built in {} s", tool.name, round_up(begin.elapsed()));
    }
    Ok(())
}

fn build(cache: &Cache, tool: &Tool) -> Result<()> {
    // Renamed into place when whole, so that an interrupted build never leaves a broken program behind.
    let unfinished = cache.path(&format!(".{}.{}", tool.name, std::process::id()));
    let status = go()
        .current_dir(tools_folder().join(tool.module))
        .arg("build")
        .args(flags())
        .arg("-o")
        .arg(&unfinished)
        .arg(tool.package)
        .stdin(Stdio::null())
        .status()
        .context("start go build")?;
    if !status.success() {
        let _ = fs::remove_file(&unfinished);
        bail!("go build of {} failed; what is wrong stands above", tool.name);
    }
    fs::rename(&unfinished, cache.path(tool.name)).context("put the built program in place")
}

fn go() -> Command {
    let mut command = Command::new("go");
    command.env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    command
}

fn round_up(time: Duration) -> u64 {
    time.as_secs_f64().ceil() as u64
}
