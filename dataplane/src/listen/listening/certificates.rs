use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

/// The certificates of the TLS listener, by the name that a client asks for.
#[derive(Debug)]
pub struct Certificates {
    files: Vec<(PathBuf, PathBuf)>,
    current: ArcSwap<Store>,
}

/// What the files held when they were read last.
#[derive(Debug)]
struct Store {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// For names that no certificate is for, and clients that name none.
    default: Arc<CertifiedKey>,
    fingerprint: blake3::Hash,
}

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{path} cannot be read: {source}", path = .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no certificate in PEM", path = .0.display())]
    NoCertificate(PathBuf),
    #[error("{path} holds no private key in PEM", path = .0.display())]
    NoKey(PathBuf),
    #[error("{key} is not the key of {certificate}, or of a kind that cannot be used: {source}", key = .key.display(), certificate = .certificate.display())]
    Mismatch {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("no certificate is given")]
    None,
}

// === impl Certificates ===

impl Certificates {
    /// # Errors
    /// When one of the files cannot be used.
    pub fn load(files: Vec<(PathBuf, PathBuf)>) -> Result<Self, CertificateError> {
        let store = Store::read(&files)?;
        Ok(Self {
            files,
            current: ArcSwap::from_pointee(store),
        })
    }

    /// Takes up what changed in the files; true if anything did. Connections that are open keep what they have.
    ///
    /// # Errors
    /// When one of the files cannot be used; then everything stays as it is.
    pub fn reload(&self) -> Result<bool, CertificateError> {
        let store = Store::read(&self.files)?;
        if store.fingerprint == self.current.load().fingerprint {
            return Ok(false);
        }
        self.current.store(Arc::new(store));
        Ok(true)
    }

    fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let store = self.current.load();
        let named = name.and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let wildcard = || Some(format!("*.{}", name.split_once('.')?.1));
            let exact = store.by_name.get(&name);
            exact.or_else(|| store.by_name.get(&wildcard()?))
        });
        Arc::clone(named.unwrap_or(&store.default))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name()))
    }
}

// === impl Store ===

impl Store {
    fn read(files: &[(PathBuf, PathBuf)]) -> Result<Self, CertificateError> {
        let mut fingerprint = blake3::Hasher::new();
        let mut by_name = HashMap::new();
        let mut default = None;
        for (certificate, key) in files {
            let (chain, secret) = (read(certificate)?, read(key)?);
            for content in [&chain, &secret] {
                fingerprint.update(blake3::hash(content).as_bytes());
            }
            let certified = Arc::new(certified(certificate, &chain, key, &secret)?);
            for name in names(&certified) {
                // The first one given wins, as it does among those without a name.
                by_name.entry(name).or_insert_with(|| Arc::clone(&certified));
            }
            default.get_or_insert(certified);
        }
        Ok(Self {
            by_name,
            default: default.ok_or(CertificateError::None)?,
            fingerprint: fingerprint.finalize(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| CertificateError::Read {
        path: path.to_owned(),
        source,
    })
}

fn certified(
    certificate: &Path,
    chain: &[u8],
    key: &Path,
    secret: &[u8],
) -> Result<CertifiedKey, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| CertificateError::NoCertificate(certificate.to_owned()))?;
    let secret =
        PrivateKeyDer::from_pem_slice(secret).map_err(|_| CertificateError::NoKey(key.to_owned()))?;
    CertifiedKey::from_der(chain, secret, &default_provider()).map_err(|source| CertificateError::Mismatch {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}

/// The DNS names that the certificate is for, in lower case.
fn names(certified: &CertifiedKey) -> Vec<String> {
    let Some((_, certificate)) = certified
        .cert
        .first()
        .and_then(|der| x509_parser::parse_x509_certificate(der).ok())
    else {
        return Vec::new();
    };
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternative.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};

    fn write(folder: &Path, stem: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let Made { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let (certificate, key) = (
            folder.join(format!("{stem}.crt")),
            folder.join(format!("{stem}.key")),
        );
        std::fs::write(&certificate, cert.pem()).unwrap();
        std::fs::write(&key, signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }

    fn first_name(certificates: &Certificates, asked: Option<&str>) -> String {
        names(&certificates.choose(asked)).remove(0)
    }

    #[test]
    fn name_decides_which_certificate_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = vec![
            write(folder.path(), "a", &["a.example"]),
            write(folder.path(), "b", &["*.b.example", "c.example"]),
        ];
        let certificates = Certificates::load(pairs).unwrap();
        for (asked, shown) in [
            (Some("a.example"), "a.example"),
            (Some("X.B.Example."), "*.b.example"),
            (Some("c.example"), "*.b.example"),
            (Some("y.x.b.example"), "a.example"),
            (Some("b.example"), "a.example"),
            (None, "a.example"),
        ] {
            assert_eq!(first_name(&certificates, asked), shown, "{asked:?}");
        }
    }

    #[test]
    fn changed_files_are_taken_up_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::load(vec![write(folder.path(), "a", &["old.example"])]).unwrap();
        assert!(!certificates.reload().unwrap());
        write(folder.path(), "a", &["new.example"]);
        assert!(certificates.reload().unwrap());
        assert_eq!(first_name(&certificates, None), "new.example");
        std::fs::write(folder.path().join("a.key"), "no key").unwrap();
        let error = certificates.reload().unwrap_err().to_string();
        assert!(error.ends_with("a.key holds no private key in PEM"), "{error}");
        assert_eq!(first_name(&certificates, None), "new.example");
    }

    #[test]
    fn foreign_key_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, _) = write(folder.path(), "a", &["a.example"]);
        let (_, key) = write(folder.path(), "b", &["b.example"]);
        let error = Certificates::load(vec![(certificate, key)])
            .unwrap_err()
            .to_string();
        assert!(error.contains("b.key is not the key of"), "{error}");
        assert!(error.contains("a.crt"), "{error}");
    }
}
