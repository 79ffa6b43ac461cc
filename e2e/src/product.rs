//! The operator and the data planes, as processes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use rustix::process::Signal;
use serde::Deserialize;

use crate::http1;
use crate::process::{Launch, Process};
use crate::programs::Programs;
use crate::wait;

/// What the operator reads.
#[derive(Debug, Clone)]
pub enum Source {
    /// With this kubeconfig.
    Kubernetes(PathBuf),
    /// A folder of manifests.
    Folder(PathBuf),
}

/// The operator and its addresses.
#[derive(Debug)]
pub struct Operator {
    launch: Launch,
    folder: PathBuf,
    pub grpc: SocketAddr,
    pub admin: SocketAddr,
    process: Mutex<Option<Process>>,
}

/// One data plane and its addresses.
#[derive(Debug)]
pub struct Proxy {
    launch: Launch,
    folder: PathBuf,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    process: Mutex<Option<Process>>,
}

/// What `GET /config` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Config {
    pub hash: String,
    pub sequence: u64,
}

const START: Duration = Duration::from_secs(30);

/// A loopback address with this port.
pub fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// `GET /config` of a program.
pub async fn config(admin: SocketAddr) -> Result<Config> {
    let answer = http1::get(admin, "/config").await?;
    serde_json::from_slice(&answer.body).with_context(|| format!("/config of {admin}: {}", answer.text()))
}

// === impl Operator ===

impl Operator {
    /// Prepares the command line with the stream in plain text; nothing runs yet.
    pub fn new(programs: &Programs, folder: &Path, source: &Source, grpc: u16, admin: u16) -> Self {
        Self::with(programs, folder, source, (grpc, admin), &["--grpc-plaintext"])
    }

    /// Prepares the command line with these further arguments; nothing runs yet.
    pub fn with(
        programs: &Programs,
        folder: &Path,
        source: &Source,
        (grpc, admin): (u16, u16),
        arguments: &[&str],
    ) -> Self {
        let (grpc, admin) = (local(grpc), local(admin));
        let launch = Launch::new("operator", &programs.genkan).arg("operator");
        let launch = match source {
            Source::Kubernetes(kubeconfig) => launch
                .args(["--source", "kubernetes", "--kubeconfig"])
                .arg(kubeconfig.display().to_string()),
            Source::Folder(path) => launch.arg("--source").arg(format!("dir:{}", path.display())),
        };
        let launch = launch
            .arg("--grpc-listen")
            .arg(grpc.to_string())
            .arg("--admin-listen")
            .arg(admin.to_string())
            .args(arguments.iter().copied());
        Self {
            launch,
            folder: folder.to_owned(),
            grpc,
            admin,
            process: Mutex::new(None),
        }
    }

    pub async fn start(&self) -> Result<()> {
        self.start_only()?;
        ready(&self.process, self.admin, "the operator is ready").await
    }

    /// Does not wait until it is ready.
    pub fn start_only(&self) -> Result<()> {
        let process = self.launch.start(&self.folder)?;
        *self.process.lock() = Some(process);
        Ok(())
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> Option<u64> {
        self.process.lock().as_ref().and_then(Process::resident)
    }

    /// CPU time so far.
    pub fn cpu(&self) -> Option<Duration> {
        self.process.lock().as_ref().and_then(Process::cpu)
    }

    /// Everything it has logged.
    pub fn output(&self) -> String {
        self.process
            .lock()
            .as_ref()
            .map(Process::output)
            .unwrap_or_default()
    }

    /// How many calls it has refused for this reason.
    pub async fn refused(&self, reason: &str) -> Result<u64> {
        let metrics = http1::get(self.admin, "/metrics").await?.text();
        let name = format!("genkan_operator_refused_streams_total{{reason=\"{reason}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name.as_str()));
        line.map_or(Ok(0), |value| Ok(value.parse()?))
    }

    pub async fn stop(&self) -> Result<()> {
        stop(&self.process).await
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&self) {
        drop(self.process.lock().take());
    }

    pub async fn config(&self) -> Result<Config> {
        config(self.admin).await
    }

    /// How many data planes have a stream.
    pub async fn connected(&self) -> Result<usize> {
        let metrics = http1::get(self.admin, "/metrics").await?.text();
        let line = metrics
            .lines()
            .find(|line| !line.starts_with('#') && line.contains("proxies_connected"));
        let value = line
            .and_then(|line| line.rsplit(' ').next())
            .context("the metric proxies_connected")?;
        Ok(value.parse()?)
    }

    /// The end of its log.
    pub fn tail(&self, lines: usize) -> String {
        self.process
            .lock()
            .as_ref()
            .map(|process| process.tail(lines))
            .unwrap_or_default()
    }

    pub fn expect_running(&self) -> Result<()> {
        self.process
            .lock()
            .as_mut()
            .map_or(Ok(()), Process::expect_running)
    }
}

// === impl Proxy ===

impl Proxy {
    /// Prepares the command line; nothing runs yet. Every caller is anonymous, unless the arguments say how callers are
    /// authenticated.
    pub fn new(
        programs: &Programs,
        folder: &Path,
        n: u16,
        operator: SocketAddr,
        ports: (u16, u16),
        arguments: &[&str],
    ) -> Self {
        Self::with(
            programs,
            folder,
            n,
            &format!("http://{operator}"),
            ports,
            arguments,
        )
    }

    /// The same with the URL of any operator.
    pub fn with(
        programs: &Programs,
        folder: &Path,
        n: u16,
        operator: &str,
        (listen, admin): (u16, u16),
        arguments: &[&str],
    ) -> Self {
        let (listen, admin) = (local(listen), local(admin));
        let name = format!("dataplane-{n}");
        let state = folder.join(&name);
        let is_open = !arguments.contains(&"--authentication");
        let launch = Launch::new(name.clone(), &programs.dataplane)
            .arg("--name")
            .arg(name)
            .arg("--operator")
            .arg(operator)
            .arg("--listen")
            .arg(listen.to_string())
            .arg("--admin-listen")
            .arg(admin.to_string())
            .arg("--state-dir")
            .arg(state.display().to_string())
            .args(is_open.then_some("--authentication=disabled"))
            .args(arguments.iter().copied());
        Self {
            launch,
            folder: folder.to_owned(),
            listen,
            admin,
            process: Mutex::new(None),
        }
    }

    /// The same command line for a data plane that trusts this authority, instead of those of the machine.
    #[must_use]
    pub fn trusting(mut self, ca: &Path) -> Self {
        self.launch = self.launch.env("SSL_CERT_FILE", ca.display().to_string());
        self
    }

    /// Where it keeps its state.
    pub fn state(&self) -> PathBuf {
        self.folder.join(self.launch.name())
    }

    pub async fn start(&self) -> Result<()> {
        self.start_only()?;
        self.ready().await
    }

    /// Does not wait until it is ready.
    pub fn start_only(&self) -> Result<()> {
        let process = self.launch.start(&self.folder)?;
        *self.process.lock() = Some(process);
        Ok(())
    }

    pub async fn ready(&self) -> Result<()> {
        ready(&self.process, self.admin, "the data plane is ready").await
    }

    pub async fn is_ready(&self) -> Result<bool> {
        Ok(http1::get(self.admin, "/readyz").await?.status == 200)
    }

    pub async fn stop(&self) -> Result<()> {
        stop(&self.process).await
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&self) {
        drop(self.process.lock().take());
    }

    /// Stops it in the middle of whatever it does, until it is resumed.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.process
            .lock()
            .as_ref()
            .context("the data plane is not running")?
            .signal(signal);
        Ok(())
    }

    pub async fn config(&self) -> Result<Config> {
        config(self.admin).await
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> Option<u64> {
        self.process.lock().as_ref().and_then(Process::resident)
    }

    /// CPU time so far.
    pub fn cpu(&self) -> Option<Duration> {
        self.process.lock().as_ref().and_then(Process::cpu)
    }

    /// Everything it has logged.
    pub fn output(&self) -> String {
        self.process
            .lock()
            .as_ref()
            .map(Process::output)
            .unwrap_or_default()
    }

    pub fn expect_running(&self) -> Result<()> {
        self.process
            .lock()
            .as_mut()
            .map_or(Ok(()), Process::expect_running)
    }
}

async fn ready(process: &Mutex<Option<Process>>, admin: SocketAddr, what: &str) -> Result<()> {
    wait::until_true(what, START, || {
        let running = process.lock().as_mut().map_or(Ok(()), Process::expect_running);
        async move {
            running?;
            Ok(http1::get(admin, "/readyz").await?.status == 200)
        }
    })
    .await
}

async fn stop(process: &Mutex<Option<Process>>) -> Result<()> {
    let taken = process.lock().take();
    if let Some(mut process) = taken {
        process.stop(Duration::from_secs(60)).await?;
    }
    Ok(())
}
