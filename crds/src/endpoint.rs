//! Where a request is sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The port of a Service that names none.
pub const DEFAULT_SERVICE_PORT: u16 = 443;
/// The scheme of a Service that names none.
pub const DEFAULT_SERVICE_SCHEME: &str = "https";

/// The backend: a URL, or a Service of this cluster.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Address of the backend: http or https, a host, an optional port and an optional base path. A host NAME.NAMESPACE.svc is the Service of that name.
    /// Default: none; one of url and service is required, and url wins.
    /// Example: http://grafana.monitoring.svc:3000
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// A Service of this cluster, spoken to over https unless scheme says otherwise.
    /// Default: none; ignored when url is given.
    /// Example: {namespace: monitoring, name: grafana, port: 3000, scheme: http}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceReference>,

    /// Certificates that the certificate of an https backend is checked against: base64 of PEM.
    /// Default: the roots of the proxy.
    /// Example: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUI...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,

    /// Accept any certificate of an https backend. Only for trials: nothing then proves who answers.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,

    /// Another name of insecureSkipVerify; either being true is enough.
    /// Default: false.
    /// Example: true
    #[serde(
        default,
        rename = "insecureSkipTLSVerify",
        skip_serializing_if = "Option::is_none"
    )]
    pub insecure_skip_tls_verify: Option<bool>,
}

/// A Service of this cluster.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReference {
    /// Namespace of the Service.
    /// Default: none, it is required.
    /// Example: monitoring
    #[serde(default)]
    #[schemars(required)]
    pub namespace: String,

    /// Name of the Service.
    /// Default: none, it is required.
    /// Example: grafana
    #[serde(default)]
    #[schemars(required)]
    pub name: String,

    /// Base path, put in front of the path of every request.
    /// Default: none.
    /// Example: /grafana
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,

    /// Port of the Service, not of its Pods.
    /// Default: 443.
    /// Example: 3000
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,

    /// How the backend is spoken to: http or https.
    /// Default: https.
    /// Example: http
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

// === impl Endpoint ===

impl Endpoint {
    /// Whether any certificate is accepted, by either spelling.
    #[must_use]
    pub fn skips_verification(&self) -> bool {
        self.insecure_skip_verify == Some(true) || self.insecure_skip_tls_verify == Some(true)
    }
}

// === impl ServiceReference ===

impl ServiceReference {
    /// The port as written or by default; `None` if it is not a port number.
    #[must_use]
    pub fn effective_port(&self) -> Option<u16> {
        match self.port {
            None => Some(DEFAULT_SERVICE_PORT),
            Some(port) => u16::try_from(port).ok().filter(|port| *port != 0),
        }
    }

    /// The scheme as written or by default.
    #[must_use]
    pub fn effective_scheme(&self) -> &str {
        self.scheme.as_deref().unwrap_or(DEFAULT_SERVICE_SCHEME)
    }
}
