use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error};

use super::{Purpose, unix};

/// A certificate (with what leads to the authority), its key, and the authority, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
    pub ca: String,
}

/// A pair that can be used now.
#[derive(Clone, Debug)]
pub struct Examined {
    pub key: Arc<CertifiedKey>,
    pub from: SystemTime,
    pub until: SystemTime,
    /// It is for other names than the one that clients use.
    pub misses: Option<String>,
}

/// What keeps a pair from being used, in the words of the keys of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("its key tls.crt holds no certificate in PEM")]
    Certificate,
    #[error("its key tls.key holds no private key in PEM that belongs to tls.crt")]
    Key,
    #[error("its key ca.crt holds no certificate in PEM")]
    Authority,
    #[error("its key tls.crt holds a certificate that may sign no others")]
    NotAnAuthority,
    #[error("its key tls.crt holds a certificate that has expired")]
    Expired,
    #[error("its key tls.crt holds an authority that ends before what it would sign")]
    Short,
    #[error("its key tls.crt holds a certificate that is not valid yet")]
    Early,
    #[error("its key tls.crt holds a certificate that ca.crt did not sign")]
    Unsigned,
    #[error("its key tls.crt holds a certificate that cannot be used: {0}")]
    Other(String),
}

// === impl Pair ===

impl Pair {
    /// The name that backends find in it.
    pub fn common_name(&self) -> Option<String> {
        let chain = certificates(&self.certificate)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&chain[0]).ok()?;
        let name = parsed.subject().iter_common_name().last()?.as_str().ok()?;
        Some(name.to_owned())
    }

    /// Whether both ends of a connection would take it now.
    ///
    /// # Errors
    /// Says what is wrong with which of the three.
    pub fn examine(&self, purpose: &Purpose, now: SystemTime) -> Result<Examined, Flaw> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&self.certificate).ok_or(Flaw::Certificate)?;
        let (from, until) = validity(&chain[0]).ok_or(Flaw::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|_| Flaw::Key)?;
        let key = CertifiedKey::from_der(chain.clone(), key, &provider).map_err(|_| Flaw::Key)?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&self.ca).ok_or(Flaw::Authority)? {
            roots.add(root).map_err(|_| Flaw::Authority)?;
        }
        let misses = match verify(Arc::new(roots), provider, purpose, &chain, now) {
            Ok(()) => None,
            Err(Error::InvalidCertificate(error)) => Some(name_only(error, purpose)?),
            Err(error) => return Err(Flaw::Other(error.to_string())),
        };
        Ok(Examined {
            key: Arc::new(key),
            from,
            until,
            misses,
        })
    }
}

/// The key is for nobody's log.
impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

// === impl Examined ===

impl Examined {
    /// Two thirds of its life are over.
    pub fn is_due(&self, now: SystemTime) -> bool {
        let life = self.until.duration_since(self.from).unwrap_or_default();
        now >= self.from + life * 2 / 3
    }
}

fn verify(
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    purpose: &Purpose,
    chain: &[CertificateDer<'static>],
    now: SystemTime,
) -> Result<(), Error> {
    let (leaf, between) = (&chain[0], &chain[1..]);
    let unusable = |error: rustls::server::VerifierBuilderError| Error::General(error.to_string());
    match purpose {
        Purpose::Server(names) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(unusable)?;
            let name = ServerName::try_from(names[0].as_str())
                .map_err(|_| Error::General(format!("{:?} is no name of a server", names[0])))?;
            verifier
                .verify_server_cert(leaf, between, &name, &[], unix(now))
                .map(|_| ())
        }
        Purpose::Client(_) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(unusable)?;
            verifier.verify_client_cert(leaf, between, unix(now)).map(|_| ())
        }
    }
}

/// A wrong name alone does not make a pair unusable: proxies may be told of another one.
fn name_only(error: CertificateError, purpose: &Purpose) -> Result<String, Flaw> {
    match (error, purpose) {
        (
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            Purpose::Server(names),
        ) => Ok(names[0].clone()),
        (CertificateError::Expired | CertificateError::ExpiredContext { .. }, _) => Err(Flaw::Expired),
        (CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }, _) => Err(Flaw::Early),
        (CertificateError::UnknownIssuer | CertificateError::BadSignature, _) => Err(Flaw::Unsigned),
        (error, _) => Err(Flaw::Other(error.to_string())),
    }
}

/// At least one, or none.
pub(super) fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.ok().filter(|all| !all.is_empty())
}

pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<(SystemTime, SystemTime)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let at = |time: x509_parser::time::ASN1Time| {
        let seconds = u64::try_from(time.timestamp()).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    };
    Some((
        at(parsed.validity().not_before)?,
        at(parsed.validity().not_after)?,
    ))
}
