use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::PATIENCE;
use super::source::{Material, SourceError};

/// Connections made of one set of files.
pub struct Transport {
    material: Material,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

pub struct Answered {
    pub body: Bytes,
    /// The connection carries many requests at once.
    pub is_multiplexed: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("the API server cannot be reached: {0}")]
    Broken(String),
    #[error("the API server did not answer in time")]
    Late,
    #[error("the API server answers {0}{1}")]
    Refused(u16, &'static str),
}

/// More than any identity that can be used.
const LARGEST_ANSWER: usize = 1 << 20;
const AGENT: &str = concat!("genkan-dataplane/", env!("CARGO_PKG_VERSION"));

// === impl Transport ===

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.material.fmt(f)
    }
}

impl Transport {
    /// # Errors
    /// When certificates or keys cannot be used.
    pub fn new(material: Material) -> Result<Self, SourceError> {
        let config = tls(&material).map_err(SourceError::Tls)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(3)));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        let builder = match material.server_name.clone().map(ServerName::try_from) {
            Some(Ok(name)) => builder.with_server_name_resolver(FixedServerNameResolver::new(name)),
            Some(Err(error)) => return Err(SourceError::Tls(format!("tls-server-name: {error}"))),
            None => builder,
        };
        let connector = builder.enable_http1().enable_http2().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(2)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(PATIENCE)
            .build(connector);
        Ok(Self { material, client })
    }

    pub fn is_made_of(&self, material: &Material) -> bool {
        self.material == *material
    }

    pub async fn post(&self, path: &str, body: Bytes) -> Result<Answered, SendError> {
        let request = self.request(path, body)?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(broken)?;
            let (code, version) = (answer.status().as_u16(), answer.version());
            if !matches!(code, 200 | 201) {
                return Err(SendError::Refused(code, meaning(code)));
            }
            let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
            let body = body
                .map_err(|error| SendError::Broken(error.to_string()))?
                .to_bytes();
            Ok(Answered {
                body,
                is_multiplexed: version == Version::HTTP_2,
            })
        };
        timeout(PATIENCE, exchange).await.map_err(|_| SendError::Late)?
    }

    fn request(&self, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, SendError> {
        let unwritable = |error: http::Error| SendError::Broken(error.to_string());
        let path = PathAndQuery::try_from(format!("{}{path}", self.material.base_path));
        let uri = Uri::builder()
            .scheme(self.material.scheme.clone())
            .authority(self.material.authority.clone())
            .path_and_query(path.map_err(|error| unwritable(error.into()))?)
            .build()
            .map_err(unwritable)?;
        let json = HeaderValue::from_static("application/json");
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(USER_AGENT, HeaderValue::from_static(AGENT))
            .header(ACCEPT, json.clone())
            .header(CONTENT_TYPE, json);
        if let Some(authorization) = &self.material.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Full::new(body)).map_err(unwritable)
    }
}

fn broken(error: hyper_util::client::legacy::Error) -> SendError {
    // The outermost error only says that something failed.
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    SendError::Broken(innermost.to_string())
}

fn meaning(code: u16) -> &'static str {
    match code {
        401 => ": it does not accept the proxy's own credential",
        403 => ": the proxy needs the right to create tokenreviews and subjectaccessreviews",
        _ => "",
    }
}

fn tls(material: &Material) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    match &material.ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("certificate-authority: {error}"))?;
                roots
                    .add(certificate)
                    .map_err(|error| format!("certificate-authority: {error}"))?;
            }
            if roots.is_empty() {
                return Err("certificate-authority holds no certificate".into());
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = builder.with_root_certificates(roots);
    let Some((certificate, key)) = &material.certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| format!("client-certificate: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("client-key: {error}"))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("client-certificate and client-key: {error}"))
}
