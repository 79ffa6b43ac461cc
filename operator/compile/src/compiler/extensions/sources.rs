//! Where the bytes of archives and files are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use genkan_crds::gateway::{ConfigMapSource, GatewayExtensionSpec, SecretSource, Source};
use genkan_extensions::status::Unresolved;

use super::reading::{Problem, invalid};
use crate::index::Index;
use crate::object::{Key, MapState, SecretState};

/// The ConfigMaps that an extension names.
pub(super) fn config_maps(spec: &GatewayExtensionSpec) -> Vec<Key> {
    let archive = spec.archive.as_ref().map(|archive| &archive.source);
    let entries = spec.entries.iter().flat_map(|entry| {
        let files = entry.files.as_ref().and_then(|files| files.source.as_ref());
        files.into_iter().chain(entry.source.as_ref())
    });
    let maps = archive
        .into_iter()
        .chain(entries)
        .filter_map(|source| source.config_map.as_ref());
    maps.flat_map(|map| {
        let keys = map.keys.iter();
        let others = keys.map(|key| place(map, key).0);
        std::iter::once((map.namespace.clone(), map.name.clone())).chain(others)
    })
    .collect()
}

/// The ConfigMap and the key in it. `MAP/KEY` is of another one of the namespace, because one holds a mebibyte at most.
fn place<'k>(map: &ConfigMapSource, key: &'k str) -> (Key, &'k str) {
    let (name, key) = key.split_once('/').unwrap_or((&map.name, key));
    ((map.namespace.clone(), name.to_owned()), key)
}

/// The bytes of a source. `field`: where it stands.
pub(super) fn bytes(
    source: &Source,
    field: &str,
    spec: &GatewayExtensionSpec,
    index: &Index,
) -> Result<Vec<u8>, Problem> {
    if let Some(inline) = &source.inline {
        return match (&inline.text, &inline.base64) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(text)) => {
                let packed: String = text.split_ascii_whitespace().collect();
                let bytes = STANDARD.decode(packed);
                bytes.map_err(|_| {
                    Problem::Refused(invalid(format!("{field}.inline.base64: it is not in base64")))
                })
            }
            _ => Err(Problem::Refused(invalid(format!(
                "{field}.inline: exactly one of text and base64 is needed"
            )))),
        };
    }
    if let Some(map) = &source.config_map {
        return of_map(map, index);
    }
    if let Some(secret) = &source.secret {
        return of_secret(secret, field, spec, index);
    }
    if source.url.is_some() {
        return Err(Problem::Unresolved(Unresolved {
            reason: "RefNotPermitted".to_owned(),
            message: format!("{field}.url: this operator fetches nothing; put the file into a ConfigMap"),
        }));
    }
    Err(Problem::Refused(invalid(format!(
        "{field}: exactly one of inline, configMap, secret and url is needed"
    ))))
}

fn of_map(map: &ConfigMapSource, index: &Index) -> Result<Vec<u8>, Problem> {
    let no = |reason: &str, message: String| {
        Err(Problem::Unresolved(Unresolved {
            reason: reason.to_owned(),
            message,
        }))
    };
    let mut all = Vec::new();
    for key in map.key.iter().chain(&map.keys) {
        let (at, key) = place(map, key);
        let title = format!("ConfigMap {}/{}", at.0, at.1);
        let values = match index.config_map(&at) {
            Some(MapState::Found(values)) => values,
            Some(MapState::Missing) => return no("SourceNotFound", format!("{title} does not exist")),
            Some(MapState::NotPermitted) => {
                let message = format!(
                    "{title} may not be read by genkan; add its namespace to extensions.sourceNamespaces of the chart"
                );
                return no("RefNotPermitted", message);
            }
            None => return Err(Problem::Pending),
        };
        match values.get(key) {
            Some(part) => all.extend_from_slice(part),
            None => return no("SourceNotFound", format!("{title} has no key {key}")),
        }
    }
    Ok(all)
}

fn of_secret(
    source: &SecretSource,
    field: &str,
    spec: &GatewayExtensionSpec,
    index: &Index,
) -> Result<Vec<u8>, Problem> {
    let Some(alias) = spec.secrets.iter().find(|one| one.alias == source.alias) else {
        return Err(Problem::Refused(invalid(format!(
            "{field}.secret.alias: {} is none of spec.secrets",
            source.alias
        ))));
    };
    let title = format!("Secret {}/{}", alias.namespace, alias.name);
    let no = |reason: &str, message: String| {
        Err(Problem::Unresolved(Unresolved {
            reason: reason.to_owned(),
            message,
        }))
    };
    let secret = match index.secret(&(alias.namespace.clone(), alias.name.clone())) {
        Some(SecretState::Found { secret, .. }) => secret,
        Some(SecretState::Missing) => return no("SecretNotFound", format!("{title} does not exist")),
        Some(SecretState::NotPermitted) => {
            let message = format!(
                "{title} may not be read by genkan; add its namespace to extensions.secretNamespaces of the chart"
            );
            return no("RefNotPermitted", message);
        }
        None => return Err(Problem::Pending),
    };
    let own = source.key.iter().chain(&source.keys);
    let named: Vec<&String> = own
        .chain(
            alias
                .key
                .iter()
                .filter(|_| source.keys.is_empty() && source.key.is_none()),
        )
        .collect();
    if named.is_empty() {
        return Err(Problem::Refused(invalid(format!(
            "{field}.secret: a key is needed"
        ))));
    }
    let mut all = Vec::new();
    for key in named {
        match secret.data.get(key) {
            Some(part) => all.extend_from_slice(part),
            None => return no("SourceNotFound", format!("{title} has no key {key}")),
        }
    }
    Ok(all)
}
