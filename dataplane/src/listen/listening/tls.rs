use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use genkan_callers::{AuthorityError, CallerAuthorities, CallerCertificate, Keys};
use pingora_core::listeners::TlsAccept;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::protocols::tls::TlsRef;
use pingora_core::protocols::{ALPN, Digest};

use super::{CertificateError, Certificates};
use crate::cli::Listener;
use crate::files::FromFiles;

/// What the TLS listener shows, and whom it believes.
#[derive(Debug)]
pub struct Tls {
    certificates: Arc<Certificates>,
    authorities: Option<Arc<CallerAuthorities>>,
}

/// Keeps the client's certificate with its connection.
#[derive(Debug)]
struct CertificateRecorder {
    keys: Arc<Keys>,
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
        let settings = TlsSettings::with_callbacks(Box::new(CertificateRecorder { keys }));
        let mut settings = settings.map_err(|error| TlsError::Engine(error.to_string()))?;
        settings.set_cert_resolver(self.certificates.clone());
        if let Some(authorities) = &self.authorities {
            settings.set_client_cert_verifier(authorities.clone());
        }
        settings.set_alpn(ALPN::H2H1);
        Ok(settings)
    }
}

#[async_trait]
impl TlsAccept for CertificateRecorder {
    async fn handshake_complete_callback(&self, tls: &TlsRef) -> Option<Arc<dyn Any + Send + Sync>> {
        let certificate = CallerCertificate::read(tls.peer_cert_chain_der()?, &self.keys)?;
        Some(Arc::new(certificate))
    }
}

/// What the client of a connection proved to be.
pub fn certificate_of(digest: Option<&Digest>) -> Option<&CallerCertificate> {
    digest?.ssl_digest.as_ref()?.extension.get()
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
