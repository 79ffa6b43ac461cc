//! Everything that is published, compiled once.

use std::path::Path;

use anyhow::{Context, Result};
use genkan_proto::v1alpha1::{ApiService, EndpointSet, Resource, ReverseProxy, resource};
use genkan_routing::Table;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};

use crate::compile::Compiler;
use crate::index::{Change, Dirty, Index};
use crate::object::{Kind, Object};
use crate::source::directory::Directory;
use crate::verdict::{ObjectKey, Verdict};

/// Objects, what became of them, and the doors that requests go through.
#[derive(Debug)]
pub struct World {
    pub(super) index: Index,
    compiler: Compiler,
    resources: Vec<Resource>,
    /// Positions in `resources`.
    pub(super) doors: Table<usize, usize>,
}

// === impl World ===

impl World {
    /// Compiles objects.
    pub fn new(changes: Vec<Change>) -> Self {
        let mut index = Index::default();
        let mut dirty = Dirty::default();
        for change in changes {
            index.take(change, &mut dirty);
        }
        let mut compiler = Compiler::default();
        let resources = compiler.compile(&index, &dirty).upserts;
        let mut doors = Table::default();
        let mut api_services = std::collections::HashMap::new();
        for (at, resource) in resources.iter().enumerate() {
            match &resource.resource {
                Some(resource::Resource::ReverseProxy(proxy)) => {
                    doors.reverse_proxies.insert(&proxy.path, &proxy.method, at);
                }
                Some(resource::Resource::ApiService(service)) => {
                    api_services.insert(format!("{}/{}", service.group, service.version), at);
                }
                _ => {}
            }
        }
        doors.api_services = std::sync::Arc::new(api_services);
        Self {
            index,
            compiler,
            resources,
            doors,
        }
    }

    /// Reads a folder of manifests; what could not be read comes back in sentences.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn from_directory(path: &Path) -> Result<(Self, Vec<String>)> {
        let (changes, problems) = Directory::new(path).read()?;
        let problems = problems
            .iter()
            .map(|p| format!("{}: {}", p.file.display(), p.message));
        Ok((Self::new(changes), problems.collect()))
    }

    /// Asks the API server.
    ///
    /// # Errors
    /// When it cannot be asked, or does not know the definitions.
    pub async fn from_kubernetes(client: &Client) -> Result<Self> {
        let mut changes = Vec::new();
        for (kind, resource) in [
            (
                Kind::ReverseProxy,
                ApiResource::erase::<genkan_crds::ReverseProxy>(&()),
            ),
            (
                Kind::ApiService,
                ApiResource::erase::<genkan_crds::APIService>(&()),
            ),
            (Kind::Service, ApiResource::erase::<Service>(&())),
            (Kind::EndpointSlice, ApiResource::erase::<EndpointSlice>(&())),
        ] {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let list = api
                .list(&ListParams::default())
                .await
                .with_context(|| format!("{} cannot be listed", resource.plural))?;
            let mut objects = Vec::new();
            for item in list.items {
                match Object::read(kind, serde_json::to_value(item)?) {
                    Ok(object) => objects.push(object),
                    Err(problem) => eprintln!("genkan: {problem}"),
                }
            }
            changes.push(Change::Reset(kind, objects));
        }
        Ok(Self::new(changes))
    }

    pub(super) fn verdict(&self, key: &ObjectKey) -> Option<&Verdict> {
        self.compiler.verdict(key)
    }

    pub(super) fn reverse_proxy(&self, at: usize) -> Option<&ReverseProxy> {
        match self.resources.get(at)?.resource.as_ref()? {
            resource::Resource::ReverseProxy(proxy) => Some(proxy),
            _ => None,
        }
    }

    pub(super) fn api_service(&self, at: usize) -> Option<&ApiService> {
        match self.resources.get(at)?.resource.as_ref()? {
            resource::Resource::ApiService(service) => Some(service),
            _ => None,
        }
    }

    pub(super) fn endpoints(&self, key: &str) -> Option<&EndpointSet> {
        let found = self.resources.iter().find(|resource| resource.key == key)?;
        match found.resource.as_ref()? {
            resource::Resource::EndpointSet(set) => Some(set),
            _ => None,
        }
    }
}
