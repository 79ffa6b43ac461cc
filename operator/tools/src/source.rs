//! Where objects come from: Kubernetes, or a directory of YAML.

use std::path::PathBuf;
use std::str::FromStr;

/// The value of `--source`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Kubernetes,
    Directory(PathBuf),
}

/// The objects that a command works on.
#[derive(Clone, Debug, clap::Args)]
pub struct Origin {
    /// Where objects come from: kubernetes, or dir:PATH
    #[arg(
        long,
        env = "GENKAN_SOURCE",
        default_value = "kubernetes",
        value_name = "SOURCE"
    )]
    pub source: Source,
    /// Kubeconfig of the API server [default: the Pod's ServiceAccount, else ~/.kube/config]
    #[arg(long, env = "GENKAN_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

// === impl Source ===

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "kubernetes" => Ok(Self::Kubernetes),
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Directory(path.into())),
            _ => Err(format!("{text:?} is no source; say kubernetes, or dir:PATH")),
        }
    }
}
