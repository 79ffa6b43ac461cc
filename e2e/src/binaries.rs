//! The Kubernetes programs: taken from `KUBEBUILDER_ASSETS`, from the cache, or built from the Go modules in `tools/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

mod build;
mod cache;

use cache::Cache;

const KUBERNETES: &str = "v1.36.3";

/// Paths of the programs that make a control plane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Binaries {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kube_controller_manager: PathBuf,
    pub kubectl: PathBuf,
}

/// One Go program, and how it is built.
#[derive(Debug, Clone, Copy)]
struct Tool {
    name: &'static str,
    module: &'static str,
    package: &'static str,
    /// It may be absent from `KUBEBUILDER_ASSETS`, which setup-envtest fills without it.
    extra: bool,
}

const TOOLS: [Tool; 4] = [
    Tool {
        name: "etcd",
        module: "etcd",
        package: "go.etcd.io/etcd/server/v3",
        extra: false,
    },
    Tool {
        name: "kube-apiserver",
        module: "kubernetes",
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        extra: false,
    },
    Tool {
        name: "kubectl",
        module: "kubernetes",
        package: "k8s.io/kubernetes/cmd/kubectl",
        extra: false,
    },
    Tool {
        name: "kube-controller-manager",
        module: "kubernetes",
        package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        extra: true,
    },
];

// === impl Binaries ===

impl Binaries {
    /// `kubectl` alone: the one in the reader's PATH, if there is one.
    pub fn kubectl() -> Result<PathBuf> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        match std::env::split_paths(&paths)
            .map(|folder| folder.join("kubectl"))
            .find(|path| path.is_file())
        {
            Some(path) => Ok(path),
            None => Ok(Self::find()?.kubectl),
        }
    }

    /// Finds or builds the programs; blocks while it builds, and says so on standard error.
    pub fn find() -> Result<Self> {
        let mut found = BTreeMap::new();
        if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
        {
            from_assets(&assets, &mut found)?;
        }
        let missing: Vec<Tool> = TOOLS
            .into_iter()
            .filter(|tool| !found.contains_key(tool.name))
            .collect();
        if !missing.is_empty() {
            let cache = Cache::open()?;
            build::into_cache(&cache, &missing)?;
            found.extend(missing.iter().map(|tool| (tool.name, cache.path(tool.name))));
        }
        let mut take = |name: &str| {
            found
                .remove(name)
                .ok_or_else(|| anyhow!("{name} was not found or built"))
        };
        Ok(Self {
            etcd: take("etcd")?,
            kube_apiserver: take("kube-apiserver")?,
            kube_controller_manager: take("kube-controller-manager")?,
            kubectl: take("kubectl")?,
        })
    }
}

fn from_assets(assets: &Path, found: &mut BTreeMap<&'static str, PathBuf>) -> Result<()> {
    for tool in TOOLS {
        let path = assets.join(tool.name);
        if path.is_file() {
            found.insert(
                tool.name,
                path.canonicalize().with_context(|| path.display().to_string())?,
            );
        } else if !tool.extra {
            bail!(
                "KUBEBUILDER_ASSETS is {}, which holds no {}; unset it to use the cache, or fill it with setup-envtest",
                assets.display(),
                tool.name
            );
        }
    }
    Ok(())
}

fn tools_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools")
}
