//! What an API server has.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use genkan_compile::Compiler;
use genkan_compile::index::{Change, Dirty, Index};
use genkan_compile::kinds::{self, Tool};
use genkan_compile::object::{HeldMap, HeldSecret, Key, Kind, MapState, Object, SecretState, Watched};
use genkan_routing::model::Published;
use kube::Client;
use kube::api::ListParams;

use crate::resource;

/// Everything that is published, and the Services behind it.
///
/// # Errors
/// When the API server cannot be asked, or does not know the definitions.
pub(crate) async fn published(client: &Client) -> Result<Vec<Change>> {
    // What the operator keeps of extensions is nobody's to read.
    let mut changes = vec![Change::Remembered(BTreeMap::new())];
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
    Ok(changes)
}

/// Adds Secrets, and the Secrets and ConfigMaps that extensions name. What may not be read is told, and stays unknown.
///
/// # Errors
/// When an object is none.
pub(crate) async fn beside(client: &Client, mut secrets: Vec<Key>, changes: &mut Vec<Change>) -> Result<()> {
    let (mut index, mut dirty) = (Index::default(), Dirty::default());
    changes
        .iter()
        .for_each(|change| index.take(change.clone(), &mut dirty));
    let maps = Compiler::default().compile(&index, &dirty).wanted_maps;
    for record in index.published.values() {
        if let Ok(spec) = &record.spec
            && let Tool::Extension(spec) = &spec.tool
        {
            let named = spec.secrets.iter();
            secrets.extend(named.map(|one| (one.namespace.clone(), one.name.clone())));
        }
    }
    let secrets: BTreeSet<Key> = secrets.into_iter().collect();
    let secrets = secrets.into_iter().map(|key| (Watched::Secret, key));
    let maps = maps.into_iter().filter(|(_, is_wanted)| *is_wanted);
    for (watched, (namespace, name)) in secrets.chain(maps.map(|(key, _)| (Watched::ConfigMap, key))) {
        let kind = Kind::Watched(watched);
        let api = resource::api(client, &resource::of(kind), &namespace);
        match api.get_opt(&name).await {
            Ok(Some(found)) => match Object::read(kind, serde_json::to_value(found)?) {
                Ok(object) => changes.push(Change::Apply(Box::new(object))),
                Err(problem) => eprintln!("genkan: {problem}"),
            },
            Ok(None) => {
                let missing = match watched {
                    Watched::ConfigMap => Object::ConfigMap(HeldMap {
                        namespace,
                        name,
                        state: MapState::Missing,
                    }),
                    Watched::Secret | Watched::Service | Watched::EndpointSlice | Watched::Pod => {
                        Object::Secret(HeldSecret {
                            namespace,
                            name,
                            state: SecretState::Missing,
                        })
                    }
                };
                changes.push(Change::Apply(Box::new(missing)));
            }
            Err(error) => eprintln!(
                "genkan: {} {namespace}/{name} cannot be read here: {error}",
                kind.name()
            ),
        }
    }
    Ok(())
}
