//! To which family of paths a request belongs, and so what may tell who calls.
//!
//! Pages of every published UI share one origin. What a browser sends by itself, whoever made it send the request, counts
//! only where such pages have their own backends.

use crate::info::CLUSTERS_ALIAS;
use crate::matcher::is_served_path;
use crate::table::is_kubernetes_document;

/// A family of paths. It follows from the path alone, before anybody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// `/proxy`: ReverseProxies.
    Proxy,
    /// `/kapis` and `/kapi`: what extends the API.
    Apis,
    /// What kube-apiserver answers, and judges by the credential that it is handed: `/api`, `/apis` and its documents, of
    /// this cluster.
    Kubernetes,
    /// `/connectors`, and `/connectors-operator` with their switches.
    Connectors,
    /// What names a cluster and is of none of the families above.
    Cluster,
    /// Nothing that is served.
    #[default]
    Other,
}

/// What counts beside a token in a header, be that `Authorization`, `X-KubeSphere-Authorization` or a subprotocol of a
/// WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    pub cookie: bool,
    pub certificate: Certificate,
}

/// Whether the client certificate of a connection counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    Counts,
    /// Not if a browser sent the request.
    OfToolsOnly,
    Ignored,
    /// It would have to be handed on, and cannot be.
    NotForwardable,
}

// === impl Family ===

impl Family {
    /// `path` is canonical; `host` is the name of this cluster below `/clusters`, if it has one. No name means this one.
    pub fn of(path: &str, host: Option<&str>) -> Self {
        let is_host = |name: &str| name.is_empty() || Some(name) == host;
        if is_served_path(path) {
            return Self::Proxy;
        }
        if is_kubernetes_document(path) {
            return Self::Kubernetes;
        }
        let mut segments = path.trim_start_matches('/').splitn(3, '/');
        let first = segments.next().unwrap_or_default();
        let family = match first {
            "clusters" | CLUSTERS_ALIAS => {
                return match (segments.next(), segments.next()) {
                    (Some(name), Some(below)) if is_host(name) => Self::of_host(below),
                    _ => Self::Cluster,
                };
            }
            "kapis" | "kapi" => Self::Apis,
            "api" | "apis" => Self::Kubernetes,
            "connectors" | "connectors-operator" => return Self::Connectors,
            _ => return Self::Other,
        };
        // The other form: the cluster stands behind the prefix.
        match (segments.next(), segments.next()) {
            (Some("clusters"), Some(rest)) if !rest.is_empty() => {
                let name = rest.split('/').next().unwrap_or_default();
                if family == Self::Kubernetes && is_host(name) {
                    family
                } else {
                    Self::Cluster
                }
            }
            _ => family,
        }
    }

    /// Below the name of this cluster, where no other can be named. What counts there is what counts for a cluster, or less.
    fn of_host(below: &str) -> Self {
        let first = below
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        match first {
            "api" | "apis" => Self::Kubernetes,
            "connectors" | "connectors-operator" => Self::Connectors,
            _ if is_kubernetes_document(&["/", below].concat()) => Self::Kubernetes,
            _ => Self::Cluster,
        }
    }

    pub fn credentials(self) -> Credentials {
        let (cookie, certificate) = match self {
            Self::Proxy | Self::Apis => (true, Certificate::Counts),
            Self::Kubernetes => (false, Certificate::NotForwardable),
            Self::Connectors => (false, Certificate::Ignored),
            Self::Cluster => (false, Certificate::OfToolsOnly),
            Self::Other => (false, Certificate::Counts),
        };
        Credentials { cookie, certificate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_follows_from_the_path_alone() {
        for (family, paths) in [
            (Family::Proxy, &["/proxy", "/proxy/x", "/proxyx/y"][..]),
            (
                Family::Apis,
                &[
                    "/kapis",
                    "/kapis/",
                    "//kapis/g/v1",
                    "/kapi/v1/x",
                    "/kapis/clusters",
                    "/kapis/clusters/",
                ],
            ),
            (
                Family::Kubernetes,
                &[
                    "/api",
                    "//api/v1/pods",
                    "/apis/apps/v1",
                    "/openapi/v3",
                    "/version",
                    "/healthz",
                    "/livez/x",
                    "/readyz",
                    "/clusters/host/api/v1/pods",
                    "/clusters-rewrite/host/version",
                    "/apis/clusters/host/apps/v1/deployments",
                    "/clusters//api/v1/pods",
                    "/clusters/host/apis/clusters/m1/v1",
                ],
            ),
            (
                Family::Connectors,
                &[
                    "/connectors",
                    "/connectors/ns/x",
                    "/connectors-operator/featureflags",
                    "/clusters/host/connectors/ns/x",
                ],
            ),
            (
                Family::Cluster,
                &[
                    "/clusters",
                    "/clusters/host",
                    "/clusters/host/proxy/x",
                    "/clusters/host/kapis/g/v1/x",
                    "/clusters/host/clusters/host/api",
                    "/clusters/m1/api/v1/pods",
                    "/clusters/m1/connectors/x",
                    "/clusters-rewrite/m1/api",
                    "/kapis/clusters/m1/g/v1/x",
                    "/kapis/clusters/host/g/v1/x",
                    "/api/clusters/m1/v1/pods",
                ],
            ),
            (
                Family::Other,
                &[
                    "/",
                    "",
                    "/nothing",
                    "/versions",
                    "/apix",
                    "/kapisx/y",
                    "/connectorsx",
                ],
            ),
        ] {
            for path in paths {
                assert_eq!(Family::of(path, Some("host")), family, "{path}");
            }
        }
        assert_eq!(Family::of("/clusters/host/api/v1/pods", None), Family::Cluster);
    }

    #[test]
    fn browsers_act_by_themselves_only_where_they_have_a_backend_of_their_own() {
        for family in [
            Family::Kubernetes,
            Family::Connectors,
            Family::Cluster,
            Family::Other,
        ] {
            assert!(!family.credentials().cookie, "{family:?}");
        }
    }
}
