//! Kubeconfig files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

/// How a kubeconfig says who it is.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    Certificate { certificate: &'a Path, key: &'a Path },
    Token(&'a str),
}

/// Writes a kubeconfig for one user of one server.
pub fn write(path: &Path, server: &str, ca: &Path, credential: Credential<'_>) -> Result<PathBuf> {
    let user = match credential {
        Credential::Certificate { certificate, key } => {
            json!({"client-certificate": certificate, "client-key": key})
        }
        Credential::Token(token) => json!({"token": token}),
    };
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "genkan",
        "clusters": [{"name": "genkan", "cluster": {"server": server, "certificate-authority": ca}}],
        "users": [{"name": "genkan", "user": user}],
        "contexts": [{"name": "genkan", "context": {"cluster": "genkan", "user": "genkan"}}],
    });
    std::fs::write(path, serde_yaml::to_string(&config)?)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path.to_owned())
}
