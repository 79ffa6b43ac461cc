//! From EndpointSlices to the addresses that a proxy may choose from.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use genkan_proto::v1alpha1::{Endpoint, EndpointSet};

use crate::index::Index;
use crate::object::{Key, Slice, SliceEndpoint};

/// One port of one Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetKey {
    pub service: Key,
    pub port: u16,
}

// === impl SetKey ===

impl SetKey {
    /// Every port of a Service.
    pub fn range(service: &Key) -> RangeInclusive<Self> {
        Self {
            service: service.clone(),
            port: 0,
        }..=Self {
            service: service.clone(),
            port: u16::MAX,
        }
    }

    /// The Service of the key of a resource.
    pub fn service_of(key: &str) -> Option<Key> {
        let (namespace, rest) = key.strip_prefix("Endpoints/")?.split_once('/')?;
        Some((namespace.into(), rest.rsplit_once(':')?.0.into()))
    }
}

/// The key of its resource in the snapshot.
impl fmt::Display for SetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoints/{}/{}:{}", self.service.0, self.service.1, self.port)
    }
}

/// The usable endpoints of a Service's port: those that are ready, or, when there is none, those that are terminating
/// but still serving. In order, each address once.
pub fn collect(index: &Index, set: &SetKey) -> EndpointSet {
    let service = index.services.get(&set.service);
    let named = service
        .and_then(|s| s.ports.iter().find(|p| p.port == set.port))
        .map(|p| p.name.as_str());
    let slices = index
        .slices
        .get(&set.service)
        .into_iter()
        .flat_map(|slices| slices.values());
    let (mut ready, mut serving) = (BTreeSet::new(), BTreeSet::new());
    for slice in slices {
        let Some(number) = number_in(slice, named, set.port) else {
            continue;
        };
        for endpoint in &slice.endpoints {
            let Some(address) = address_of(endpoint) else {
                continue;
            };
            if endpoint.ready {
                ready.insert((address, number));
            } else if endpoint.terminating && endpoint.serving {
                serving.insert((address, number));
            }
        }
    }
    let chosen = if ready.is_empty() { serving } else { ready };
    let endpoint = |(address, port): (IpAddr, u16)| Endpoint {
        address: address.to_string(),
        port: port.into(),
    };
    EndpointSet {
        endpoints: chosen.into_iter().map(endpoint).collect(),
    }
}

/// The number behind a port of the Service in one slice. A headless Service may name no port at all: then the port
/// that was asked for is the endpoint's own.
fn number_in(slice: &Slice, named: Option<&str>, asked: u16) -> Option<u16> {
    let Some(name) = named else { return Some(asked) };
    slice
        .ports
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, number)| number.unwrap_or(asked))
}

/// Kubernetes gives an endpoint one address; more than one has no meaning.
fn address_of(endpoint: &SliceEndpoint) -> Option<IpAddr> {
    endpoint.addresses.first()?.parse().ok()
}
