use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use genkan_routing::dialling::names_api_server;
use http::uri::Authority;
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use pingora_core::utils::tls::CertKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::files::FromFiles;

/// What proves to backends that a request comes from us: shown to every one that asks for a certificate, but for API
/// servers of Kubernetes, which would take us for a user of their own.
#[derive(Debug, Default)]
pub struct ClientCertificate {
    files: Option<Files>,
    pair: ArcSwapOption<Pair>,
    /// The API server that we ask ourselves.
    api_server: Option<Authority>,
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

// === impl ClientCertificate ===

impl ClientCertificate {
    /// # Errors
    /// One sentence when the files cannot be used.
    pub fn load(files: Option<Files>) -> Result<Self, PairError> {
        let pair = files.as_ref().map(Pair::load).transpose()?;
        Ok(Self {
            files,
            pair: ArcSwapOption::new(pair.map(Arc::new)),
            api_server: None,
        })
    }

    /// By whatever address an object leads to this API server, it is not shown our certificate.
    pub fn withhold_from(&mut self, api_server: Authority) {
        self.api_server = Some(api_server);
    }

    pub fn is_given(&self) -> bool {
        self.files.is_some()
    }

    /// Lets a connection to this peer show the certificate.
    pub fn equip(&self, mut peer: HttpPeer) -> HttpPeer {
        if peer.is_tls()
            && let Some(pair) = &*self.pair.load()
            && !self.is_withheld_from(&peer)
        {
            peer.client_cert_key = Some(Arc::clone(&pair.engine));
            peer.group_key ^= pair.group;
        }
        peer
    }

    fn is_withheld_from(&self, peer: &HttpPeer) -> bool {
        names_api_server(&peer.sni) || self.api_server.as_ref().is_some_and(|own| is_at(own, peer))
    }
}

/// Is this peer the server with this authority?
fn is_at(authority: &Authority, peer: &HttpPeer) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    match (host.parse::<IpAddr>(), peer.address().as_inet()) {
        (Ok(ip), Some(address)) => {
            let port = authority.port_u16().unwrap_or(443);
            ip.to_canonical() == address.ip().to_canonical() && port == address.port()
        }
        _ => peer.sni.eq_ignore_ascii_case(host),
    }
}

impl FromFiles for ClientCertificate {
    type Error = PairError;
    const NAME: &'static str = "client-certificate";

    fn reload(&self) -> Result<bool, PairError> {
        let Some(files) = &self.files else {
            return Ok(false);
        };
        let pair = Pair::load(files)?;
        let is_changed = self
            .pair
            .load()
            .as_ref()
            .is_none_or(|current| current.group != pair.group);
        if is_changed {
            self.pair.store(Some(Arc::new(pair)));
        }
        Ok(is_changed)
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
    fn api_servers_are_shown_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = mk_files(folder.path());
        write(&files);
        let mut certificate = ClientCertificate::load(Some(files)).unwrap();
        let shows = |certificate: &ClientCertificate, address: &str, name: &str| {
            let peer = HttpPeer::new(address, true, name.to_owned());
            let equipped = certificate.equip(peer.clone());
            assert_eq!(
                equipped.client_cert_key.is_some(),
                equipped.group_key != peer.group_key
            );
            equipped.client_cert_key.is_some()
        };
        assert!(!shows(&certificate, "127.0.0.1:1", "kubernetes.default.svc"));
        assert!(shows(&certificate, "10.0.0.1:443", "10.0.0.1"));
        certificate.withhold_from("10.0.0.1".parse().unwrap());
        assert!(!shows(&certificate, "10.0.0.1:443", "api.example"));
        assert!(shows(&certificate, "10.0.0.1:8443", "10.0.0.1"));
        certificate.withhold_from("[fd00::1]:6443".parse().unwrap());
        assert!(!shows(&certificate, "[fd00::1]:6443", ""));
        certificate.withhold_from("API.example:6443".parse().unwrap());
        assert!(!shows(&certificate, "10.0.0.9:443", "api.example"));
        assert!(shows(&certificate, "10.0.0.9:443", "shop.example"));
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

    #[test]
    fn new_pair_is_taken_over_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = mk_files(folder.path());
        write(&files);
        let certificate = ClientCertificate::load(Some(files.clone())).unwrap();
        let group = || certificate.equip(mk_peer(true)).group_key;
        let first = group();
        assert!(!certificate.reload().unwrap());
        let key = write(&files);
        assert!(certificate.reload().unwrap());
        let second = group();
        assert_ne!(first, second);
        std::fs::write(&files.key, "junk").unwrap();
        assert!(certificate.reload().is_err());
        assert_eq!(group(), second);
        std::fs::write(&files.key, key).unwrap();
        assert!(!certificate.reload().unwrap(), "the same pair again is no change");
    }
}
