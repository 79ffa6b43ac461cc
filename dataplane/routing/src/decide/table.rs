//! The doors behind which a request can belong, and the order in which they are tried.

mod api_services;

use crate::answer::reason;
use std::sync::Arc;

use crate::answer::Refused;
use crate::connectors::Connectors;
use crate::info::RequestInfo;
use crate::matcher::{RouteTable, is_served_path};
use crate::model::Matcher;
use crate::path::comparable;

pub use api_services::ApiServices;

/// Everything that requests are routed by. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table<R, A> {
    pub reverse_proxies: RouteTable<R>,
    pub api_services: ApiServices<A>,
    pub connectors: Connectors<R>,
    /// The name under which this cluster is found below `/clusters/`, if it has one.
    pub host_cluster: Option<Arc<str>>,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'t, R, A> {
    ReverseProxy(&'t R),
    ApiService(&'t A),
    /// If there is one of that name.
    Connector(Option<&'t R>),
    /// 308 to the same path with a slash, which a proxy takes.
    BarePrefix {
        location: Vec<u8>,
    },
    /// An `APIGroup`, made from what is published.
    ApiGroup {
        group: &'t str,
        versions: Vec<&'t str>,
    },
    /// An `APIGroupList`: groups with their versions.
    ApiGroupList(Vec<(&'t str, Vec<&'t str>)>),
    Kubernetes,
    /// Another cluster, which may not exist.
    Cluster {
        name: String,
    },
    NotFound,
}

// === impl Table ===

impl<R, A> Default for Table<R, A> {
    fn default() -> Self {
        Self {
            reverse_proxies: RouteTable::default(),
            api_services: ApiServices::default(),
            connectors: Connectors::default(),
            host_cluster: None,
        }
    }
}

impl<R: Clone> Table<R, R> {
    /// Lets an object take what matches. What took exactly that before comes back.
    pub fn insert(&mut self, matcher: &Matcher, object: R) -> Option<R> {
        match matcher {
            Matcher::ReverseProxy { path, method } => self.reverse_proxies.insert(path, method, object),
            Matcher::ApiService { group, version } => self.api_services.insert(group, version, object),
            Matcher::Connector { namespace, name } => self.connectors.insert(namespace, name, object),
            Matcher::ConnectorClass { name } => self.connectors.insert_class(name, object),
        }
    }

    pub fn remove(&mut self, matcher: &Matcher) -> Option<R> {
        match matcher {
            Matcher::ReverseProxy { path, method } => self.reverse_proxies.remove(path, method),
            Matcher::ApiService { group, version } => self.api_services.remove(group, version),
            Matcher::Connector { namespace, name } => self.connectors.remove(namespace, name),
            Matcher::ConnectorClass { name } => self.connectors.remove_class(name),
        }
    }
}

impl<R, A> Table<R, A> {
    /// `query` is only needed to be kept by a redirect.
    pub fn decide<'t>(
        &'t self,
        method: &str,
        info: &RequestInfo<'_>,
        query: Option<&[u8]>,
    ) -> Decision<'t, R, A> {
        if !info.cluster.is_empty() && self.host_cluster.as_deref() != Some(info.cluster) {
            return Decision::Cluster {
                name: info.cluster.to_owned(),
            };
        }
        if info.is_kubernetes || is_kubernetes_document(&info.path) {
            return Decision::Kubernetes;
        }
        if info.is_resource {
            return self
                .api_services
                .get(info.group, info.version)
                .map_or(Decision::NotFound, Decision::ApiService);
        }
        if is_served_path(&info.path) {
            return self.decide_proxy(method, info, query);
        }
        self.decide_discovery(&info.path)
    }

    fn decide_proxy<'t>(
        &'t self,
        method: &str,
        info: &RequestInfo<'_>,
        query: Option<&[u8]>,
    ) -> Decision<'t, R, A> {
        let path = comparable(&info.path);
        if let Some(route) = self.reverse_proxies.lookup(method, &path) {
            return Decision::ReverseProxy(route);
        }
        if !matches!(method, "GET" | "HEAD") {
            return Decision::NotFound;
        }
        let mut with_slash = path.into_owned();
        with_slash.push(b'/');
        if self.reverse_proxies.lookup(method, &with_slash).is_none() {
            return Decision::NotFound;
        }
        let mut location = Vec::with_capacity(info.path.len() + 16);
        if !info.cluster.is_empty() {
            location.extend_from_slice(b"/clusters/");
            location.extend_from_slice(info.cluster.as_bytes());
        }
        location.extend_from_slice(info.path.as_bytes());
        location.push(b'/');
        if let Some(query) = query {
            location.push(b'?');
            location.extend_from_slice(query);
        }
        Decision::BarePrefix { location }
    }

    /// `/kapis`, `/kapis/{group}` and `/kapis/{group}/{version}`, with or without a slash at the end.
    fn decide_discovery(&self, path: &str) -> Decision<'_, R, A> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if path == "/kapis" {
            return Decision::ApiGroupList(self.api_services.groups());
        }
        let Some(rest) = path.strip_prefix("/kapis/") else {
            return Decision::NotFound;
        };
        match rest.split_once('/') {
            Some((group, version)) => self
                .api_services
                .get(group, version)
                .map_or(Decision::NotFound, Decision::ApiService),
            None => match self.api_services.group(rest) {
                Some((group, versions)) => Decision::ApiGroup { group, versions },
                None => Decision::NotFound,
            },
        }
    }
}

// === impl Decision ===

impl<R, A> Decision<'_, R, A> {
    /// The answer where there is nothing to answer with; absent where there is.
    pub fn refusal(&self, info: &RequestInfo<'_>) -> Option<Refused> {
        match self {
            Self::ReverseProxy(_)
            | Self::ApiService(_)
            | Self::Connector(_)
            | Self::BarePrefix { .. }
            | Self::ApiGroup { .. }
            | Self::ApiGroupList(_) => None,
            Self::Cluster { name } => {
                let message = format!("cluster {name} does not exist");
                Some(Refused::bad_request(reason::CLUSTER_NOT_FOUND, message))
            }
            Self::Kubernetes => Some(unserved(
                "requests to Kubernetes itself (/api, /apis) are not forwarded; use the address of the API server",
            )),
            Self::NotFound if info.is_resource => {
                let (version, group) = (info.version, info.group);
                Some(unserved(format!(
                    "no APIService publishes version {version} of group {group}"
                )))
            }
            Self::NotFound => Some(unserved("no ReverseProxy matches this method and path")),
        }
    }
}

fn unserved(message: impl Into<String>) -> Refused {
    Refused::new(404, reason::NO_ROUTE_MATCHED, message)
}

/// Paths beside `/api` and `/apis` that kube-apiserver answers.
pub(crate) fn is_kubernetes_document(path: &str) -> bool {
    const ROOTS: [&str; 5] = ["/version", "/openapi", "/healthz", "/livez", "/readyz"];
    let below = |root: &&str| path.strip_prefix(*root);
    ROOTS
        .iter()
        .filter_map(below)
        .any(|rest| rest.is_empty() || rest.starts_with('/'))
}
