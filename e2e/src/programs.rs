//! The programs of genkan, built by cargo so that they are never older than their source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::binaries::Binaries;

/// Paths of the two programs of genkan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Programs {
    pub genkan: PathBuf,
    pub dataplane: PathBuf,
}

/// Everything that has to exist before a world can be set up, made outside of its private network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prepared {
    pub kubernetes: Binaries,
    pub programs: Option<Programs>,
}

// === impl Prepared ===

impl Prepared {
    /// Builds both families at the same time: they are different compilers.
    pub fn make(with_programs: bool) -> Result<Self> {
        std::thread::scope(|scope| {
            let kubernetes = scope.spawn(Binaries::find);
            let programs = with_programs.then(Programs::build).transpose();
            let kubernetes = kubernetes
                .join()
                .map_err(|_| anyhow!("building the Kubernetes programs panicked"))?;
            Ok(Self {
                kubernetes: kubernetes?,
                programs: programs?,
            })
        })
    }
}

// === impl Programs ===

impl Programs {
    /// `GENKAN_BIN` and `GENKAN_DATAPLANE_BIN` name programs to use instead of building them.
    pub fn build() -> Result<Self> {
        let given = |name: &str| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let genkan = match given("GENKAN_BIN") {
            Some(path) => path,
            None => cargo_build("genkan-operator", "genkan")?,
        };
        let dataplane = match given("GENKAN_DATAPLANE_BIN") {
            Some(path) => path,
            None => cargo_build("genkan-dataplane", "genkan-dataplane")?,
        };
        Ok(Self { genkan, dataplane })
    }
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn cargo_build(package: &str, bin: &str) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(workspace)
        .args([
            "build",
            "--quiet",
            "--locked",
            "--message-format=json-render-diagnostics",
        ])
        .args(["--package", package, "--bin", bin])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo build")?;
    if !out.status.success() {
        bail!("cargo build of {bin} failed; what is wrong stands above");
    }
    out.stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == bin))
        .find_map(|message| message.executable)
        .ok_or_else(|| anyhow!("cargo did not say where it put {bin}"))
}
