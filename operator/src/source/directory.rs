//! Objects from the YAML files of a directory, read again whenever one changes.

mod parse;

pub use parse::split;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{RecursiveMode, Watcher};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::engine::Input;
use crate::index::Change;
use crate::object::{Key, Kind, Object, key_of};

/// Editors and `cp` touch a file several times; this is how long the folder must be quiet.
const QUIET: Duration = Duration::from_millis(5);
/// A file that is written without a pause is read all the same.
const LONGEST: Duration = Duration::from_millis(200);
/// How often a folder that has gone is looked for.
const AGAIN: Duration = Duration::from_millis(500);

/// What a directory held when it was last read.
#[derive(Debug, Default)]
pub struct Directory {
    path: PathBuf,
    /// The last documents of each file that could be read.
    files: BTreeMap<PathBuf, Vec<Value>>,
    /// Generation and content of each object, to tell an edit from an echo.
    generations: BTreeMap<(Kind, Key), (i64, Value)>,
}

/// Something in the folder that could not be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    pub message: String,
}

#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} cannot be watched for changes: {source}")]
    Watch { path: PathBuf, source: notify::Error },
}

// === impl Directory ===

impl Directory {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// Reads every file. Returns a full list for each kind, and what could not be read: a file that is no YAML keeps
    /// what it held before, and everything else is not concerned.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub fn read(&mut self) -> Result<(Vec<Change>, Vec<Problem>), DirectoryError> {
        let mut problems = Vec::new();
        let mut found = BTreeMap::new();
        for path in yaml_files(&self.path).map_err(|source| DirectoryError::Read {
            path: self.path.clone(),
            source,
        })? {
            let documents = match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let (documents, errors) = parse::documents(&text);
                    let broken = !errors.is_empty();
                    problems.extend(errors.into_iter().map(|message| Problem {
                        file: path.clone(),
                        message,
                    }));
                    match self.files.get(&path) {
                        Some(before) if broken => before.clone(),
                        _ => documents,
                    }
                }
                // Gone between the listing and now: so is what it held.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => {
                    problems.push(Problem {
                        file: path.clone(),
                        message: format!("cannot be read: {e}"),
                    });
                    self.files.get(&path).cloned().unwrap_or_default()
                }
            };
            found.insert(path, documents);
        }
        self.files = found;
        Ok((self.changes(&mut problems), problems))
    }

    fn changes(&mut self, problems: &mut Vec<Problem>) -> Vec<Change> {
        let mut lists: BTreeMap<Kind, Vec<Object>> =
            Kind::ALL.into_iter().map(|kind| (kind, Vec::new())).collect();
        let mut seen = BTreeMap::new();
        for (file, documents) in self.files.clone() {
            for value in documents {
                let (api_version, name) = (value["apiVersion"].as_str(), value["kind"].as_str());
                let Some(kind) = Kind::of(api_version.unwrap_or_default(), name.unwrap_or_default()) else {
                    debug!(file = %file.display(), kind = name.unwrap_or_default(), "not a kind of genkan, left out");
                    continue;
                };
                let key = key_of(&value);
                if let Some(first) = seen.insert((kind, key.clone()), file.clone()) {
                    let message = format!(
                        "{} {} is in {} as well; this one is used",
                        kind.name(),
                        key.1,
                        first.display()
                    );
                    problems.push(Problem {
                        file: file.clone(),
                        message,
                    });
                    lists.entry(kind).or_default().retain(|o| o.key() != key);
                }
                match Object::read(kind, self.dress(kind, &key, value)) {
                    Ok(object) => lists.entry(kind).or_default().push(object),
                    Err(message) => problems.push(Problem {
                        file: file.clone(),
                        message,
                    }),
                }
            }
        }
        self.generations.retain(|key, _| seen.contains_key(key));
        lists
            .into_iter()
            .map(|(kind, objects)| Change::Reset(kind, objects))
            .collect()
    }

    /// Gives an object what the API server would: a uid, and a generation that rises with each edit.
    fn dress(&mut self, kind: Kind, key: &Key, mut value: Value) -> Value {
        if kind.published().is_some() && value["metadata"].is_object() {
            if let Some(object) = value.as_object_mut() {
                // Status belongs to genkan, whatever the author wrote.
                object.remove("status");
            }
        } else {
            return value;
        }
        let content = value.clone();
        let generation = match self.generations.get(&(kind, key.clone())) {
            Some((generation, before)) if *before == content => *generation,
            Some((generation, _)) => generation + 1,
            None => 1,
        };
        self.generations
            .insert((kind, key.clone()), (generation, content));
        value["metadata"]["uid"] = format!("{}/{}", kind.name(), key.1).into();
        value["metadata"]["generation"] = generation.into();
        value
    }
}

/// Reads the directory, and again on every change, until the engine is gone.
///
/// # Errors
/// When the folder cannot be read at the start, or not be watched.
pub async fn run(path: PathBuf, engine: mpsc::Sender<Input>) -> Result<(), DirectoryError> {
    let (signal, mut signals) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|e| !e.kind.is_access()) {
            // A signal that already waits says the same.
            let _ = signal.try_send(());
        }
    })
    .map_err(|source| DirectoryError::Watch {
        path: path.clone(),
        source,
    })?;
    watcher
        .watch(&path, RecursiveMode::Recursive)
        .map_err(|source| DirectoryError::Watch {
            path: path.clone(),
            source,
        })?;
    let mut directory = Directory::new(&path);
    let (changes, mut told) = directory.read()?;
    tell(&told, &[]);
    info!(path = %path.display(), "directory read");
    // The engine ends only with the process.
    let _ = engine.send(Input::Changes(changes)).await;
    let mut watched = identity(&path);
    loop {
        if watched.is_some() {
            if signals.recv().await.is_none() {
                break;
            }
            let end = Instant::now() + LONGEST;
            while Instant::now() < end && tokio::time::timeout(QUIET, signals.recv()).await.is_ok() {}
        } else {
            tokio::time::sleep(AGAIN).await;
        }
        let found = identity(&path);
        if found != watched {
            // Another folder stands there now, of which the watcher would hear nothing.
            let _ = watcher.unwatch(&path);
            watched = watcher.watch(&path, RecursiveMode::Recursive).ok().and(found);
            if watched.is_none() {
                warn!(path = %path.display(), "the folder has gone; what it held stays");
            }
        }
        if engine.is_closed() {
            break;
        }
        if watched.is_none() {
            continue;
        }
        match directory.read() {
            Ok((changes, problems)) => {
                tell(&problems, &told);
                told = problems;
                let _ = engine.send(Input::Changes(changes)).await;
            }
            Err(error) => warn!(%error, "directory not read; what it held stays"),
        }
    }
    Ok(())
}

/// Tells a folder from another one of the same name; the numbers alone are given to a successor at once.
fn identity(path: &Path) -> Option<(u64, u64, Option<SystemTime>)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

/// Logs the problems that are new.
fn tell(problems: &[Problem], before: &[Problem]) {
    for problem in problems.iter().filter(|p| !before.contains(p)) {
        warn!(file = %problem.file.display(), "{}", problem.message);
    }
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
