//! What a kubeconfig knows about who somebody is.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
use kube::Config;
use kube::client::ConfigExt;
use kube::client::middleware::AuthLayer;
use rustls::client::ResolvesClientCert;
use tokio::runtime::Handle;
use tower::{Layer, ServiceExt};

/// Refreshed as kubectl does: files are read again, plug-ins run again.
pub(super) struct Credential {
    header: Option<Arc<AuthLayer>>,
    certificate: Arc<dyn ResolvesClientCert>,
}

// === impl Credential ===

impl Credential {
    pub(super) fn of(config: &Config) -> Result<Self> {
        let user = &config.auth_info;
        if user.impersonate.is_some() || user.impersonate_groups.is_some() {
            bail!("the kubeconfig impersonates somebody, which genkan does not support; take `as` out of it");
        }
        if user.username.is_some() {
            bail!(
                "the kubeconfig holds a user name and password, which every backend would see; use a token"
            );
        }
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
        Ok(Self {
            header: header.map(Arc::new),
            certificate,
        })
    }

    pub(super) fn is_certificate_alone(&self) -> bool {
        self.header.is_none()
    }

    pub(super) fn certificate(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::clone(&self.certificate)
    }

    /// The value of `Authorization`, if there is one.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>> {
        let Some(layer) = self.header.clone() else {
            return Ok(None);
        };
        // A plug-in may take its time.
        let asked = tokio::task::spawn_blocking(|| Handle::current().block_on(header(layer)));
        asked.await?
    }
}

async fn header(layer: Arc<AuthLayer>) -> Result<Option<HeaderValue>> {
    // The layer is made for clients; this one gives back what it would have sent.
    let mirror = tower::service_fn(|request: Request<Empty<Bytes>>| async move {
        let mut response = Response::new(());
        *response.headers_mut() = request.into_parts().0.headers;
        Ok::<_, tower::BoxError>(response)
    });
    let answer = layer.layer(mirror).oneshot(Request::new(Empty::new())).await;
    let sent = answer.map_err(|error| anyhow!("the kubeconfig gives no credential: {error}"))?;
    Ok(sent.headers().get(AUTHORIZATION).cloned())
}
