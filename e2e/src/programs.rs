//! The programs of genkan, built by cargo so that they are never older than their source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::binaries::Binaries;
use crate::node;
use crate::process::forget_cargo;

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
    /// Only for what installs the charts.
    pub helm: Option<PathBuf>,
    /// Only for what needs a whole node.
    pub node: Option<node::Prepared>,
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
                helm: None,
                node: None,
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
        match (given("GENKAN_BIN"), given("GENKAN_DATAPLANE_BIN")) {
            (Some(genkan), Some(dataplane)) => Ok(Self { genkan, dataplane }),
            (genkan, dataplane) => {
                let built = Self::build_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), None)?;
                Ok(Self {
                    genkan: genkan.unwrap_or(built.genkan),
                    dataplane: dataplane.unwrap_or(built.dataplane),
                })
            }
        }
    }

    /// Builds those of a tree, in a target folder of its own if one is given; for the whole workspace, so that features, and
    /// with them what is compiled, are those of `cargo test`.
    ///
    /// # Errors
    /// When they do not compile.
    pub fn build_of(tree: &Path, target: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        forget_cargo(&mut command);
        if let Some(target) = target {
            command.env("CARGO_TARGET_DIR", target);
            // Of a copy that is compiled once and looked at for a moment; other people's crates stay as they were compiled.
            for name in own_crates(tree)? {
                let level = format!("profile.dev.package.{name}.opt-level=0");
                command.args(["--config", &level]);
            }
        }
        let out = command
            .current_dir(tree)
            .args([
                "build",
                "--locked",
                "--workspace",
                "--bin",
                "genkan",
                "--bin",
                "genkan-dataplane",
            ])
            .arg("--message-format=json-render-diagnostics")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("start cargo build")?;
        if !out.status.success() {
            bail!("cargo build failed; what is wrong stands above");
        }
        let messages: Vec<Message> = out
            .stdout
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let find = |bin: &str| {
            messages
                .iter()
                .filter(|message| message.target.as_ref().is_some_and(|target| target.name == bin))
                .find_map(|message| message.executable.clone())
                .ok_or_else(|| anyhow!("cargo did not say where it put {bin}"))
        };
        Ok(Self {
            genkan: find("genkan")?,
            dataplane: find("genkan-dataplane")?,
        })
    }
}

/// Names of the crates of a workspace, as its manifest says where they are.
fn own_crates(tree: &Path) -> Result<Vec<String>> {
    let manifest = std::fs::read_to_string(tree.join("Cargo.toml")).context("read Cargo.toml")?;
    let paths = manifest.lines().filter_map(|line| line.split_once(" = { path"));
    Ok(paths.map(|(name, _)| name.trim().to_owned()).collect())
}

/// What cargo says of one thing that it made.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}
