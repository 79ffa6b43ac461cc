use std::sync::{Arc, OnceLock};

use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Pin, UpstreamError};
use crate::roots;

/// A `caBundle`, read once for all objects that name it.
#[derive(Debug)]
pub struct Bundle {
    pub(super) certificates: Arc<[WrappedX509]>,
    /// Those of them that may be servers too.
    pub(super) pins: Arc<[Pin]>,
    /// With the roots of this process, once somebody asks for that.
    beside_roots: OnceLock<Arc<[WrappedX509]>>,
}

// === impl Bundle ===

impl Bundle {
    /// # Errors
    /// When the PEM text holds no certificate, or one that cannot be read.
    pub fn read(pem: &[u8]) -> Result<Self, UpstreamError> {
        let certificates = read_pem(pem)?;
        let pins = certificates.iter().filter_map(|der| Pin::read(der)).collect();
        let wrap = |der| WrappedX509::new(der, parse_x509);
        Ok(Self {
            certificates: certificates.into_iter().map(wrap).collect(),
            pins,
            beside_roots: OnceLock::new(),
        })
    }

    /// These, and the roots of this process.
    pub(super) fn beside_roots(&self) -> Arc<[WrappedX509]> {
        let made = self.beside_roots.get_or_init(|| {
            let own = self
                .certificates
                .iter()
                .map(|certificate| certificate.borrow_raw_cert().clone());
            let all = own.chain(roots::of_system().iter().cloned());
            all.map(|der| WrappedX509::new(der, parse_x509)).collect()
        });
        Arc::clone(made)
    }
}

/// Every certificate is tried here, because the engine panics or refuses the whole bundle for one bad one.
fn read_pem(pem: &[u8]) -> Result<Vec<Vec<u8>>, UpstreamError> {
    let mut good = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let der = certificate.map_err(|error| UpstreamError::CaBundle(error.to_string()))?;
        let is_readable = x509_parser::parse_x509_certificate(&der).is_ok_and(|(rest, _)| rest.is_empty())
            && rustls::RootCertStore::empty().add(der.clone()).is_ok();
        if !is_readable {
            return Err(UpstreamError::CaBundle(
                "one of its certificates is malformed".into(),
            ));
        }
        good.push(der.to_vec());
    }
    if good.is_empty() {
        return Err(UpstreamError::CaBundle(
            "there is no CERTIFICATE block in it".into(),
        ));
    }
    Ok(good)
}
