use genkan_routing::model::{Endpoint, EndpointSet};

use crate::v1alpha1 as wire;

pub fn to_wire(set: &EndpointSet) -> wire::resource::Resource {
    let endpoint = |endpoint: &Endpoint| wire::Endpoint {
        address: endpoint.address.to_string(),
        port: endpoint.port.into(),
    };
    let endpoints = set.endpoints.iter().map(endpoint).collect();
    wire::resource::Resource::EndpointSet(wire::EndpointSet { endpoints })
}

/// What is no address is nothing that could be dialled.
pub fn from_wire(set: &wire::EndpointSet) -> EndpointSet {
    let endpoint = |endpoint: &wire::Endpoint| {
        let port = u16::try_from(endpoint.port).ok().filter(|port| *port != 0)?;
        let address = endpoint.address.parse().ok()?;
        Some(Endpoint { address, port })
    };
    EndpointSet {
        endpoints: set.endpoints.iter().filter_map(endpoint).collect(),
    }
}
