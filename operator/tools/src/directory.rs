//! Objects from the YAML files of a directory, as an API server would give them.

mod parse;

pub use parse::{documents, split};

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracing::debug;

use genkan_compile::index::Change;
use genkan_compile::named::{is_label, is_subdomain};
use genkan_compile::object::{Key, Kind, Object, Watched, key_of};
use genkan_compile::sentence::bounded;

/// Bytes of a wrong name that are repeated.
const MAX_QUOTED: usize = 64;

/// What a directory held when it was last read. Digests tell what is new; contents are kept by the index alone.
#[derive(Debug, Default)]
pub struct Directory {
    path: PathBuf,
    files: BTreeMap<PathBuf, File>,
    /// The objects that were told of.
    told: BTreeMap<(Kind, Key), Told>,
    was_read: bool,
}

/// One file, as it was when its text was last new.
#[derive(Debug)]
struct File {
    text: Option<Digest>,
    entries: Vec<Entry>,
    problems: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    id: (Kind, Key),
    content: Digest,
}

#[derive(Debug)]
struct Told {
    content: Digest,
    /// Rises with each edit.
    generation: i64,
}

type Digest = [u8; 32];

/// Objects of files whose text is new, by file and position among its entries.
type Fresh = HashMap<(PathBuf, usize), Object>;

/// Something in the folder that could not be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    pub message: String,
}

/// The folder itself is not there, or not to be read.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be read: {source}")]
pub struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

// === impl Directory ===

impl Directory {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// Reads every file. Returns what changed, the first time a full list for each kind, and what could not be read: a
    /// file that is no YAML keeps what it held before, and everything else is not concerned.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub fn read(&mut self) -> Result<(Vec<Change>, Vec<Problem>), Unreadable> {
        let paths = yaml_files(&self.path).map_err(|source| Unreadable {
            path: self.path.clone(),
            source,
        })?;
        let mut fresh = Fresh::new();
        let mut found = BTreeMap::new();
        for path in paths {
            let before = self.files.remove(&path);
            let file = match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let digest = Some(digest(text.as_bytes()));
                    match before {
                        Some(before) if before.text == digest => before,
                        before => File::read(&path, &text, before, &mut fresh),
                    }
                }
                // Gone between the listing and now: so is what it held.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => File {
                    text: None,
                    entries: before.map(|before| before.entries).unwrap_or_default(),
                    problems: vec![format!("cannot be read: {e}")],
                },
            };
            found.insert(path, file);
        }
        self.files = found;
        let mut problems = Vec::new();
        for (path, file) in &self.files {
            problems.extend(file.problems.iter().map(|message| Problem {
                file: path.clone(),
                message: message.clone(),
            }));
        }
        let changes = self.changes(fresh, &mut problems);
        Ok((changes, problems))
    }

    /// Where each object stands; of several with one name the last one is used.
    fn standing(&self, problems: &mut Vec<Problem>) -> BTreeMap<(Kind, Key), (&PathBuf, usize)> {
        let mut standing: BTreeMap<(Kind, Key), (&PathBuf, usize)> = BTreeMap::new();
        for (path, file) in &self.files {
            for (at, entry) in file.entries.iter().enumerate() {
                if let Some((first, _)) = standing.insert(entry.id.clone(), (path, at)) {
                    let (kind, (_, name)) = &entry.id;
                    let first = first.display();
                    problems.push(Problem {
                        file: path.clone(),
                        message: format!("{} {name} is in {first} as well; this one is used", kind.name()),
                    });
                }
            }
        }
        standing
    }

    fn changes(&mut self, mut fresh: Fresh, problems: &mut Vec<Problem>) -> Vec<Change> {
        let mut told = std::mem::take(&mut self.told);
        let mut now = BTreeMap::new();
        let mut objects = Vec::new();
        for (id, (path, at)) in self.standing(problems) {
            let content = self.files[path].entries[at].content;
            let before = told.remove(&id);
            let generation = match &before {
                Some(before) if before.content == content => before.generation,
                Some(before) => before.generation + 1,
                None => 1,
            };
            if before.as_ref().is_none_or(|before| before.content != content) {
                let object = fresh.remove(&(path.clone(), at)).or_else(|| reread(path, at));
                let Some(mut object) = object else {
                    // The file has changed since a moment ago: the next reading will tell. Until then nothing has.
                    now.extend(before.map(|before| (id, before)));
                    continue;
                };
                match &mut object {
                    Object::Published(record) => record.generation = generation,
                    Object::Service(_) | Object::EndpointSlice(_) | Object::Pod(_) => {}
                }
                objects.push(object);
            }
            now.insert(id, Told { content, generation });
        }
        self.told = now;
        if std::mem::replace(&mut self.was_read, true) {
            let gone = told.into_keys().map(|(kind, key)| Change::Delete(kind, key));
            let changed = objects.into_iter().map(|object| Change::Apply(Box::new(object)));
            return gone.chain(changed).collect();
        }
        let mut lists: BTreeMap<Kind, Vec<Object>> = Kind::all().map(|kind| (kind, Vec::new())).collect();
        for object in objects {
            lists.entry(object.kind()).or_default().push(object);
        }
        lists
            .into_iter()
            .map(|(kind, objects)| Change::Reset(kind, objects))
            .collect()
    }
}

// === impl File ===

impl File {
    fn read(path: &Path, text: &str, before: Option<Self>, fresh: &mut Fresh) -> Self {
        let (documents, problems) = parse::documents(text);
        let mut file = Self {
            text: Some(digest(text.as_bytes())),
            entries: Vec::new(),
            problems,
        };
        if let Some(before) = before.filter(|_| !file.problems.is_empty()) {
            file.entries = before.entries;
            return file;
        }
        for (line, value) in documents {
            let (api_version, name) = (value["apiVersion"].as_str(), value["kind"].as_str());
            let Some(kind) = Kind::of(api_version.unwrap_or_default(), name.unwrap_or_default()) else {
                debug!(file = %path.display(), line, kind = ?name, "not a kind of genkan, left out");
                continue;
            };
            match object(kind, value) {
                Ok((object, entry)) => {
                    fresh.insert((path.to_owned(), file.entries.len()), object);
                    file.entries.push(entry);
                }
                Err(message) => file
                    .problems
                    .push(format!("the document at line {line}: {message}")),
            }
        }
        file
    }
}

/// An object that is in force again because another one of its name has gone.
fn reread(path: &Path, at: usize) -> Option<Object> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut fresh = Fresh::new();
    File::read(path, &text, None, &mut fresh);
    fresh.remove(&(path.to_owned(), at))
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

fn digest(bytes: &[u8]) -> Digest {
    *blake3::hash(bytes).as_bytes()
}

/// Below the folder, in the order of their names; hidden ones are left out.
pub fn yaml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_none_or(|n| n.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            files.extend(yaml_files(&path).unwrap_or_default());
        } else if path
            .extension()
            .is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
