//! Services and their slices, as manifests.

use std::net::SocketAddr;

/// A selectorless Service and the slice that leads its port to these addresses.
#[derive(Debug, Clone)]
pub struct Service<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub port: u16,
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub ready: bool,
    pub terminating: bool,
}

// === impl Service ===

impl<'a> Service<'a> {
    pub fn new(namespace: &'a str, name: &'a str, port: u16, ready: &[SocketAddr]) -> Self {
        let endpoints = ready.iter().map(|address| Endpoint::ready(*address)).collect();
        Self {
            namespace,
            name,
            port,
            endpoints,
        }
    }

    /// Service and slices; a slice has one port, so there is one for each port of an endpoint.
    pub fn manifest(&self) -> String {
        let Self {
            namespace,
            name,
            port,
            ..
        } = self;
        let mut text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
             spec:\n  ports: [{{port: {port}, protocol: TCP}}]\n"
        );
        let mut ports: Vec<u16> = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.address.port())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        for target in ports {
            let endpoints = self
                .endpoints
                .iter()
                .filter(|endpoint| endpoint.address.port() == target);
            text.push_str(&format!(
                "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                 metadata:\n  namespace: {namespace}\n  name: {name}-{target}\n\
                 \x20 labels: {{kubernetes.io/service-name: {name}}}\n\
                 addressType: IPv4\nports: [{{port: {target}, protocol: TCP}}]\nendpoints:\n"
            ));
            endpoints.for_each(|endpoint| text.push_str(&endpoint.manifest()));
        }
        text
    }
}

// === impl Endpoint ===

impl Endpoint {
    pub fn ready(address: SocketAddr) -> Self {
        Self {
            address,
            ready: true,
            terminating: false,
        }
    }

    /// Going away, and still able to answer.
    pub fn terminating(address: SocketAddr) -> Self {
        Self {
            address,
            ready: false,
            terminating: true,
        }
    }

    fn manifest(&self) -> String {
        format!(
            "- addresses: [{}]\n  conditions: {{ready: {}, serving: true, terminating: {}}}\n",
            self.address.ip(),
            self.ready,
            self.terminating
        )
    }
}
