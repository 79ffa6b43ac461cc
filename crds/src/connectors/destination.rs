//! Where a class has its API or its proxy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kind of a reference that names none.
pub const DEFAULT_KIND: &str = "Service";
/// API version of a reference that names none.
pub const DEFAULT_API_VERSION: &str = "v1";

/// A Service, a URL, or a URL relative to a Service.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// The Service, spoken to on port 80 by http, or on port 443 by https where CACerts is given. For another port write uri alone.
    /// Default: none; then uri has scheme and host.
    /// Example: {name: tickets-api, namespace: tools}
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<ServiceRef>,

    /// The URL; beside ref a path, which is put behind the address of the Service.
    /// Default: none.
    /// Example: /v1
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,

    /// Certificates that the certificate of an https address is checked against, in PEM.
    /// Default: the roots of the proxy.
    /// Example: "-----BEGIN CERTIFICATE-----..."
    #[serde(default, rename = "CACerts", skip_serializing_if = "Option::is_none")]
    pub ca_certs: Option<String>,

    /// Whom a token for this address would be for. Stored, and not used.
    /// Default: none.
    /// Example: tickets
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// A Service of this cluster.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Name of the Service.
    /// Default: none, it is required.
    /// Example: tickets-api
    #[serde(default)]
    #[schemars(required)]
    pub name: String,

    /// Namespace of the Service.
    /// Default: none; without it the address is unknown.
    /// Example: tools
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,

    /// Kind of what is referred to; only Service is used.
    /// Default: Service.
    /// Example: Service
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,

    /// Version of the API of what is referred to; only v1 is used.
    /// Default: v1.
    /// Example: v1
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,

    /// Group of the API of what is referred to, which is that of Services.
    /// Default: none.
    /// Example: ""
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,

    /// Name of one of several addresses. Stored, and not used.
    /// Default: none.
    /// Example: http
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

// === impl ServiceRef ===

impl ServiceRef {
    /// Whether a Service is meant, as written or by default.
    #[must_use]
    pub fn is_service(&self) -> bool {
        let kind = self.kind.as_deref().filter(|kind| !kind.is_empty());
        let version = self.api_version.as_deref().filter(|version| !version.is_empty());
        kind.unwrap_or(DEFAULT_KIND) == DEFAULT_KIND
            && version.unwrap_or(DEFAULT_API_VERSION) == DEFAULT_API_VERSION
            && self.group.as_deref().unwrap_or_default().is_empty()
    }
}
