//! Where the API server keeps each kind.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};

use genkan_compile::kinds;
use genkan_compile::object::{Kind, Watched};

/// Group, version and plural of a kind.
pub fn of(kind: Kind) -> ApiResource {
    match kind {
        Kind::Published(kind) => {
            let form = kinds::of(kind);
            let version = GroupVersionKind::gvk(form.group, genkan_crds::VERSION, kind.name());
            ApiResource::from_gvk_with_plural(&version, form.plural)
        }
        Kind::Watched(Watched::Service) => ApiResource::erase::<Service>(&()),
        Kind::Watched(Watched::EndpointSlice) => ApiResource::erase::<EndpointSlice>(&()),
        Kind::Watched(Watched::Pod) => ApiResource::erase::<Pod>(&()),
        Kind::Watched(Watched::Secret) => ApiResource::erase::<Secret>(&()),
        Kind::Watched(Watched::ConfigMap) => ApiResource::erase::<ConfigMap>(&()),
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

#[cfg(test)]
mod tests {
    use genkan_routing::model::Published;

    use super::*;

    #[test]
    fn published_kinds_are_where_their_definitions_say() {
        let mut definitions = genkan_crds::all();
        definitions.retain(|definition| definition.spec.names.kind != "ResourceInterface");
        assert_eq!(definitions.len(), Published::ALL.len());
        for kind in Published::ALL {
            let resource = of(Kind::Published(kind));
            let spec = definitions
                .iter()
                .map(|definition| &definition.spec)
                .find(|spec| spec.names.kind == kind.name());
            let spec = spec.unwrap();
            assert_eq!(
                (&resource.plural, &resource.group),
                (&spec.names.plural, &spec.group)
            );
            assert!(
                spec.versions
                    .iter()
                    .any(|version| version.name == resource.version)
            );
        }
    }
}
