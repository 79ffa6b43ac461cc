//! Where objects come from: Kubernetes, or a directory of YAML.

use std::path::PathBuf;
use std::str::FromStr;

/// The value of `--source`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Kubernetes,
    Directory(PathBuf),
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
