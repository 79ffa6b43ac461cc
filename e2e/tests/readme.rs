//! The commands of the README, carried out as it prints them.
//!
//! In a `console` block a line with `$` is a command, lines with `>` continue it, the others are what it prints, where
//! `...` stands for anything: within a line for some text, alone for some lines.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use genkan_e2e::namespace;
use genkan_e2e::process::forget_cargo;
use genkan_e2e::programs::Prepared;
use genkan_e2e::wait::{self, Final};
use rustix::process::{Pid, Signal, kill_process_group};

#[path = "readme/pattern.rs"]
mod pattern;

const README: &str = include_str!("../../README.md");

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        println!("readme: test");
        return ExitCode::SUCCESS;
    }
    match inside_or_out() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("README.md: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn inside_or_out() -> Result<ExitCode> {
    if namespace::handed::<()>()?.is_some() {
        namespace::settle(|| ())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(carry_out())?;
        return Ok(ExitCode::SUCCESS);
    }
    // Here the outside can be reached, in there it cannot.
    Prepared::make(true)?;
    let mut child = namespace::enter(&())?;
    let _alive = child.stdin.take();
    Ok(if child.wait()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A command and what it prints.
#[derive(Debug)]
struct Step {
    line: usize,
    command: String,
    printed: Vec<String>,
}

fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (n, line) in README.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                line: n + 1,
                command: command.to_owned(),
                printed: Vec::new(),
            });
        } else if let Some(step) = steps.last_mut() {
            match line.strip_prefix("> ") {
                Some(more) if step.printed.is_empty() => step.command.push_str(&format!("\n{more}")),
                _ => step.printed.push(line.to_owned()),
            }
        }
    }
    steps
}

async fn carry_out() -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    hide(&workspace.join(".genkan"))?;
    let steps = steps();
    ensure!(steps.len() > 8, "only {} commands were found", steps.len());
    let mut shell = Shell::start(&workspace)?;
    let mut running: Option<Running> = None;
    for step in &steps {
        let what = format!(
            "line {}: {}",
            step.line,
            step.command.lines().next().unwrap_or_default()
        );
        if step.command.starts_with("make ") {
            if let Some(running) = running.take() {
                running.interrupt().await?;
            }
            running = Some(Running::start(&workspace, step).await.context(what.clone())?);
        } else {
            let output = shell.run(&step.command).context(what.clone())?;
            pattern::check(&step.printed, &output).context(what.clone())?;
        }
        println!("ok   {what}");
    }
    if let Some(running) = running {
        running.interrupt().await?;
    }
    Ok(())
}

/// A folder of this run alone in the place of what a developer may have there.
fn hide(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "none"])
        .arg(folder)
        .status()?;
    ensure!(status.success(), "mount a folder for the run");
    Ok(())
}

/// A command that goes on until Ctrl-C.
struct Running {
    child: Child,
    log: PathBuf,
}

// === impl Running ===

impl Running {
    async fn start(workspace: &Path, step: &Step) -> Result<Self> {
        let folder = tempfile::tempdir()?.keep();
        let log = folder.join("output");
        let out = std::fs::File::create(&log)?;
        let mut command = Command::new("sh");
        forget_cargo(&mut command);
        let child = command
            .args(["-c", &format!("exec {}", step.command)])
            .current_dir(workspace)
            .env_remove("GENKAN_E2E_INSIDE")
            .env_remove("KUBECONFIG")
            .env_remove("MAKEFLAGS")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()?;
        let mut running = Self { child, log };
        wait::until_true("it prints what the page says", Duration::from_secs(120), || {
            let done = running.has_printed(&step.printed);
            async move { done }
        })
        .await
        .with_context(|| running.output())?;
        Ok(running)
    }

    fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn has_printed(&mut self, wanted: &[String]) -> Result<bool> {
        if let Some(status) = self.child.try_wait()? {
            return Err(Final(format!("it ended ({status})")).into());
        }
        Ok(pattern::check(wanted, &self.output()).is_ok())
    }

    /// Ctrl-C; it ends by itself then.
    async fn interrupt(mut self) -> Result<()> {
        let group = Pid::from_raw(self.child.id() as i32).context("its id")?;
        kill_process_group(group, Signal::INT)?;
        wait::until("it ends after Ctrl-C", Duration::from_secs(20), || {
            let ended = self.child.try_wait();
            async move { Ok(ended?) }
        })
        .await?;
        ensure!(!self.output().contains("ended by itself"), "{}", self.output());
        Ok(())
    }
}

/// One shell for all commands, so that what is exported stays.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

const END: &str = "__the_end_of_a_command__";

// === impl Shell ===

impl Shell {
    fn start(workspace: &Path) -> Result<Self> {
        let mut command = Command::new("sh");
        forget_cargo(&mut command);
        let mut child = command
            .current_dir(workspace)
            .env("HOME", "/tmp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("the shell's input")?;
        let output = BufReader::new(child.stdout.take().context("the shell's output")?);
        Ok(Self { child, input, output })
    }

    fn run(&mut self, command: &str) -> Result<String> {
        write!(
            self.input,
            "{{\n{command}\n}} 2>&1 </dev/null\necho\necho \"{END} $?\"\n"
        )?;
        let mut output = String::new();
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                bail!("the shell has ended: {output}");
            }
            if let Some(code) = line.strip_prefix(END) {
                ensure!(code.trim() == "0", "exit code {}:\n{output}", code.trim());
                return Ok(output);
            }
            output.push_str(&line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
