use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::CertKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::metrics::Metrics;

/// What proves to backends that a request comes from us: shown to every one that asks for a certificate.
#[derive(Debug, Default)]
pub struct ClientCertificate {
    files: Option<Files>,
    pair: ArcSwapOption<Pair>,
}

#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

struct Pair {
    engine: Arc<CertKey>,
    /// Connections made with another certificate are not used again.
    group: u64,
}

/// Why a pair cannot be shown to anybody.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    #[error("{} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} holds no certificate in PEM that can be used", .0.display())]
    Certificate(PathBuf),
    #[error("{} holds no private key in PEM that can be used", .0.display())]
    Key(PathBuf),
    #[error("the certificate {} and the key {} do not belong together: {problem}", files.certificate.display(), files.key.display())]
    Pair { files: Files, problem: String },
}

const PERIOD: Duration = Duration::from_secs(5);

/// Changes when a file was replaced, also by a link that leads elsewhere.
type Stamp = [Option<(u64, i64, i64, u64)>; 2];

// === impl ClientCertificate ===

impl ClientCertificate {
    /// # Errors
    /// One sentence when the files cannot be used.
    pub fn load(files: Option<Files>) -> Result<Self, PairError> {
        let pair = files.as_ref().map(Pair::load).transpose()?;
        Ok(Self {
            files,
            pair: ArcSwapOption::new(pair.map(Arc::new)),
        })
    }

    /// Lets a connection to this peer show the certificate.
    pub fn equip(&self, mut peer: HttpPeer) -> HttpPeer {
        if let Some(pair) = &*self.pair.load()
            && peer.is_tls()
        {
            peer.client_cert_key = Some(Arc::clone(&pair.engine));
            peer.group_key ^= pair.group;
        }
        peer
    }

    /// Looks after the files for ever. A pair that cannot be used leaves the old one in its place.
    pub async fn watch(self: Arc<Self>, metrics: Arc<Metrics>) {
        let Some(files) = self.files.clone() else {
            return std::future::pending().await;
        };
        let mut seen = files.stamp();
        loop {
            tokio::time::sleep(PERIOD).await;
            let now = files.stamp();
            if now == seen {
                continue;
            }
            seen = now;
            match Pair::load(&files) {
                Ok(pair) => {
                    self.pair.store(Some(Arc::new(pair)));
                    tracing::info!("the client certificate for backends was replaced");
                }
                Err(error) => {
                    metrics.client_certificates_refused.inc();
                    tracing::warn!(%error, "the client certificate for backends stays as it was");
                }
            }
        }
    }
}

// === impl Pair ===

impl Pair {
    /// Everything is tried here: the engine panics over what it cannot read.
    fn load(files: &Files) -> Result<Self, PairError> {
        let unusable = || PairError::Certificate(files.certificate.clone());
        let pem = read(&files.certificate)?;
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|_| unusable())?;
        let is_readable = |der: &CertificateDer<'_>| {
            x509_parser::parse_x509_certificate(der).is_ok_and(|(rest, _)| rest.is_empty())
        };
        if chain.is_empty() || !chain.iter().all(is_readable) {
            return Err(unusable());
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?);
        let key = key.map_err(|_| PairError::Key(files.key.clone()))?;
        let der = key.secret_der().to_vec();
        if PrivateKeyDer::try_from(der.clone()).is_err() {
            return Err(PairError::Key(files.key.clone()));
        }
        ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_client_auth_cert(chain.clone(), key)
            .map_err(|error| PairError::Pair {
                files: files.clone(),
                problem: error.to_string(),
            })?;
        let mut hasher = blake3::Hasher::new();
        chain.iter().for_each(|certificate| {
            hasher.update(certificate);
        });
        hasher.update(&der);
        let mut group = [0; 8];
        group.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        let chain = chain.iter().map(|certificate| certificate.to_vec()).collect();
        Ok(Self {
            engine: Arc::new(CertKey::new(chain, der)),
            group: u64::from_le_bytes(group),
        })
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

// === impl Files ===

impl Files {
    fn stamp(&self) -> Stamp {
        let of = |metadata: Metadata| {
            (
                metadata.ino(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.len(),
            )
        };
        [&self.certificate, &self.key].map(|path| std::fs::metadata(path).ok().map(of))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PairError> {
    std::fs::read(path).map_err(|source| PairError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_files(folder: &Path) -> Files {
        Files {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        }
    }

    /// Writes a new pair; gives its key.
    fn write(files: &Files) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["genkan".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        key.serialize_pem()
    }

    fn mk_peer(is_tls: bool) -> HttpPeer {
        HttpPeer::new("127.0.0.1:1", is_tls, "backend".to_owned())
    }

    #[test]
    fn only_connections_with_tls_show_it_and_are_set_apart() {
        let none = ClientCertificate::load(None).unwrap();
        assert!(none.equip(mk_peer(true)).client_cert_key.is_none());
        let folder = tempfile::tempdir().unwrap();
        let files = mk_files(folder.path());
        write(&files);
        let some = ClientCertificate::load(Some(files)).unwrap();
        let equipped = some.equip(mk_peer(true));
        assert!(equipped.client_cert_key.is_some());
        assert_ne!(equipped.group_key, mk_peer(true).group_key);
        assert!(some.equip(mk_peer(false)).client_cert_key.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = mk_files(folder.path());
        let error = || {
            ClientCertificate::load(Some(files.clone()))
                .unwrap_err()
                .to_string()
        };
        assert!(error().contains("tls.crt cannot be read"), "{}", error());
        let other = write(&files);
        write(&files);
        std::fs::write(&files.key, other).unwrap();
        assert!(error().contains("do not belong together"), "{}", error());
        std::fs::write(&files.key, "junk").unwrap();
        assert!(error().contains("tls.key holds no private key"), "{}", error());
        std::fs::write(
            &files.certificate,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        assert!(error().contains("tls.crt holds no certificate"), "{}", error());
    }

    #[tokio::test(start_paused = true)]
    async fn new_pair_is_taken_over_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = mk_files(folder.path());
        write(&files);
        let certificate = Arc::new(ClientCertificate::load(Some(files.clone())).unwrap());
        let metrics = Arc::new(Metrics::default());
        let group = || certificate.equip(mk_peer(true)).group_key;
        let first = group();
        let watching = tokio::spawn(Arc::clone(&certificate).watch(Arc::clone(&metrics)));
        tokio::time::sleep(PERIOD / 2).await;
        write(&files);
        tokio::time::sleep(PERIOD).await;
        let second = group();
        assert_ne!(first, second);
        std::fs::write(&files.key, "junk").unwrap();
        tokio::time::sleep(PERIOD * 3).await;
        assert_eq!(group(), second);
        assert_eq!(metrics.client_certificates_refused.get(), 1);
        watching.abort();
    }
}
