//! Where the API server keeps each kind.

use genkan_routing::model::Published;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client};

use genkan_compile::object::{Kind, Watched};

/// Group, version and plural of a kind.
pub fn of(kind: Kind) -> ApiResource {
    match kind {
        Kind::Published(Published::ReverseProxy) => ApiResource::erase::<genkan_crds::ReverseProxy>(&()),
        Kind::Published(Published::ApiService) => ApiResource::erase::<genkan_crds::APIService>(&()),
        Kind::Watched(Watched::Service) => ApiResource::erase::<Service>(&()),
        Kind::Watched(Watched::EndpointSlice) => ApiResource::erase::<EndpointSlice>(&()),
        Kind::Watched(Watched::Pod) => ApiResource::erase::<Pod>(&()),
    }
}

/// The objects of a kind in one namespace; in all, where it is empty.
pub fn api(client: &Client, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
    if namespace.is_empty() {
        Api::all_with(client.clone(), resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, resource)
    }
}
