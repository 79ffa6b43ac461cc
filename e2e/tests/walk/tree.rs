//! A copy of the tree with patches laid on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use genkan_e2e::programs::Programs;

/// A patch beside this file, what it may touch at most, and where the page lists that.
pub struct Patch {
    pub file: &'static str,
    pub most: usize,
    pub heading: &'static str,
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

// === impl Patch ===

impl Patch {
    fn path(&self) -> PathBuf {
        workspace().join("e2e/tests/walk").join(self.file)
    }

    /// What it adds or changes.
    pub fn files(&self) -> BTreeSet<String> {
        let text = fs::read_to_string(self.path()).unwrap();
        let files = text.lines().filter_map(|line| line.strip_prefix("+++ b/"));
        files.map(str::to_owned).collect()
    }
}

/// The programs of the patched copy. Only what differs from the last time is written, so that only that is compiled.
pub fn built(patches: &[Patch]) -> Programs {
    let target = target();
    let (fresh, tree) = (target.join("walk/fresh"), target.join("walk/tree"));
    let _ = fs::remove_dir_all(&fresh);
    for file in tracked() {
        let source = workspace().join(&file);
        // What is removed, but not yet committed, is still listed.
        if source.is_file() {
            fs::create_dir_all(fresh.join(&file).parent().unwrap()).unwrap();
            fs::copy(source, fresh.join(&file)).unwrap();
        }
    }
    for patch in patches {
        lay(&patch.path(), &fresh);
    }
    settle(&fresh, &tree);
    let built = target.join("walk/target");
    lend(&target.join("debug"), &built.join("debug"));
    Programs::build_of(&tree, Some(&built)).unwrap()
}

/// Of the run that this is part of.
fn target() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    // target/debug/deps/walk-0123
    own.ancestors().nth(3).unwrap().to_owned()
}

fn tracked() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let text = String::from_utf8(listed.stdout).unwrap();
    text.split_terminator('\0').map(PathBuf::from).collect()
}

fn lay(patch: &Path, tree: &Path) {
    let done = Command::new("git")
        .arg("apply")
        .arg("-C1")
        .arg(patch)
        .current_dir(tree)
        // The copy stands within a repository that is not its own.
        .env("GIT_CEILING_DIRECTORIES", tree.parent().unwrap())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{} does not fit any more; make it again from what is there now:\n{}",
        patch.display(),
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Makes one folder like another.
fn settle(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let names = |folder: &Path| -> BTreeSet<_> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    let wanted = names(from);
    for name in names(to).difference(&wanted) {
        let path = to.join(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    for name in wanted {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            settle(&from, &to);
        } else if fs::read(&to).ok() != Some(fs::read(&from).unwrap()) {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Lends what was compiled of other people's crates: their files are named for what they are, not for where they are used.
/// Nobody writes into them, so a link is enough.
fn lend(from: &Path, to: &Path) {
    for part in ["deps", ".fingerprint", "build"] {
        for entry in fs::read_dir(from.join(part)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if !name.to_string_lossy().contains("genkan") {
                link(&entry.path(), &to.join(part).join(name));
            }
        }
    }
}

fn link(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            link(&entry.path(), &to.join(entry.file_name()));
        }
    } else if !to.exists() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::hard_link(from, to).unwrap();
    }
}
