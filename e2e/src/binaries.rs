//! The Kubernetes programs, and Helm: taken from `KUBEBUILDER_ASSETS`, from the cache, or built from the Go modules in `tools/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

mod build;
mod cache;

use cache::Cache;

const KUBERNETES: &str = "v1.36.3";

/// Folders in `tools/`, in the order in which they are built.
const MODULES: [&str; 3] = ["etcd", "kubernetes", "helm"];

/// Paths of the programs that make a control plane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Binaries {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kube_controller_manager: PathBuf,
    pub kubectl: PathBuf,
}

/// Paths of the programs that make a node, beside those of its control plane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeBinaries {
    pub kubelet: PathBuf,
    pub kube_scheduler: PathBuf,
    pub kube_proxy: PathBuf,
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

/// Programs that were found, by name.
type Found = BTreeMap<&'static str, PathBuf>;

const CONTROL_PLANE: [Tool; 4] = [
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

const HELM: [Tool; 1] = [Tool {
    name: "helm",
    module: "helm",
    package: "helm.sh/helm/v4/cmd/helm",
    extra: true,
}];

const NODE: [Tool; 3] = [
    Tool {
        name: "kubelet",
        module: "kubernetes",
        package: "k8s.io/kubernetes/cmd/kubelet",
        extra: true,
    },
    Tool {
        name: "kube-scheduler",
        module: "kubernetes",
        package: "k8s.io/kubernetes/cmd/kube-scheduler",
        extra: true,
    },
    Tool {
        name: "kube-proxy",
        module: "kubernetes",
        package: "k8s.io/kubernetes/cmd/kube-proxy",
        extra: true,
    },
];

/// Where everything is kept that is made or fetched once.
pub fn cache() -> Result<PathBuf> {
    cache::root()
}

/// `helm` alone.
pub fn helm() -> Result<PathBuf> {
    take(&mut provide(&HELM)?, "helm")
}

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
        let mut found = provide(&CONTROL_PLANE)?;
        Ok(Self {
            etcd: take(&mut found, "etcd")?,
            kube_apiserver: take(&mut found, "kube-apiserver")?,
            kube_controller_manager: take(&mut found, "kube-controller-manager")?,
            kubectl: take(&mut found, "kubectl")?,
        })
    }
}

// === impl NodeBinaries ===

impl NodeBinaries {
    /// As [`Binaries::find`].
    pub fn find() -> Result<Self> {
        let mut found = provide(&NODE)?;
        Ok(Self {
            kubelet: take(&mut found, "kubelet")?,
            kube_scheduler: take(&mut found, "kube-scheduler")?,
            kube_proxy: take(&mut found, "kube-proxy")?,
        })
    }
}

/// From the folder of the reader, the cache, or the compiler.
fn provide(tools: &[Tool]) -> Result<Found> {
    let mut found = Found::new();
    if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS")
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
    {
        from_assets(&assets, tools, &mut found)?;
    }
    for module in MODULES {
        let missing: Vec<Tool> = tools
            .iter()
            .filter(|tool| tool.module == module && !found.contains_key(tool.name))
            .copied()
            .collect();
        if !missing.is_empty() {
            let cache = Cache::open(module)?;
            build::into_cache(&cache, &missing)?;
            found.extend(missing.iter().map(|tool| (tool.name, cache.path(tool.name))));
        }
    }
    Ok(found)
}

fn take(found: &mut Found, name: &str) -> Result<PathBuf> {
    found
        .remove(name)
        .ok_or_else(|| anyhow!("{name} was not found or built"))
}

fn from_assets(assets: &Path, tools: &[Tool], found: &mut Found) -> Result<()> {
    for tool in tools {
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
