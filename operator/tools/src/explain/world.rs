//! Everything that is published, compiled once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use genkan_compile::Compiler;
use genkan_compile::index::{Change, Dirty, Index};
use genkan_compile::kinds::{self, Tool};
use genkan_compile::object::{HeldSecret, Key, Kind, Object, SecretState, Watched};
use genkan_compile::verdict::Verdict;
use genkan_routing::Table;
use genkan_routing::connectors::ApiPath;
use genkan_routing::model::{EndpointSet, ObjectKey, Published, ResourceBody, ResourceKey, SetKey};
use kube::Client;
use kube::api::ListParams;

use super::destination::Destination;
use crate::directory::Directory;
use crate::resource;

/// Objects, what became of them, and the doors that requests go through.
#[derive(Debug)]
pub struct World {
    pub(super) index: Index,
    compiler: Compiler,
    endpoints: BTreeMap<SetKey, EndpointSet>,
    pub(super) doors: Table<Arc<Destination>, Arc<Destination>>,
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
        let mut doors = Table::<Arc<Destination>, Arc<Destination>>::default();
        let mut endpoints = BTreeMap::new();
        let compiled = compiler.compile(&index, &dirty);
        let known = compiled.secrets.into_iter();
        let secrets = known
            .filter_map(|(key, secret)| Some((key, Arc::new(secret?))))
            .collect();
        for resource in compiled.upserts {
            match (resource.key, resource.body) {
                (ResourceKey::Endpoints(key), ResourceBody::Endpoints(set)) => {
                    endpoints.insert(key, set);
                }
                (_, ResourceBody::FeatureFlags(flags)) => doors.connectors.switch(&flags),
                (_, ResourceBody::Endpoints(_) | ResourceBody::Blob(_) | ResourceBody::Secret(_)) => {}
                (_, ResourceBody::Route(route)) => {
                    let taking = Arc::new(Destination::new(*route, &secrets));
                    doors.insert(&taking.route.matcher, Arc::clone(&taking));
                }
            }
        }
        Self {
            index,
            compiler,
            endpoints,
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

    /// Asks the API server; about a Secret only where a request for `target` would be sent with it.
    ///
    /// # Errors
    /// When it cannot be asked, or does not know the definitions.
    pub async fn from_kubernetes(client: &Client, target: &[u8]) -> Result<Self> {
        let mut changes = Vec::new();
        let kinds = [Watched::Service, Watched::EndpointSlice].map(Kind::Watched);
        for kind in Published::ALL.map(Kind::Published).into_iter().chain(kinds) {
            let resource = resource::of(kind);
            let api = resource::api(client, &resource, "");
            let is_optional = kind.published().is_some_and(|kind| kinds::of(kind).is_optional);
            let list = match api.list(&ListParams::default()).await {
                Err(kube::Error::Api(status)) if is_optional && matches!(status.code, 403 | 404) => {
                    changes.push(Change::Reset(kind, Vec::new()));
                    continue;
                }
                listed => listed.with_context(|| format!("{} cannot be listed", resource.plural))?,
            };
            let mut objects = Vec::new();
            for item in list.items {
                match Object::read(kind, serde_json::to_value(item)?) {
                    Ok(object) => objects.push(object),
                    Err(problem) => eprintln!("genkan: {problem}"),
                }
            }
            changes.push(Change::Reset(kind, objects));
        }
        let named = named_secret(target, &changes);
        if let Some((namespace, name)) = named {
            let kind = Kind::Watched(Watched::Secret);
            let api = resource::api(client, &resource::of(kind), &namespace);
            match api.get_opt(&name).await {
                Ok(Some(found)) => match Object::read(kind, serde_json::to_value(found)?) {
                    Ok(secret) => changes.push(Change::Apply(Box::new(secret))),
                    Err(problem) => eprintln!("genkan: {problem}"),
                },
                Ok(None) => changes.push(Change::Apply(Box::new(Object::Secret(HeldSecret {
                    namespace,
                    name,
                    state: SecretState::Missing,
                })))),
                Err(error) => eprintln!("genkan: Secret {namespace}/{name} cannot be read here: {error}"),
            }
        }
        Ok(Self::new(changes))
    }

    pub(super) fn verdict(&self, key: &ObjectKey) -> Option<&Verdict> {
        self.compiler.verdict(key)
    }

    pub(super) fn endpoints(&self, key: &SetKey) -> Option<&EndpointSet> {
        self.endpoints.get(key)
    }
}

/// The Secret of the Connector that a path names.
fn named_secret(target: &[u8], changes: &[Change]) -> Option<Key> {
    let path = ApiPath::parse(target.split(|byte| *byte == b'?').next()?)?;
    let objects = changes.iter().filter_map(|change| match change {
        Change::Reset(_, objects) => Some(objects),
        Change::Apply(_) | Change::Delete(..) | Change::Probed(..) => None,
    });
    let wanted = ObjectKey::connector(path.namespace, path.name);
    let record = objects.flatten().find_map(|object| {
        let Object::Published(record) = object else {
            return None;
        };
        (record.key == wanted).then_some(record)
    })?;
    let Tool::Connector(spec) = &record.spec.as_ref().ok()?.tool else {
        return None;
    };
    let reference = spec.auth.as_ref()?.secret_ref.as_ref()?;
    let name = reference.named().filter(|_| reference.stays_in(path.namespace))?;
    Some((path.namespace.to_owned(), name.to_owned()))
}
