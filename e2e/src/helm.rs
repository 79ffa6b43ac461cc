//! The real `helm`, run as a user would.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::kubectl::{Kubectl, Printed};
use crate::process::clean_environment;

/// `helm` with one kubeconfig, and a home of its own.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: PathBuf,
}

/// Where the releases go.
pub const NAMESPACE: &str = "genkan-system";

/// A folder of `charts/`.
pub fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts").join(name)
}

// === impl Helm ===

impl Helm {
    pub fn new(program: &Path, kubeconfig: &Path, folder: &Path) -> Self {
        Self {
            program: program.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            folder: folder.join("helm"),
        }
    }

    /// Runs it, and gives back what it printed whatever came of it.
    pub async fn output(&self, args: &[&str]) -> Result<Printed> {
        let mut command = std::process::Command::new(&self.program);
        clean_environment(&mut command);
        command
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder)
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME")
            .stdin(std::process::Stdio::null());
        let out = Command::from(command)
            .kill_on_drop(true)
            .output()
            .await
            .context("start helm")?;
        Ok(Printed {
            success: out.status.success(),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        })
    }

    /// Runs it and expects success.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        let printed = self.output(args).await?;
        if !printed.success {
            bail!("helm {}: {}", args.join(" "), printed.stderr.trim());
        }
        Ok(printed.stdout)
    }

    /// Both charts, into a namespace that takes no Pod that is not restricted; the arguments are for the main one.
    pub async fn install(&self, kubectl: &Kubectl, arguments: &[&str]) -> Result<()> {
        let namespace = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n  labels: {{pod-security.kubernetes.io/enforce: restricted}}\n"
        );
        kubectl.apply(&namespace).await?;
        for (name, more) in [("genkan-crds", &[][..]), ("genkan", arguments)] {
            let folder = chart(name);
            let folder = folder.to_string_lossy();
            let call = ["install", name, &folder, "-n", NAMESPACE];
            self.run(&[&call, more].concat()).await?;
        }
        Ok(())
    }

    /// Removes both releases; the definitions and their objects stay.
    pub async fn uninstall(&self) -> Result<()> {
        for name in ["genkan", "genkan-crds"] {
            // Until the Pods are gone as well: the next release has the same selectors.
            let whole = ["--cascade=foreground", "--wait"];
            let call = ["uninstall", name, "-n", NAMESPACE];
            self.run(&[&call[..], &whole].concat()).await?;
        }
        Ok(())
    }
}
