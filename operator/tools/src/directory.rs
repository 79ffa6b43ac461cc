//! Objects from the YAML files of a directory, as an API server would give them.

mod file;
mod parse;

pub use parse::{documents, split};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use genkan_compile::index::Change;
use genkan_compile::object::{Kind, Object, Watched};

use file::{Digest, File, Id, digest, object_at};

/// What a directory held when it was last read. Digests tell what is new; contents are kept by the index alone.
#[derive(Debug, Default)]
pub struct Directory {
    path: PathBuf,
    files: BTreeMap<PathBuf, File>,
    /// Where each object stands; of several places the last one is used.
    places: BTreeMap<Id, BTreeSet<Place>>,
    /// The files with problems, and the objects with several places.
    faulty: BTreeSet<PathBuf>,
    contested: BTreeSet<Id>,
    /// The objects that were told of.
    told: BTreeMap<Id, Told>,
    /// What stands below is reached by other names as well.
    has_links: bool,
    was_read: bool,
}

/// A file, and the position among its entries.
type Place = (PathBuf, usize);

#[derive(Debug)]
struct Told {
    content: Digest,
    /// Rises with each edit.
    generation: i64,
}

/// Objects of files whose text is new.
type Fresh = HashMap<Place, Object>;

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
        let mut links = false;
        let found = list(&self.path, &mut links).map_err(|source| Unreadable {
            path: self.path.clone(),
            source,
        })?;
        self.has_links = links;
        let paths: BTreeSet<PathBuf> = found.into_iter().chain(self.files.keys().cloned()).collect();
        Ok(self.take(&paths))
    }

    /// Reads what stands at these paths, or stood there, and nothing else; or everything, where one of them may be reached
    /// by other names.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub fn read_again(
        &mut self,
        touched: &BTreeSet<PathBuf>,
    ) -> Result<(Vec<Change>, Vec<Problem>), Unreadable> {
        if self.has_links || !self.was_read {
            return self.read();
        }
        let mut paths = BTreeSet::new();
        for path in touched {
            let Ok(below) = path.strip_prefix(&self.path) else {
                return self.read();
            };
            if below.as_os_str().is_empty() || path.is_symlink() {
                return self.read();
            }
            if below.iter().any(is_hidden) {
                continue;
            }
            if path.is_dir() {
                let mut links = false;
                paths.extend(list(path, &mut links).unwrap_or_default());
                if links {
                    return self.read();
                }
            } else if is_manifest(path) {
                paths.insert(path.clone());
            }
            // What a folder held that is gone, or was renamed.
            let known = self.files.range(path.clone()..).map(|(known, _)| known);
            paths.extend(known.take_while(|known| known.starts_with(path)).cloned());
        }
        Ok(self.take(&paths))
    }

    fn take(&mut self, paths: &BTreeSet<PathBuf>) -> (Vec<Change>, Vec<Problem>) {
        let (mut fresh, mut concerned) = (Fresh::new(), BTreeSet::new());
        for path in paths {
            let before = self.files.get(path);
            match look(path, before) {
                Look::Same => {}
                Look::New(file, objects) => {
                    let objects = objects.into_iter().enumerate();
                    fresh.extend(objects.map(|(at, object)| ((path.clone(), at), object)));
                    self.replace(path, Some(file), &mut concerned);
                }
                Look::Gone => self.replace(path, None, &mut concerned),
            }
        }
        let changes = self.changes(fresh, concerned);
        (changes, self.problems())
    }

    /// Puts a file in place of what stood there, and notes which objects that concerns.
    fn replace(&mut self, path: &Path, file: Option<File>, concerned: &mut BTreeSet<Id>) {
        for (at, entry) in self
            .files
            .remove(path)
            .into_iter()
            .flat_map(|file| file.entries)
            .enumerate()
        {
            if let Some(places) = self.places.get_mut(&entry.id) {
                places.remove(&(path.to_owned(), at));
            }
            concerned.insert(entry.id);
        }
        self.faulty.remove(path);
        let Some(file) = file else { return };
        for (at, entry) in file.entries.iter().enumerate() {
            let places = self.places.entry(entry.id.clone()).or_default();
            places.insert((path.to_owned(), at));
            concerned.insert(entry.id.clone());
        }
        if !file.problems.is_empty() {
            self.faulty.insert(path.to_owned());
        }
        self.files.insert(path.to_owned(), file);
    }

    fn changes(&mut self, mut fresh: Fresh, concerned: BTreeSet<Id>) -> Vec<Change> {
        let (mut gone, mut objects) = (Vec::new(), Vec::new());
        for id in concerned {
            let places = self.places.get(&id);
            if places.is_some_and(|places| places.len() > 1) {
                self.contested.insert(id.clone());
            } else {
                self.contested.remove(&id);
            }
            let Some((path, at)) = places.and_then(BTreeSet::last) else {
                self.places.remove(&id);
                if self.told.remove(&id).is_some() {
                    gone.push(Change::Delete(id.0, id.1));
                }
                continue;
            };
            let content = self.files[path].entries[*at].content;
            let before = self.told.get(&id);
            if before.is_some_and(|before| before.content == content) {
                continue;
            }
            let generation = before.map_or(1, |before| before.generation + 1);
            let object = fresh
                .remove(&(path.clone(), *at))
                .or_else(|| object_at(path, *at));
            // Else the file has changed since a moment ago: the next reading will tell. Until then nothing has.
            if let Some(mut object) = object {
                match &mut object {
                    Object::Published(record) => record.generation = generation,
                    Object::Service(_)
                    | Object::EndpointSlice(_)
                    | Object::Pod(_)
                    | Object::Secret(_)
                    | Object::Flags(_)
                    | Object::ConfigMap(_) => {}
                }
                objects.push(object);
                self.told.insert(id, Told { content, generation });
            }
        }
        if std::mem::replace(&mut self.was_read, true) {
            let changed = objects.into_iter().map(|object| Change::Apply(Box::new(object)));
            return gone.into_iter().chain(changed).collect();
        }
        let mut lists: BTreeMap<Kind, Vec<Object>> = Kind::all()
            .chain([Watched::Secret, Watched::ConfigMap].map(Kind::Watched))
            .map(|kind| (kind, Vec::new()))
            .collect();
        for object in objects {
            lists.entry(object.kind()).or_default().push(object);
        }
        let lists = lists.into_iter();
        let lists = lists.map(|(kind, objects)| Change::Reset(kind, objects));
        // Nothing is kept beside a folder.
        [Change::Remembered(BTreeMap::new())]
            .into_iter()
            .chain(lists)
            .collect()
    }

    fn problems(&self) -> Vec<Problem> {
        let faulty = self.faulty.iter().flat_map(|path| {
            let problems = self.files[path].problems.iter();
            problems.map(|message| Problem {
                file: path.clone(),
                message: message.clone(),
            })
        });
        let contested = self.contested.iter().flat_map(|id| {
            let (kind, (_, name)) = id;
            let places = &self.places[id];
            let pairs = places.iter().zip(places.iter().skip(1));
            pairs.map(move |((first, _), (file, _))| Problem {
                file: file.clone(),
                message: format!(
                    "{} {name} is in {} as well; this one is used",
                    kind.name(),
                    first.display()
                ),
            })
        });
        faulty.chain(contested).collect()
    }
}

/// What a look at a file shows.
enum Look {
    Same,
    New(File, Vec<Object>),
    Gone,
}

fn look(path: &Path, before: Option<&File>) -> Look {
    let entries = || before.map(|file| file.entries.clone()).unwrap_or_default();
    match std::fs::read_to_string(path) {
        Ok(text) => match before {
            Some(before) if before.text == Some(digest(text.as_bytes())) => Look::Same,
            _ => {
                let (file, objects) = File::read(path, &text, entries());
                Look::New(file, objects)
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Look::Gone,
        Err(error) => {
            let file = File {
                text: None,
                entries: entries(),
                problems: vec![format!("cannot be read: {error}")],
            };
            Look::New(file, Vec::new())
        }
    }
}

/// Below the folder, in the order of their names; hidden ones are left out.
pub fn yaml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    list(folder, &mut false)
}

/// `has_links` becomes true where one of them, or a folder among them, is reached through a symbolic link.
fn list(folder: &Path, has_links: &mut bool) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if is_hidden(&entry.file_name()) {
            continue;
        }
        *has_links |= entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if path.is_dir() {
            files.extend(list(&path, has_links).unwrap_or_default());
        } else if is_manifest(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
}

#[cfg(test)]
mod tests;
