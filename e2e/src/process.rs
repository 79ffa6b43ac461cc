//! Child processes: each leads a process group, writes to a log of its own, and is ended by its id.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait::{self, Final};

/// A running program. Dropping it kills it with everything it started in its group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    current: Option<PathBuf>,
}

// === impl Launch ===

impl Launch {
    pub fn new(name: impl Into<String>, program: impl AsRef<Path>) -> Self {
        Self {
            name: name.into(),
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            current: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: Into<String>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Where the program runs, for those that write beside themselves.
    #[must_use]
    pub fn current_dir(mut self, folder: &Path) -> Self {
        self.current = Some(folder.to_owned());
        self
    }

    /// Starts the program; its output goes to `NAME.log` in the folder.
    pub fn start(&self, folder: &Path) -> Result<Process> {
        self.spawn(folder, Stdio::null(), None)
    }

    /// Starts a program that is talked with; only its errors go to `NAME.log`.
    pub fn start_talking(&self, folder: &Path) -> Result<(Process, ChildStdin, ChildStdout)> {
        let mut process = self.spawn(folder, Stdio::piped(), Some(Stdio::piped()))?;
        let input = process.child.stdin.take().context("a pipe to it")?;
        let output = process.child.stdout.take().context("a pipe from it")?;
        Ok((process, input, output))
    }

    fn spawn(&self, folder: &Path, input: Stdio, output: Option<Stdio>) -> Result<Process> {
        let log = folder.join(format!("{}.log", self.name));
        let out = append(&log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .stdin(input)
            .stdout(match output {
                Some(output) => output,
                None => out.try_clone()?.into(),
            })
            .stderr(out)
            .process_group(0);
        if let Some(current) = &self.current {
            command.current_dir(current);
        }
        clean_environment(&mut command);
        command.envs(self.env.iter().map(|(k, v)| (OsStr::new(k), OsStr::new(v))));
        let child = command
            .spawn()
            .with_context(|| format!("start {} ({})", self.name, self.program.display()))?;
        Ok(Process {
            name: self.name.clone(),
            child,
            log,
        })
    }
}

// === impl Process ===

impl Process {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// An error with the end of the log if the program has ended by itself.
    pub fn expect_running(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            let text = format!("{} ended by itself ({status}):\n{}", self.name, self.tail(15));
            return Err(Final(text).into());
        }
        Ok(())
    }

    /// The last lines of its output.
    pub fn tail(&self, lines: usize) -> String {
        let text = self.output();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Everything it has written.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> Option<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.id())).ok()?;
        Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * 4)
    }

    /// CPU time so far, in hundredths of a second.
    pub fn cpu(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        // Behind the name, which may hold anything: user and system time are the 12th and 13th field.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut times = fields.split(' ').skip(11).map(str::parse::<u64>);
        let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
        Some(Duration::from_millis((user + system) * 10))
    }

    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.id() as i32) {
            // It may have ended in this instant; then there is nothing left to signal.
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.terminate();
        let name = self.name.clone();
        wait::until(&format!("{name} ends after SIGTERM"), limit, || {
            let ended = self.ended();
            async move { ended }
        })
        .await
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(pid) = Pid::from_raw(self.id() as i32) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))
}

/// Flags alone decide: what the caller's shell says about genkan or Kubernetes must not leak into a run.
pub fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("GENKAN_")
            || name == "KUBECONFIG"
            || name == "RUST_LOG"
            || name == "SSL_CERT_FILE"
        {
            command.env_remove(name);
        }
    }
    // Logs are read by tests.
    command.env("NO_COLOR", "1");
}

/// What cargo says to the test that it runs is not for another cargo: build scripts that look at it would run again, and
/// with them everything that stands on TLS would be compiled again.
pub fn forget_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
}
