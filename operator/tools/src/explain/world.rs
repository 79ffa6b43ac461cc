//! Everything that is published, compiled once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use genkan_compile::Compiler;
use genkan_compile::index::{Change, Dirty, Index, Probe};
use genkan_compile::kinds::Tool;
use genkan_compile::object::{Key, Object};
use genkan_compile::verdict::Verdict;
use genkan_probe::Plan;
use genkan_routing::Table;
use genkan_routing::connectors::ApiPath;
use genkan_routing::model::{
    EndpointSet, Matcher, ObjectKey, ResourceBody, ResourceKey, Secret, SecretKey, SetKey,
};
use kube::Client;

use super::destination::Destination;
use super::fetch;
use crate::directory::Directory;

/// Objects, what became of them, and the doors that requests go through.
#[derive(Debug)]
pub struct World {
    pub(super) index: Index,
    compiler: Compiler,
    endpoints: BTreeMap<SetKey, EndpointSet>,
    pub(super) doors: Table<Arc<Destination>, Arc<Destination>>,
    /// What tools are asked to find out whether they work.
    plans: BTreeMap<(ObjectKey, Probe), Plan>,
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
        let secrets: BTreeMap<SecretKey, Arc<Secret>> = known
            .filter_map(|(key, secret)| Some((key, Arc::new(secret?))))
            .collect();
        let plans = compiled.probes.into_iter().filter_map(|change| {
            let plan = secrets
                .get(&change.plan?)
                .and_then(|secret| Plan::from_secret(secret));
            Some(((change.object, change.probe), plan?))
        });
        let plans = plans.collect();
        for resource in compiled.upserts {
            match (resource.key, resource.body) {
                (ResourceKey::Endpoints(key), ResourceBody::Endpoints(set)) => {
                    endpoints.insert(key, set);
                }
                (_, ResourceBody::FeatureFlags(flags)) => doors.connectors.switch(&flags),
                (
                    _,
                    ResourceBody::Endpoints(_)
                    | ResourceBody::Blob(_)
                    | ResourceBody::Chunk(_)
                    | ResourceBody::Secret(_)
                    | ResourceBody::Policy(_)
                    | ResourceBody::Entry(_)
                    | ResourceBody::Revision(_),
                ) => {}
                (_, ResourceBody::Route(route)) => {
                    let plan = compiler.plan(&index, &route);
                    let taking = Arc::new(Destination::new(*route, &secrets).with_plan(plan));
                    doors.insert(&taking.route.matcher, Arc::clone(&taking));
                }
            }
        }
        Self {
            index,
            compiler,
            endpoints,
            doors,
            plans,
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

    /// Asks the API server; about a Secret only where a request for `target` would be sent with it. `switches` are those of
    /// Connectors.
    ///
    /// # Errors
    /// When it cannot be asked, or does not know the definitions.
    pub async fn from_kubernetes(client: &Client, target: &[u8], switches: Vec<Change>) -> Result<Self> {
        let mut changes = switches;
        changes.extend(fetch::published(client).await?);
        let named = named_secrets(target, &changes);
        fetch::beside(client, named, &mut changes).await?;
        Ok(Self::new(changes))
    }

    /// What a tool is asked, if it is.
    pub fn plan(&self, key: &ObjectKey, probe: Probe) -> Option<&Plan> {
        self.plans.get(&(key.clone(), probe))
    }

    pub fn verdict(&self, key: &ObjectKey) -> Option<&Verdict> {
        self.compiler.verdict(key)
    }

    pub(super) fn endpoints(&self, key: &SetKey) -> Option<&EndpointSet> {
        self.endpoints.get(key)
    }
}

/// The Secrets that a request may need: those of policies of objects that could take it, and those of the Connector that
/// it names.
fn named_secrets(target: &[u8], changes: &[Change]) -> Vec<Key> {
    let mut named = secrets_of_connector(target, changes);
    let objects = changes.iter().filter_map(|change| match change {
        Change::Reset(_, objects) => Some(objects),
        Change::Apply(_)
        | Change::Delete(..)
        | Change::Probed(..)
        | Change::Completed(..)
        | Change::Remembered(_)
        | Change::Refused { .. }
        | Change::Fetched(..) => None,
    });
    for object in objects.flatten() {
        let Object::Published(record) = object else {
            continue;
        };
        let spec = record.spec.as_ref().ok();
        let policies = spec.and_then(|spec| spec.policies.as_ref());
        let (Some(policies), Some(matcher)) = (policies, &record.matcher) else {
            continue;
        };
        if may_take(matcher, target) {
            let keys = policies.secrets.iter();
            named.extend(keys.map(|secret| (secret.namespace.clone(), secret.name.clone())));
        }
    }
    named.sort();
    named.dedup();
    named
}

/// By the beginning of the path; one too many costs a question.
fn may_take(matcher: &Matcher, target: &[u8]) -> bool {
    let target = String::from_utf8_lossy(target);
    let holds = |part: &str| target.contains(part);
    match matcher {
        Matcher::ReverseProxy { path, .. } => holds(path.trim_end_matches('*')),
        Matcher::ApiService { group, version } if group.is_empty() => holds(&format!("/kapi/{version}")),
        Matcher::ApiService { group, version } => holds(&format!("/kapis/{group}/{version}")),
        Matcher::Connector { namespace, name } => holds(namespace) && holds(name),
        Matcher::ConnectorClass { .. } => false,
    }
}

fn secrets_of_connector(target: &[u8], changes: &[Change]) -> Vec<Key> {
    let path = target.split(|byte| *byte == b'?').next().and_then(ApiPath::parse);
    let Some(path) = path else { return Vec::new() };
    let objects = changes.iter().filter_map(|change| match change {
        Change::Reset(_, objects) => Some(objects),
        Change::Apply(_)
        | Change::Delete(..)
        | Change::Probed(..)
        | Change::Completed(..)
        | Change::Remembered(_)
        | Change::Refused { .. }
        | Change::Fetched(..) => None,
    });
    let wanted = ObjectKey::connector(path.namespace, path.name);
    let record = objects.flatten().find_map(|object| {
        let Object::Published(record) = object else {
            return None;
        };
        (record.key == wanted).then_some(record)
    });
    let spec = record.and_then(|record| record.spec.as_ref().ok());
    let Some(Tool::Connector(spec)) = spec.map(|spec| &spec.tool) else {
        return Vec::new();
    };
    let reference = spec.auth.as_ref().and_then(|auth| auth.secret_ref.as_ref());
    let reference = reference.filter(|reference| reference.stays_in(path.namespace));
    let credential = reference.and_then(|reference| reference.named());
    let authorities = spec
        .ca_cert_secret_ref
        .as_ref()
        .map(|reference| reference.name.as_str());
    let named = credential
        .into_iter()
        .chain(authorities)
        .filter(|name| !name.is_empty());
    named
        .map(|name| (path.namespace.to_owned(), name.to_owned()))
        .collect()
}
