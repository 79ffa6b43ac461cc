//! Fetches a UI from its registry, once: what was fetched is kept outside of the tree, by all that decides its content.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use genkan_e2e::binaries;
use serde::{Deserialize, Serialize};

use crate::recipe::{From, Recipe};

/// The folder of its programs, or why there is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Fetched {
    At(PathBuf),
    Skipped(String),
}

pub fn fetch(recipe: &Recipe) -> Result<Fetched> {
    let (tool, why) = match recipe.from {
        From::PyPi(_) => (
            &["python3", "-c", "import ensurepip, venv"][..],
            "python3 with venv (Debian: python3-venv)",
        ),
        From::Npm(..) => (&["npm", "--version"][..], "npm"),
        From::Debian { package, program } => {
            let paths = std::env::var_os("PATH").unwrap_or_default();
            let found = std::env::split_paths(&paths).find(|folder| folder.join(program).is_file());
            let missing = || Fetched::Skipped(format!("{program} is not installed (Debian: {package})"));
            return Ok(found.map_or_else(missing, Fetched::At));
        }
    };
    if let Err(error) = run(command(tool)) {
        return Ok(Fetched::Skipped(format!("{why} is not there: {error:#}")));
    }
    let folder = binaries::cache()?.join(format!("uis-{}-{}", recipe.name, key(recipe)?));
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let lock = File::create(folder.join(".lock"))?;
    lock.lock().context("lock the cache")?;
    let whole = folder.join(".whole");
    if !whole.exists()
        && let Err(error) = install(recipe, &folder)
    {
        return Ok(Fetched::Skipped(format!("{error:#}")));
    }
    fs::write(&whole, "")?;
    Ok(Fetched::At(programs(recipe, &folder)))
}

/// Where the programs are that an installation brings.
fn programs(recipe: &Recipe, folder: &Path) -> PathBuf {
    match recipe.from {
        From::PyPi(_) => folder.join("venv/bin"),
        From::Npm(..) => folder.join("node_modules/.bin"),
        From::Debian { .. } => folder.to_owned(),
    }
}

/// Into an empty place: what an interrupted one has left cannot be trusted.
fn install(recipe: &Recipe, folder: &Path) -> Result<()> {
    eprintln!(
        "Fetching {}, once; it is kept in {}.",
        recipe.name,
        folder.display()
    );
    match recipe.from {
        From::PyPi(requirements) => {
            let list = folder.join("requirements.txt");
            fs::write(&list, requirements)?;
            let mut venv = command(&["python3", "-m", "venv", "--clear"]);
            venv.arg(folder.join("venv"));
            run(venv)?;
            let mut pip = Command::new(folder.join("venv/bin/pip"));
            pip.args(["install", "--quiet", "--disable-pip-version-check"])
                .args(["--no-deps", "--only-binary", ":all:", "--requirement"])
                .arg(list);
            run(pip)
        }
        From::Npm(package, lock) => {
            fs::write(folder.join("package.json"), package)?;
            fs::write(folder.join("package-lock.json"), lock)?;
            let mut npm = command(&["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            npm.current_dir(folder);
            run(npm)
        }
        From::Debian { .. } => Ok(()),
    }
}

/// Of what is written down, and of what it is installed for.
fn key(recipe: &Recipe) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    let (texts, tool) = match recipe.from {
        From::PyPi(requirements) => (vec![requirements], ["python3", "--version"]),
        From::Npm(package, lock) => (vec![package, lock], ["node", "--version"]),
        From::Debian { package, .. } => bail!("{package} is not fetched here"),
    };
    for text in texts {
        hash.update(text.as_bytes());
    }
    let version = command(&tool).output().context(tool[0])?;
    hash.update(&version.stdout);
    Ok(hash.finalize().to_hex()[..16].to_owned())
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

fn run(mut command: Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let out = command.stdin(Stdio::null()).output().context(name.clone())?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        let last: Vec<_> = said.lines().rev().take(3).collect();
        bail!(
            "{name}: {}",
            last.into_iter().rev().collect::<Vec<_>>().join("; ")
        );
    }
    Ok(())
}
