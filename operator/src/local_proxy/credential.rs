//! What a kubeconfig knows about who somebody is.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use kube::Config;
use kube::client::ConfigExt;
use kube::client::middleware::AuthLayer;
use rustls::client::ResolvesClientCert;
use tower::{Layer, ServiceExt};

/// Refreshed as kubectl does: files are read again, plug-ins run again.
pub(super) struct Credential {
    header: Option<AuthLayer>,
    certificate: Arc<dyn ResolvesClientCert>,
}

// === impl Credential ===

impl Credential {
    pub(super) fn of(config: &Config) -> Result<Self> {
        let header = config
            .auth_layer()
            .context("the credential of the kubeconfig cannot be used")?;
        let tls = config
            .rustls_client_config()
            .context("the client certificate of the kubeconfig cannot be used")?;
        let certificate = tls.client_auth_cert_resolver;
        if header.is_none() && !certificate.has_certs() {
            bail!(
                "the kubeconfig holds neither a token nor a client certificate; nobody would know who you are"
            );
        }
        Ok(Self { header, certificate })
    }

    pub(super) fn is_certificate_alone(&self) -> bool {
        self.header.is_none()
    }

    pub(super) fn certificate(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::clone(&self.certificate)
    }

    /// The value of `Authorization`, if there is one.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>> {
        let Some(layer) = &self.header else {
            return Ok(None);
        };
        let read = tower::service_fn(|request: Request<()>| async move {
            Ok::<_, tower::BoxError>(request.headers().get(AUTHORIZATION).cloned())
        });
        let answer = layer.layer(read).oneshot(Request::new(())).await;
        answer.map_err(|error| anyhow!("the kubeconfig gives no credential: {error}"))
    }
}
