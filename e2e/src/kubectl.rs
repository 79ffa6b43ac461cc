//! The real `kubectl`, run as a user would.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// `kubectl` with one kubeconfig.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: PathBuf,
}

/// What a command printed, and whether it succeeded.
#[derive(Debug, Clone)]
pub struct Printed {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

// === impl Kubectl ===

impl Kubectl {
    pub fn new(program: &Path, kubeconfig: &Path, folder: &Path) -> Self {
        Self {
            program: program.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            folder: folder.to_owned(),
        }
    }

    /// The same command as another user.
    #[must_use]
    pub fn with_kubeconfig(&self, kubeconfig: &Path) -> Self {
        Self {
            kubeconfig: kubeconfig.to_owned(),
            ..self.clone()
        }
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs it, with this on its standard input, and gives back what it printed whatever came of it.
    pub async fn output(&self, args: &[&str], stdin: &str) -> Result<Printed> {
        let mut child = Command::new(&self.program)
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder)
            .env("KUBECACHEDIR", self.folder.join("kubectl"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start kubectl")?;
        let mut input = child.stdin.take().context("standard input of kubectl")?;
        let feed = async {
            // kubectl may refuse before it has read everything.
            let _ = input.write_all(stdin.as_bytes()).await;
            drop(input);
        };
        let (out, ()) = tokio::join!(child.wait_with_output(), feed);
        let out = out?;
        Ok(Printed {
            success: out.status.success(),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        })
    }

    /// Runs it and expects success.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        let printed = self.output(args, "").await?;
        if !printed.success {
            bail!("kubectl {}: {}", args.join(" "), printed.stderr.trim());
        }
        Ok(printed.stdout)
    }

    /// `kubectl apply --server-side`, without a warning.
    pub async fn apply(&self, manifest: &str) -> Result<String> {
        let printed = self
            .output(&["apply", "--server-side", "-f", "-"], manifest)
            .await?;
        if !printed.success {
            bail!("kubectl apply: {}", printed.stderr.trim());
        }
        // kubectl says on standard error what the server warned about.
        if printed.stderr.contains("Warning:") {
            bail!("kubectl apply warned: {}", printed.stderr.trim());
        }
        Ok(printed.stdout)
    }

    /// What the API server says against this manifest.
    pub async fn refused(&self, manifest: &str) -> Result<String> {
        let printed = self
            .output(&["apply", "--server-side", "-f", "-"], manifest)
            .await?;
        if printed.success {
            bail!("accepted, but was to be refused:\n{manifest}");
        }
        Ok(printed.stderr)
    }

    pub async fn delete(&self, manifest: &str) -> Result<()> {
        let args = ["delete", "--ignore-not-found", "--wait=true", "-f", "-"];
        let printed = self.output(&args, manifest).await?;
        if !printed.success {
            bail!("kubectl delete: {}", printed.stderr.trim());
        }
        Ok(())
    }
}
