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

/// Keeps what was agreed on with its connection.
#[derive(Debug)]
struct Recorder {
    keys: Arc<Keys>,
}

/// What a client said of itself, and of whom it looks for.
#[derive(Debug)]
struct Handshake {
    server_name: Option<Box<str>>,
    certificate: Option<CallerCertificate>,
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
        let settings = TlsSettings::with_callbacks(Box::new(Recorder { keys }));
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
impl TlsAccept for Recorder {
    async fn handshake_complete_callback(&self, tls: &TlsRef) -> Option<Arc<dyn Any + Send + Sync>> {
        let chain = tls.peer_cert_chain_der();
        Some(Arc::new(Handshake {
            server_name: tls.server_name().map(Into::into),
            certificate: chain.and_then(|chain| CallerCertificate::read(chain, &self.keys)),
        }))
    }
}

/// What the client of a connection proved to be.
pub fn certificate_of(digest: Option<&Digest>) -> Option<&CallerCertificate> {
    handshake_of(digest)?.certificate.as_ref()
}

/// The name that the client of a connection asked for when TLS was agreed on.
pub fn server_name_of(digest: Option<&Digest>) -> Option<&str> {
    handshake_of(digest)?.server_name.as_deref()
}

fn handshake_of(digest: Option<&Digest>) -> Option<&Handshake> {
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
