//! One file of a directory.

use std::path::Path;

use serde_json::Value;
use tracing::debug;

use genkan_compile::named::{is_label, is_subdomain};
use genkan_compile::object::{Key, Kind, Object, Watched, key_of};
use genkan_compile::sentence::bounded;

use super::parse;

/// Bytes of a wrong name that are repeated.
const MAX_QUOTED: usize = 64;

/// One file, as it was when its text was last new.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) text: Option<Digest>,
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) content: Digest,
}

pub(super) type Id = (Kind, Key);
pub(super) type Digest = [u8; 32];

// === impl File ===

impl File {
    /// What a text holds: objects stand beside their entries. A text that is no YAML keeps the entries of before.
    pub(super) fn read(path: &Path, text: &str, before: Vec<Entry>) -> (Self, Vec<Object>) {
        let mut objects = Vec::new();
        let (documents, problems) = parse::documents(text);
        let mut file = Self {
            text: Some(digest(text.as_bytes())),
            entries: Vec::new(),
            problems,
        };
        if !file.problems.is_empty() && !before.is_empty() {
            file.entries = before;
            return (file, objects);
        }
        for (line, value) in documents {
            let (api_version, name) = (value["apiVersion"].as_str(), value["kind"].as_str());
            let Some(kind) = Kind::of(api_version.unwrap_or_default(), name.unwrap_or_default()) else {
                debug!(file = %path.display(), line, kind = ?name, "not a kind of genkan, left out");
                continue;
            };
            match object(kind, value) {
                Ok((object, entry)) => {
                    objects.push(object);
                    file.entries.push(entry);
                }
                Err(message) => file
                    .problems
                    .push(format!("the document at line {line}: {message}")),
            }
        }
        (file, objects)
    }
}

/// One object of a file that is as it was.
pub(super) fn object_at(path: &Path, at: usize) -> Option<Object> {
    let text = std::fs::read_to_string(path).ok()?;
    File::read(path, &text, Vec::new()).1.into_iter().nth(at)
}

/// Reads an object as the API server would give it: with a valid name, and a uid.
fn object(kind: Kind, mut value: Value) -> Result<(Object, Entry), String> {
    let is_published = kind.published().is_some();
    names(kind, &value, is_published)?;
    if is_published && let Some(object) = value.as_object_mut() {
        // Status belongs to genkan, whatever the author wrote.
        object.remove("status");
    }
    let content = digest(value.to_string().as_bytes());
    if is_published {
        let name = key_of(&value).1;
        value["metadata"]["uid"] = format!("{}/{name}", kind.name()).into();
    }
    let object = Object::read(kind, value)?;
    let id = (kind, object.key());
    Ok((object, Entry { id, content }))
}

fn names(kind: Kind, value: &Value, is_published: bool) -> Result<(), String> {
    let (namespace, name) = key_of(value);
    let title = kind.name();
    if name.is_empty() {
        return Err(format!("metadata.name: is missing; give the {title} a name"));
    }
    let is_valid = if kind == Kind::Watched(Watched::Service) {
        is_label
    } else {
        is_subdomain
    };
    if !is_valid(&name) {
        return Err(format!(
            "metadata.name: {:?} is no name of a {title}; use lower-case letters, digits and - between them{}",
            bounded(name, MAX_QUOTED),
            if kind == Kind::Watched(Watched::Service) {
                ", 63 at most"
            } else {
                ", with dots between words, 253 at most"
            }
        ));
    }
    if !is_published && !namespace.is_empty() && !is_label(&namespace) {
        return Err(format!(
            "metadata.namespace: {:?} is no namespace; use lower-case letters, digits and - between them, 63 at most",
            bounded(namespace, MAX_QUOTED)
        ));
    }
    Ok(())
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    *blake3::hash(bytes).as_bytes()
}
