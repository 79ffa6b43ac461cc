use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use genkan_proto::v1alpha1::{Resource, Snapshot};
use genkan_proto::{Hash, MAX_FRAME, SnapshotError, compress, decompress};
use genkan_routing::model::policy::ActiveRevisions;
use prost::Message;

use super::record::{FORMAT, Next, Origin, Record, frame, next};
use super::{LastKnownGood, Terms, Update, active};

/// The file: everything, and behind it the changes to it, until they are as large.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    origin: Origin,
    /// What the file holds; `None`: nothing that may be continued.
    held: Option<Hash>,
    /// Bytes of the file that are good.
    length: u64,
    /// The same when it held no changes.
    full: u64,
    /// Held for the life of the process: two that write to one file would break it.
    lock: Option<File>,
}

/// Why a file is not served.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is of another format, or no such file at all")]
    Format,
    #[error("it is broken")]
    Broken,
    #[error("it came from {0}, and --operator is another one")]
    Operator(String),
    #[error("what it says was last confirmed {0} s ago or ahead, more than --state-max-age")]
    Age(u64),
}

/// Why something could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{path}: {source}", path = .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("another process keeps its own in this folder")]
    Shared,
    #[error("a change does not continue what the file holds")]
    Gap,
    #[error("the file has changed: {0}")]
    Changed(#[source] ReadError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// What the records of a file come to.
struct Replayed {
    resources: BTreeMap<String, Bytes>,
    hash: Hash,
    at: u64,
    /// Bytes up to the end of the last whole record, and of the first.
    length: u64,
    full: u64,
}

const NAME: &str = "configuration";
/// A file that is larger is none of ours.
const MOST: u64 = 6 * MAX_FRAME as u64;
/// Changes that are always kept as such.
const SLACK: u64 = 64 << 10;

// === impl Journal ===

impl Journal {
    /// Reads the file of this folder; what comes later is written behind it, or in its place.
    pub fn open(folder: &Path, terms: &Terms, now: u64) -> (Self, Result<Option<LastKnownGood>, ReadError>) {
        let mut this = Self {
            path: folder.join(NAME),
            origin: Origin::of(&terms.operator),
            held: None,
            length: 0,
            full: 0,
            lock: lock(folder),
        };
        let kept = this.read(terms, now);
        (this, kept)
    }

    fn read(&mut self, terms: &Terms, now: u64) -> Result<Option<LastKnownGood>, ReadError> {
        let replayed = match replay(&self.path, &self.origin) {
            Ok(replayed) => replayed,
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // A clock that was set back makes a file as doubtful as a long time does.
        let age = replayed.at.abs_diff(now);
        if age >= terms.max_age.as_secs() {
            return Err(ReadError::Age(age));
        }
        self.held = Some(replayed.hash);
        (self.length, self.full) = (replayed.length, replayed.full);
        Ok(Some(LastKnownGood {
            upserts: replayed.resources.into_values().collect(),
            hash: replayed.hash,
            active: self.read_active(),
            at: replayed.at,
        }))
    }

    fn read_active(&self) -> ActiveRevisions {
        active::read(self.folder()).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was active of extensions is ignored");
            ActiveRevisions::default()
        })
    }

    /// Writes what is active of extensions.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn write_active(&self, active: &ActiveRevisions) -> Result<(), WriteError> {
        if self.lock.is_none() {
            return Err(WriteError::Shared);
        }
        active::write(self.folder(), active).map_err(|source| self.problem(source))
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Whether no other process keeps its own in this folder.
    pub fn may_write(&self) -> bool {
        self.lock.is_some()
    }

    /// Writes what has changed, in the order in which it came into force.
    ///
    /// # Errors
    /// When that is not possible; the file keeps what it held, and is continued only by everything.
    pub fn write(&mut self, updates: &[Update], now: u64, is_confirmed: bool) -> Result<(), WriteError> {
        if self.lock.is_none() {
            return Err(WriteError::Shared);
        }
        let held = self.held.take();
        self.held = self.write_behind(held, updates, now, is_confirmed)?;
        Ok(())
    }

    fn write_behind(
        &mut self,
        mut held: Option<Hash>,
        updates: &[Update],
        now: u64,
        is_confirmed: bool,
    ) -> Result<Option<Hash>, WriteError> {
        let mut bytes = Vec::new();
        let is_new = updates.first().is_some_and(|update| update.base.is_none());
        for update in updates {
            if update.base.is_some() && update.base != held {
                return Err(WriteError::Gap);
            }
            held = Some(update.hash);
            let update = update.clone();
            frame(&mut bytes, &Record::Update { at: now, update }.encode());
        }
        if held.is_none() {
            return Ok(None);
        }
        if updates.is_empty() && is_confirmed {
            frame(&mut bytes, &Record::Confirmed { at: now }.encode());
        }
        if is_new {
            self.begin(&bytes).map_err(|source| self.problem(source))?;
        } else {
            self.append(&bytes).map_err(|source| self.problem(source))?;
        }
        if self.length > 2 * self.full + SLACK {
            self.compact(now)?;
        }
        Ok(held)
    }

    fn problem(&self, source: io::Error) -> WriteError {
        WriteError::Io {
            path: self.path.clone(),
            source,
        }
    }

    /// Another file in the place of this one, at once: whoever reads sees the one or the other.
    fn begin(&mut self, records: &[u8]) -> io::Result<()> {
        let unfinished = self.path.with_extension("unfinished");
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        let mut start = FORMAT.to_vec();
        frame(&mut start, &serde_json::to_vec(&self.origin)?);
        file.write_all(&start)?;
        file.write_all(records)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.length = (start.len() + records.len()) as u64;
        self.full = self.length;
        Ok(())
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        // Whatever a process left behind that ended while it wrote.
        file.set_len(self.length)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(records)?;
        file.sync_data()?;
        self.length += records.len() as u64;
        Ok(())
    }

    /// One record in the place of all. It is made of the file: nobody holds the bytes of everything in memory for this.
    fn compact(&mut self, now: u64) -> Result<(), WriteError> {
        let replayed = replay(&self.path, &self.origin).map_err(WriteError::Changed)?;
        let everything = compress(&Snapshot {
            upserts: replayed.resources.into_values().collect(),
            removals: Vec::new(),
        })?;
        let update = Update {
            base: None,
            hash: replayed.hash,
            frame: everything,
        };
        let mut bytes = Vec::new();
        frame(&mut bytes, &Record::Update { at: now, update }.encode());
        self.begin(&bytes).map_err(|source| self.problem(source))
    }
}

fn lock(folder: &Path) -> Option<File> {
    let options = File::options().write(true).create(true).truncate(false).clone();
    let file = options.open(folder.join(NAME).with_extension("lock")).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

fn replay(path: &Path, origin: &Origin) -> Result<Replayed, ReadError> {
    if std::fs::metadata(path)?.len() > MOST {
        return Err(ReadError::Format);
    }
    let all = Bytes::from(std::fs::read(path)?);
    let size = all.len();
    if !all.starts_with(FORMAT) {
        return Err(ReadError::Format);
    }
    let mut rest = all.slice(FORMAT.len()..);
    let Next::Record(first) = next(&mut rest) else {
        return Err(ReadError::Broken);
    };
    let written: Origin = serde_json::from_slice(&first).map_err(|_| ReadError::Format)?;
    if written.protocol != origin.protocol {
        return Err(ReadError::Format);
    }
    if written.operator != origin.operator {
        return Err(ReadError::Operator(written.operator));
    }
    let mut replayed: Option<Replayed> = None;
    loop {
        let payload = match next(&mut rest) {
            Next::Record(payload) => payload,
            Next::End | Next::Torn => return replayed.ok_or(ReadError::Broken),
            Next::Broken => return Err(ReadError::Broken),
        };
        let end = (size - rest.len()) as u64;
        let record = Record::decode(payload).ok_or(ReadError::Broken)?;
        replayed = Some(advance(replayed, record, end).ok_or(ReadError::Broken)?);
    }
}

/// `end`: of the record within the file. `None` when it does not continue what was there.
fn advance(before: Option<Replayed>, record: Record, end: u64) -> Option<Replayed> {
    let (at, update) = match record {
        Record::Update { at, update } => (at, update),
        Record::Confirmed { at } => {
            let before = before?;
            return Some(Replayed {
                at,
                length: end,
                ..before
            });
        }
    };
    let Snapshot { upserts, removals } = decompress(&update.frame).ok()?;
    let mut after = match update.base {
        None => Replayed {
            resources: BTreeMap::new(),
            hash: update.hash,
            at,
            length: end,
            full: end,
        },
        Some(base) => before.filter(|before| before.hash == base)?,
    };
    for key in removals {
        after.resources.remove(&key);
    }
    for bytes in upserts {
        let key = Resource::decode(bytes.clone()).ok()?.key;
        after.resources.insert(key, bytes);
    }
    Some(Replayed {
        hash: update.hash,
        at,
        length: end,
        ..after
    })
}

#[cfg(test)]
mod tests;
