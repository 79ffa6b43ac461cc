mod kubeconfig;

use std::fmt;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use http::uri::{Authority, Scheme, Uri};

/// Where it is written how the API server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterSource {
    Kubeconfig(PathBuf),
    /// The service account of the Pod.
    Pod {
        server: String,
        folder: PathBuf,
    },
}

/// Everything that a connection to the API server is made of.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    pub scheme: Scheme,
    pub authority: Authority,
    /// In front of every path; no trailing slash.
    pub base_path: String,
    /// PEM; without it the roots of the system count.
    pub ca: Option<Vec<u8>>,
    pub server_name: Option<String>,
    /// Certificate and key of our own, PEM.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
    pub authorization: Option<HeaderValue>,
}

/// Why it is not known how the API server is reached.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(
        "tokens are verified by Kubernetes, and nothing says where it is: give --kubeconfig FILE, \
         run in a Pod with a service account, or switch it off with --authentication disabled on a loopback address"
    )]
    Nowhere,
    #[error("{} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is no kubeconfig: {source}", path.display())]
    Parse {
        path: PathBuf,
        source: serde_yaml::Error,
    },
    #[error("the API server cannot be spoken to: {0}")]
    Tls(String),
    #[error("{}: {problem}", path.display())]
    Content { path: PathBuf, problem: String },
}

const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

// === impl ClusterSource ===

impl ClusterSource {
    /// A kubeconfig if there is one, else the Pod's own account.
    ///
    /// # Errors
    /// When there is neither.
    pub fn find(kubeconfig: Option<&Path>) -> Result<Self, SourceError> {
        if let Some(path) = kubeconfig {
            return Ok(Self::Kubeconfig(path.to_owned()));
        }
        let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (host, port) = named("KUBERNETES_SERVICE_HOST")
            .zip(named("KUBERNETES_SERVICE_PORT"))
            .ok_or(SourceError::Nowhere)?;
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host,
        };
        Ok(Self::Pod {
            server: format!("https://{host}:{port}"),
            folder: ACCOUNT.into(),
        })
    }

    /// Reads everything anew: tokens and certificates are replaced while we run.
    ///
    /// # Errors
    /// One sentence for the person who wrote the files.
    pub fn load(&self) -> Result<Material, SourceError> {
        match self {
            Self::Kubeconfig(path) => kubeconfig::load(path),
            Self::Pod { server, folder } => {
                let token = folder.join("token");
                let fail = |problem| content(&token, problem);
                let (scheme, authority, base_path) = address(server).map_err(fail)?;
                Ok(Material {
                    scheme,
                    authority,
                    base_path,
                    ca: Some(read(&folder.join("ca.crt"))?),
                    server_name: None,
                    certificate: None,
                    authorization: Some(bearer(&read(&token)?).map_err(fail)?),
                })
            }
        }
    }
}

// === impl Material ===

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

fn address(server: &str) -> Result<(Scheme, Authority, String), String> {
    let problem = || format!("its server {server:?} is no address of the form https://HOST:PORT");
    let uri: Uri = server.parse().map_err(|_| problem())?;
    let parts = uri.into_parts();
    let (scheme, authority) = parts.scheme.zip(parts.authority).ok_or_else(problem)?;
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS || authority.as_str().contains('@') {
        return Err(problem());
    }
    let path = parts.path_and_query.as_ref().map_or("", |path| path.path());
    Ok((scheme, authority, path.trim_end_matches('/').to_owned()))
}

fn bearer(token: &[u8]) -> Result<HeaderValue, String> {
    let token = token.trim_ascii();
    let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat())
        .ok()
        .filter(|_| !token.is_empty())
        .ok_or("its token is empty or holds what a header cannot hold")?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    std::fs::read(path).map_err(|source| SourceError::Read {
        path: path.to_owned(),
        source,
    })
}

fn content(path: &Path, problem: String) -> SourceError {
    SourceError::Content {
        path: path.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_and_a_host() {
        for bad in ["api.example:6443", "ftp://h", "https://u:p@h", "/path", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert_eq!(address("http://127.0.0.1:8001").unwrap().2, "");
    }

    #[test]
    fn account_of_the_pod_is_read_from_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let source = ClusterSource::Pod {
            server: "https://[fd00::1]:443".into(),
            folder: folder.path().to_owned(),
        };
        assert!(matches!(source.load(), Err(SourceError::Read { .. })));
        std::fs::write(folder.path().join("token"), "one").unwrap();
        std::fs::write(folder.path().join("ca.crt"), "PEM").unwrap();
        let first = source.load().unwrap();
        assert_eq!(first.authorization.clone().unwrap(), "Bearer one");
        std::fs::write(folder.path().join("token"), "two").unwrap();
        assert_ne!(
            source.load().unwrap(),
            first,
            "a token that was replaced is noticed"
        );
    }
}
