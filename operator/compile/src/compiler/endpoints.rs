//! From EndpointSlices to the addresses that a proxy may choose from.

use std::collections::BTreeSet;
use std::net::IpAddr;

use genkan_routing::model::{Endpoint, EndpointSet, SetKey};

use crate::index::Index;
use crate::object::{Slice, SliceEndpoint};

/// The usable endpoints of a Service's port: those that are ready, or, when there is none, those that are terminating
/// but still serving. In order, each address once.
pub fn collect(index: &Index, set: &SetKey) -> EndpointSet {
    let key = (set.namespace.clone(), set.service.clone());
    let service = index.services.get(&key);
    let named = service
        .and_then(|s| s.ports.iter().find(|p| p.port == set.port))
        .map(|p| p.name.as_str());
    let slices = index
        .slices
        .get(&key)
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
                ready.insert(Endpoint {
                    address,
                    port: number,
                });
            } else if endpoint.terminating && endpoint.serving {
                serving.insert(Endpoint {
                    address,
                    port: number,
                });
            }
        }
    }
    let chosen = if ready.is_empty() { serving } else { ready };
    EndpointSet {
        endpoints: chosen.into_iter().collect(),
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
