use std::sync::Arc;

use pingora_core::listeners::tls::TlsSettings;
use pingora_core::protocols::ALPN;

use super::caller_certificates::Keep;
use super::{AuthorityError, CallerAuthorities, CertificateError, Certificates};
use crate::cli::Listener;
use crate::decisions::Keys;
use crate::files::FromFiles;

/// What the TLS listener shows, and whom it believes.
#[derive(Debug)]
pub struct Tls {
    certificates: Arc<Certificates>,
    authorities: Option<Arc<CallerAuthorities>>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(
        "{0} times --tls-cert-file but {1} times --tls-key-file; give every certificate its key, in the same order"
    )]
    Pairs(usize, usize),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("TLS cannot be set up: {0}")]
    Engine(String),
}

// === impl Tls ===

impl Tls {
    /// # Errors
    /// When one of the files cannot be used.
    pub fn load(cli: &Listener) -> Result<Self, TlsError> {
        let pairs = cli
            .pairs()
            .map_err(|(certificates, keys)| TlsError::Pairs(certificates, keys))?;
        let authorities = cli.client_ca_file.clone().map(CallerAuthorities::load);
        Ok(Self {
            certificates: Arc::new(Certificates::load(pairs)?),
            authorities: authorities.transpose()?.map(Arc::new),
        })
    }

    /// Those whose client certificates count.
    pub fn authorities(&self) -> Option<Arc<CallerAuthorities>> {
        self.authorities.clone()
    }

    /// For the engine, with the keys that users are told apart by: TLS 1.2 and 1.3, HTTP/2 where the client speaks it.
    ///
    /// # Errors
    /// When the engine does not want to.
    pub fn settings(&self, keys: Arc<Keys>) -> Result<TlsSettings, TlsError> {
        let settings = TlsSettings::with_callbacks(Box::new(Keep { keys }));
        let mut settings = settings.map_err(|error| TlsError::Engine(error.to_string()))?;
        settings.set_cert_resolver(self.certificates.clone());
        if let Some(authorities) = &self.authorities {
            settings.set_client_cert_verifier(authorities.clone());
        }
        settings.set_alpn(ALPN::H2H1);
        Ok(settings)
    }
}

impl FromFiles for Tls {
    type Error = TlsError;
    const NAME: &'static str = "tls-listener";

    fn reload(&self) -> Result<bool, TlsError> {
        // One must not keep the other from being read.
        let authorities = self.authorities.as_ref().map(|authorities| authorities.reload());
        let certificates = self.certificates.reload();
        Ok(authorities.transpose()?.unwrap_or_default() | certificates?)
    }
}
