//! The way to the operator, and what keeps this process from it, in words that say what to do.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use genkan_proto::AUDIENCE;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// Files from which a secured stream is made; they are read each time, as both are renewed while this process runs.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Of the authorities that may sign the operator's certificate, in PEM.
    pub ca: PathBuf,
    pub token: PathBuf,
}

/// Why there is no connection to the operator.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the operator's address cannot be used: {0}")]
    Address(#[source] tonic::transport::Error),
    #[error(
        "--operator-ca-file {path} cannot be read yet ({source}): mount the ConfigMap that the operator publishes its \
         authority in"
    )]
    NoAuthority { path: PathBuf, source: io::Error },
    #[error(
        "--operator-ca-file {0} holds no certificate in PEM: mount the key ca.crt of the operator's ConfigMap"
    )]
    BadAuthority(PathBuf),
    #[error(
        "--operator-token-file {path} cannot be read yet ({source}): project a ServiceAccount token with the audience \
         {AUDIENCE} there"
    )]
    NoToken { path: PathBuf, source: io::Error },
    #[error(
        "--operator-token-file {0} holds no token: project a ServiceAccount token with the audience {AUDIENCE} there"
    )]
    BadToken(PathBuf),
    #[error(
        "the operator's certificate is for another name than {0}: name it in --operator as its certificate does"
    )]
    Name(String),
    #[error(
        "no authority in --operator-ca-file signed the operator's certificate: is it the ConfigMap of this operator, and \
         as new as it?"
    )]
    Unsigned,
    #[error(
        "the operator's certificate has expired, or is not valid yet: look at the operator's log, and at both clocks"
    )]
    Time,
    #[error("the operator and this process find no TLS that both speak: {0}")]
    Tls(rustls::Error),
    #[error("the operator cannot be reached: {0}")]
    Unreachable(String),
}

const CONNECT: Duration = Duration::from_secs(5);
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

// === impl Credentials ===

impl Credentials {
    fn authority(&self) -> Result<Certificate, ConnectError> {
        let path = || self.ca.clone();
        let pem =
            std::fs::read(&self.ca).map_err(|source| ConnectError::NoAuthority { path: path(), source })?;
        let mut all = CertificateDer::pem_slice_iter(&pem);
        match all.next() {
            Some(Ok(_)) if all.all(|one| one.is_ok()) => Ok(Certificate::from_pem(pem)),
            _ => Err(ConnectError::BadAuthority(path())),
        }
    }

    /// The value of the `authorization` header.
    pub fn bearer(&self) -> Result<MetadataValue<Ascii>, ConnectError> {
        let path = || self.token.clone();
        let text = std::fs::read_to_string(&self.token)
            .map_err(|source| ConnectError::NoToken { path: path(), source })?;
        let token = text.trim();
        let value = MetadataValue::try_from(format!("Bearer {token}"));
        let mut value = value
            .ok()
            .filter(|_| !token.is_empty())
            .ok_or_else(|| ConnectError::BadToken(path()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// A connection to the operator, its certificate checked where there are credentials.
pub(super) async fn connect(
    operator: &str,
    credentials: Option<&Credentials>,
) -> Result<Channel, ConnectError> {
    let mut endpoint = Endpoint::from_shared(operator.to_owned())
        .map_err(ConnectError::Address)?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true);
    // An IPv6 address stands in brackets in the URL only.
    let host = endpoint.uri().host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    if let Some(credentials) = credentials {
        let tls = ClientTlsConfig::new()
            .ca_certificate(credentials.authority()?)
            .domain_name(host.clone());
        endpoint = endpoint.tls_config(tls).map_err(ConnectError::Address)?;
    }
    endpoint.connect().await.map_err(|error| explain(&error, host))
}

fn explain(error: &tonic::transport::Error, host: String) -> ConnectError {
    use rustls::CertificateError as Certificate;
    let Some(tls) = cause(error) else {
        return ConnectError::Unreachable(sentence(error));
    };
    let rustls::Error::InvalidCertificate(certificate) = tls else {
        return ConnectError::Tls(tls);
    };
    match certificate {
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => ConnectError::Name(host),
        Certificate::UnknownIssuer | Certificate::BadSignature => ConnectError::Unsigned,
        Certificate::Expired
        | Certificate::ExpiredContext { .. }
        | Certificate::NotValidYet
        | Certificate::NotValidYetContext { .. } => ConnectError::Time,
        other => ConnectError::Tls(rustls::Error::InvalidCertificate(other)),
    }
}

/// What rustls said, wherever it is: an `io::Error` holds its inner error where `source` does not lead.
fn cause(error: &(dyn Error + 'static)) -> Option<rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.clone());
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// An error with its causes, each once.
fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
