//! Where the bytes of archives and files are.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use genkan_crds::gateway::{ConfigMapSource, GatewayExtensionSpec, SecretSource, Source, UrlSource};
use genkan_extensions::status::Unresolved;
use genkan_extensions::{Reason, Refused};
use genkan_routing::quantity::duration;
use zeroize::Zeroizing;

use super::reading::{Problem, invalid};
use crate::fetched::{Fetch, Fetched};
use crate::index::Index;
use crate::object::{Key, MapState, SecretState};

/// Where nobody says how long it may take.
const FETCH_WITHIN: Duration = Duration::from_secs(30);
const LONGEST_FETCH: Duration = Duration::from_secs(600);

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
    if let Some(url) = &source.url {
        return of_server(url, field, spec, index);
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

/// The files of web servers that an extension names. Those whose Secrets are not known yet are not among them.
pub(super) fn fetches(spec: &GatewayExtensionSpec, index: &Index) -> Vec<Fetch> {
    let archive = spec.archive.as_ref().map(|archive| &archive.source);
    let entries = spec.entries.iter().flat_map(|entry| {
        let files = entry.files.as_ref().and_then(|files| files.source.as_ref());
        files.into_iter().chain(entry.source.as_ref())
    });
    let urls = archive
        .into_iter()
        .chain(entries)
        .filter_map(|source| source.url.as_ref());
    urls.filter_map(|url| fetch(url, "", spec, index).ok()).collect()
}

fn of_server(
    url: &UrlSource,
    field: &str,
    spec: &GatewayExtensionSpec,
    index: &Index,
) -> Result<Vec<u8>, Problem> {
    let no = |reason: &str, message: String| {
        Err(Problem::Unresolved(Unresolved {
            reason: reason.to_owned(),
            message,
        }))
    };
    if !index.fetches {
        let message = format!(
            "{field}.url: nothing is fetched from web servers; set extensions.urlSources of the chart, or put the file into a \
             ConfigMap"
        );
        return no("RefNotPermitted", message);
    }
    match index.fetched.get(&fetch(url, field, spec, index)?) {
        Some(Fetched::Found(bytes)) => Ok(bytes.to_vec()),
        Some(Fetched::Another(got)) => Err(Problem::Refused(Refused {
            reason: Reason::DigestMismatch,
            message: match field.starts_with("spec.archive") {
                true => format!("archive: sha256 is {got}, expected {}", url.sha256),
                false => format!("{field}.url: sha256 is {got}, expected {}", url.sha256),
            },
        })),
        Some(Fetched::Failed(problem)) => no("SourceUnreachable", problem.clone()),
        None => Err(Problem::Pending),
    }
}

fn fetch(url: &UrlSource, field: &str, spec: &GatewayExtensionSpec, index: &Index) -> Result<Fetch, Problem> {
    let value = |alias: &Option<String>, key: &str| -> Result<Option<Vec<u8>>, Problem> {
        let Some(alias) = alias else { return Ok(None) };
        let named = spec.secrets.iter().find(|one| one.alias == *alias);
        let own = named.and_then(|named| named.key.clone());
        let source = SecretSource {
            alias: alias.clone(),
            key: Some(own.unwrap_or_else(|| key.to_owned())),
            keys: Vec::new(),
        };
        of_secret(&source, &format!("{field}.url"), spec, index).map(Some)
    };
    let authorization = value(&url.authorization, "authorization")?;
    let timeout = url.timeout.as_deref().and_then(duration);
    Ok(Fetch {
        url: url.url.clone(),
        sha256: url.sha256.clone(),
        authorities: value(&url.ca, "ca.crt")?,
        authorization: authorization
            .map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes).trim().to_owned())),
        timeout: timeout.unwrap_or(FETCH_WITHIN).min(LONGEST_FETCH),
    })
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
