//! Where built programs are kept: outside the tree, keyed by everything that decides their content.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use super::build;
use super::tools_folder;

#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

// === impl Cache ===

impl Cache {
    pub(super) fn open(module: &str) -> Result<Self> {
        let folder = root()?.join(format!("{module}-{}", key(module)?));
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Self { folder })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Held while building, so that two runs do not build the same thing twice. The kernel releases it.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.folder.join(".lock");
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        file.lock().with_context(|| format!("lock {}", path.display()))?;
        Ok(file)
    }
}

pub(super) fn root() -> Result<PathBuf> {
    let var = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    var("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| var("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("genkan"))
        .ok_or_else(|| anyhow!("neither XDG_CACHE_HOME nor HOME is set, so there is no place for the cache"))
}

/// Each module has a key of its own: a new Helm is no reason to build Kubernetes again.
fn key(module: &str) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    for file in ["go.mod", "go.sum"] {
        let path = tools_folder().join(module).join(file);
        hash.update(&fs::read(&path).with_context(|| format!("read {}", path.display()))?);
    }
    hash.update(build::go_version()?.as_bytes());
    hash.update(build::flags().join(" ").as_bytes());
    Ok(hash.finalize().to_hex()[..16].to_owned())
}
