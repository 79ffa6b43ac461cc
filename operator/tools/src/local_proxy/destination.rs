//! Where requests go.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use http::Uri;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use kube::{Api, Client, Config};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::credential::Credential;

/// A data plane.
pub(super) enum Destination {
    Url {
        host: String,
        port: u16,
        /// What requests are for.
        authority: String,
        tls: Option<(TlsConnector, ServerName<'static>)>,
    },
    /// One of the Pods of a Service, by a port that the API server forwards.
    Service {
        pods: Box<Api<Pod>>,
        selector: String,
        /// Namespace and name.
        title: String,
    },
}

/// Bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where a data plane listens, unless its Pod names a port `http`.
const USUAL_PORT: u16 = 8080;

// === impl Destination ===

impl Destination {
    pub(super) fn url(url: &Uri, authority: Option<&Path>, credential: &Credential) -> Result<Self> {
        let is_https = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => bail!("--to {url} is no URL of the form https://HOST[:PORT]"),
        };
        let host = url.host().with_context(|| format!("--to {url} names no host"))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            bail!("--to {url} has a path; give only scheme, host and port");
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let tls = if is_https {
            let name = ServerName::try_from(bare.to_owned())
                .map_err(|_| anyhow!("--to {url}: {bare} is no name that a certificate can be for"))?;
            Some((connector(authority, credential)?, name))
        } else {
            None
        };
        Ok(Self::Url {
            host: bare.to_owned(),
            port: url.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            authority: url.authority().map(ToString::to_string).unwrap_or_default(),
            tls,
        })
    }

    pub(super) async fn service(config: Config, namespace: &str, name: &str) -> Result<Self> {
        let client = Client::try_from(config).context("no client for the API server can be made")?;
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let service = services.get(name).await.with_context(|| {
            format!("the Service {namespace}/{name} of the data plane cannot be read; give --dataplane-service, or --to with its URL")
        })?;
        let selector = service.spec.and_then(|spec| spec.selector).unwrap_or_default();
        let selector: Vec<String> = selector
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        Ok(Self::Service {
            pods: Box::new(Api::namespaced(client, namespace)),
            selector: selector.join(","),
            title: format!("{namespace}/{name}"),
        })
    }

    /// Its scheme and authority, where it has a name of its own. At the end of a forwarded port it is that of the port.
    pub(super) fn origin(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Url { authority, tls, .. } => {
                let scheme = if tls.is_some() { "https" } else { "http" };
                Some((scheme, authority))
            }
            Self::Service { .. } => None,
        }
    }

    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>> {
        match self {
            Self::Url { host, port, tls, .. } => {
                let stream = TcpStream::connect((host.as_str(), *port))
                    .await
                    .with_context(|| format!("{host}:{port} cannot be reached"))?;
                stream.set_nodelay(true)?;
                let Some((connector, name)) = tls else {
                    return Ok(Box::new(stream));
                };
                let stream = connector.connect(name.clone(), stream).await.with_context(|| {
                    format!(
                        "no TLS with {host}:{port}; --certificate-authority names who signed its certificate"
                    )
                })?;
                Ok(Box::new(stream))
            }
            Self::Service {
                pods,
                selector,
                title,
            } => {
                let params = ListParams::default().labels(selector);
                let list = pods
                    .list(&params)
                    .await
                    .context("the Pods of the data plane cannot be listed")?;
                let pod = list
                    .items
                    .iter()
                    .find(|pod| is_ready(pod))
                    .with_context(|| format!("no Pod of the Service {title} is ready"))?;
                let (name, port) = (pod.metadata.name.clone().unwrap_or_default(), port(pod));
                let mut forwarder = pods.portforward(&name, &[port]).await.with_context(|| {
                    format!(
                        "no port of Pod {name} is forwarded; that takes the rights to get and create pods/portforward"
                    )
                })?;
                let stream = forwarder.take_stream(port);
                Ok(Box::new(stream.context("the API server forwards no port")?))
            }
        }
    }
}

fn connector(authority: Option<&Path>, credential: &Credential) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = authority {
        let pem = std::fs::read(path)
            .with_context(|| format!("--certificate-authority {} cannot be read", path.display()))?;
        let (good, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        if good == 0 {
            bail!(
                "--certificate-authority {} holds no certificate in PEM",
                path.display()
            );
        }
    }
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.client_auth_cert_resolver = credential.certificate();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref());
    let is_going = pod.metadata.deletion_timestamp.is_some();
    !is_going
        && conditions
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn port(pod: &Pod) -> u16 {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let named = ports.find(|port| port.name.as_deref() == Some("http"));
    named
        .and_then(|port| u16::try_from(port.container_port).ok())
        .unwrap_or(USUAL_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mk_pod(ready: &str, ports: serde_json::Value) -> Pod {
        let pod = json!({
            "metadata": { "name": "p" },
            "spec": { "containers": [{ "name": "c", "ports": ports }] },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        });
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn pods_are_chosen_by_readiness_and_ports_by_name() {
        let ports = json!([{ "name": "admin", "containerPort": 1 }, { "name": "http", "containerPort": 2 }]);
        let pod = mk_pod("True", ports);
        assert!(is_ready(&pod));
        assert_eq!(port(&pod), 2);
        let other = mk_pod("False", json!([]));
        assert!(!is_ready(&other));
        assert_eq!(port(&other), USUAL_PORT);
    }
}
