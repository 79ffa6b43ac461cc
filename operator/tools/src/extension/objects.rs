//! The objects that a command works on.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use genkan_compile::index::Change;
use genkan_compile::kinds::Tool;
use genkan_compile::object::{Key, Kind, Object};
use genkan_routing::model::ObjectKey;
use serde_json::Value;

use crate::directory::{self, Directory};
use crate::explain::fetch;
use crate::source::Source;

/// Everything that a source has, with the Secrets and ConfigMaps that extensions name, and the Secrets of `object`.
///
/// # Errors
/// When it cannot be read.
pub(super) fn of(
    source: &Source,
    kubeconfig: Option<&Path>,
    object: Option<&ObjectKey>,
) -> Result<Vec<Change>> {
    match source {
        Source::Directory(path) => {
            let (changes, problems) = Directory::new(path).read()?;
            for problem in problems {
                eprintln!("genkan: {}: {}", problem.file.display(), problem.message);
            }
            Ok(changes)
        }
        Source::Kubernetes => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.context("no thread can be started")?.block_on(async {
                let client = crate::cluster::client(kubeconfig).await?;
                let mut changes = fetch::published(&client).await?;
                let mut named = Vec::new();
                if let Some(record) = object.and_then(|key| record_of(&changes, key))
                    && let Ok(spec) = &record.spec
                {
                    let own = spec.policies.iter().flat_map(|policies| &policies.secrets);
                    named.extend(own.map(|one| (one.namespace.clone(), one.name.clone())));
                }
                fetch::beside(&client, named, &mut changes).await?;
                Ok(changes)
            })
        }
    }
}

fn record_of<'c>(changes: &'c [Change], key: &ObjectKey) -> Option<&'c genkan_compile::object::Record> {
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
    objects.flatten().find_map(|object| match object {
        Object::Published(record) => (record.key == *key).then_some(record),
        Object::Service(_)
        | Object::EndpointSlice(_)
        | Object::Pod(_)
        | Object::Secret(_)
        | Object::Flags(_)
        | Object::ConfigMap(_) => None,
    })
}

/// The objects of a file of manifests.
///
/// # Errors
/// When one of them cannot be read.
pub(super) fn in_file(path: &Path) -> Result<Vec<Object>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    let (documents, errors) = directory::documents(&text);
    if let Some(error) = errors.first() {
        return Err(anyhow!("{shown}: {error}"));
    }
    let mut objects = Vec::new();
    for (line, value) in documents {
        let object = read(value).map_err(|why| anyhow!("{shown}: the document at line {line}: {why}"))?;
        objects.extend(object);
    }
    Ok(objects)
}

/// An object as an API server would give it; `None`: genkan does not know its kind.
pub(super) fn read(mut value: Value) -> Result<Option<Object>, String> {
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let Some(kind) = Kind::of(text("apiVersion"), text("kind")) else {
        return Ok(None);
    };
    let title = format!(
        "{} {}",
        kind.name(),
        value["metadata"]["name"].as_str().unwrap_or_default()
    );
    if !value["metadata"]["name"].is_string() {
        return Err(format!(
            "metadata.name: is missing; give the {} a name",
            kind.name()
        ));
    }
    if kind.published().is_some() {
        value["metadata"]["uid"] = title.clone().into();
        value["metadata"]["generation"] = 1.into();
    }
    let object = Object::read(kind, value)?;
    if let Object::Published(record) = &object
        && let Err(problem) = &record.spec
    {
        return Err(format!("{title}: {problem}"));
    }
    Ok(Some(object))
}

/// An extension is looked at as if its roll-out were never held back.
pub(super) fn unheld(change: &mut Change, key: &Key) {
    let all: Box<dyn Iterator<Item = &mut Object>> = match change {
        Change::Reset(_, objects) => Box::new(objects.iter_mut()),
        Change::Apply(object) => Box::new(std::iter::once(&mut **object)),
        Change::Delete(..)
        | Change::Probed(..)
        | Change::Completed(..)
        | Change::Remembered(_)
        | Change::Refused { .. }
        | Change::Fetched(..) => return,
    };
    for object in all {
        if object.key() == *key
            && let Object::Published(record) = object
            && let Ok(spec) = &mut record.spec
            && let Tool::Extension(spec) = &mut spec.tool
        {
            spec.dry_run = None;
            spec.suspend = None;
            spec.rollback_to = None;
        }
    }
}
