//! Asks a tool from here, as a data plane would.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use genkan_probe::{Answer, LARGEST_ANSWER, origin};
use http::header::{HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One request; it may hold credentials.
pub(super) struct Asked<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
    /// PEM; absent: the roots of this machine.
    pub authorities: Option<&'a str>,
    /// These count beside `authorities`.
    pub beside_roots: bool,
    pub skips_verification: bool,
}

/// One question, whatever it meets.
const PATIENCE: Duration = Duration::from_secs(10);
const AGENT: &str = concat!("genkan/", env!("CARGO_PKG_VERSION"));

// === impl Asked ===

impl Asked<'_> {
    /// # Errors
    /// Why there is no answer; nothing of the request but its host.
    pub(super) async fn ask(&self) -> Result<Answer> {
        let asking = tokio::time::timeout(PATIENCE, self.once()).await;
        asking.map_err(|_| anyhow!("no answer within {} s", PATIENCE.as_secs()))?
    }

    async fn once(&self) -> Result<Answer> {
        let (scheme, authority) = origin(self.url).context("it is no URL")?;
        let url: Uri = self.url.parse().context("it is no URL")?;
        let host = url.host().context("the URL names no host")?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_https = scheme == "https";
        let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let stream = TcpStream::connect((bare, port))
            .await
            .with_context(|| format!("{bare}:{port} cannot be reached"))?;
        if !is_https {
            return self.send(stream, authority, &url).await;
        }
        let name = ServerName::try_from(bare.to_owned()).context("no certificate can be for this host")?;
        let connector = TlsConnector::from(Arc::new(self.tls()?));
        let stream = connector.connect(name, stream).await;
        let stream = stream.with_context(|| format!("no TLS with {bare}:{port}"))?;
        self.send(stream, authority, &url).await
    }

    fn tls(&self) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        if self.skips_verification {
            let everything = Arc::new(Everything(provider));
            let builder = builder.dangerous().with_custom_certificate_verifier(everything);
            return Ok(builder.with_no_client_auth());
        }
        let mut roots = RootCertStore::empty();
        if self.beside_roots || self.authorities.is_none() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if let Some(pem) = self.authorities {
            let parsed = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten();
            let (good, _) = roots.add_parsable_certificates(parsed);
            if good == 0 {
                bail!("the certificates that are to be trusted cannot be read");
            }
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    async fn send<S>(&self, stream: S, authority: &str, url: &Uri) -> Result<Answer>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .context("it does not speak HTTP")?;
        let connection = tokio::spawn(connection);
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let mut request = Request::builder()
            .method(self.method)
            .uri(target)
            .header(HOST, authority)
            .header(USER_AGENT, AGENT)
            .body(Full::new(Bytes::copy_from_slice(self.body)))?;
        for (name, value) in self.headers {
            let line = name
                .parse::<HeaderName>()
                .ok()
                .zip(HeaderValue::from_str(value).ok());
            let (name, value) = line.with_context(|| format!("the header {name} cannot be sent"))?;
            request.headers_mut().append(name, value);
        }
        let response = sender.send_request(request).await.context("it gives no answer")?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        connection.abort();
        // Of a longer one nothing is looked at.
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: (head.headers.iter())
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// Takes every certificate, for a Connector that says so.
#[derive(Debug)]
struct Everything(Arc<CryptoProvider>);

impl ServerCertVerifier for Everything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
