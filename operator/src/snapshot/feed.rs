use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use genkan_proto::codec::SealedSecret;
use genkan_proto::v1alpha1::Snapshot;
use genkan_proto::{Hash, MAX_CHUNK, SnapshotError, compress};
use genkan_routing::model::ObjectKey;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::{Difference, Resources};

/// What the engine compiled, and what streams take of it. Bytes are encoded and compressed once, however many streams send them.
#[derive(Debug)]
pub struct Feed {
    resources: Mutex<Resources>,
    version: watch::Sender<Option<Version>>,
    made: tokio::sync::Mutex<VecDeque<Arc<Push>>>,
    everything: tokio::sync::Mutex<Option<Arc<Push>>>,
    /// For those who are sent everything.
    admitted: Semaphore,
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub sequence: u64,
    pub hash: Hash,
}

/// One message to proxies, cut into chunks.
#[derive(Debug)]
pub struct Push {
    /// What a proxy holds when it has taken this.
    pub version: Version,
    /// What it must hold before; `None`: nothing.
    pub base: Option<Hash>,
    pub scope: Scope,
    pub chunks: Vec<Bytes>,
    /// The values that it names, for those who may have them.
    pub secrets: Vec<Arc<SealedSecret>>,
}

/// Which objects a push says something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Everything,
    Only(Vec<ObjectKey>),
}

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The work was given up because the process ends.
    #[error("the operator ends")]
    Ending,
}

/// So many may be taking everything at the same time: after a restart all proxies come at once.
const ADMITTED: usize = 4;
/// Changes that are kept ready; proxies that are not far apart share them.
const READY: usize = 8;

// === impl Feed ===

impl Default for Feed {
    fn default() -> Self {
        Self {
            resources: Mutex::default(),
            version: watch::Sender::default(),
            made: tokio::sync::Mutex::default(),
            everything: tokio::sync::Mutex::default(),
            admitted: Semaphore::new(ADMITTED),
        }
    }
}

impl Feed {
    /// For whoever compiles; nobody is told before [`Feed::publish`].
    pub fn resources(&self) -> MutexGuard<'_, Resources> {
        self.resources.lock()
    }

    /// Tells the streams what there is now.
    pub fn publish(&self) -> Version {
        let version = {
            let mut resources = self.resources.lock();
            Version {
                sequence: resources.sequence(),
                hash: resources.hash(),
            }
        };
        self.version.send_replace(Some(version));
        version
    }

    /// Whether anything was published.
    pub fn has_begun(&self) -> bool {
        self.version.borrow().is_some()
    }

    /// Changes when something else is published; `None` before the first time.
    pub fn version(&self) -> watch::Receiver<Option<Version>> {
        self.version.subscribe()
    }

    /// A turn to be sent everything; it ends when the permit is dropped.
    pub async fn admit(&self) -> Option<SemaphorePermit<'_>> {
        self.admitted.acquire().await.ok()
    }

    /// Whether a proxy that holds `base` can be told what it lacks.
    pub fn knows(&self, base: &Hash) -> bool {
        let mut resources = self.resources.lock();
        resources.hash() == *base || resources.history.knows(base)
    }

    /// What leads from `base` to the present, or everything.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub async fn push(&self, base: Option<Hash>) -> Result<Arc<Push>, FeedError> {
        match base.filter(|base| self.knows(base)) {
            Some(base) => self.change(base).await,
            None => self.everything().await,
        }
    }

    async fn change(&self, base: Hash) -> Result<Arc<Push>, FeedError> {
        let mut made = self.made.lock().await;
        let (version, difference) = self.difference(Some(base));
        let is_it = |push: &&Arc<Push>| push.base == Some(base) && push.version == version;
        if let Some(push) = made.iter().find(is_it) {
            return Ok(Arc::clone(push));
        }
        let push = make(version, difference).await?;
        made.push_front(Arc::clone(&push));
        made.truncate(READY);
        Ok(push)
    }

    /// One that was made before serves as long as what came after it can be told, and is not what somebody begins with.
    async fn everything(&self) -> Result<Arc<Push>, FeedError> {
        let mut everything = self.everything.lock().await;
        let serves = |push: &&Arc<Push>| self.resources.lock().can_begin_with(&push.version.hash);
        if let Some(push) = everything.as_ref().filter(serves) {
            return Ok(Arc::clone(push));
        }
        let (version, difference) = self.difference(None);
        let push = make(version, difference).await?;
        *everything = Some(Arc::clone(&push));
        Ok(push)
    }

    fn difference(&self, base: Option<Hash>) -> (Version, Difference) {
        let mut resources = self.resources.lock();
        let version = Version {
            sequence: resources.sequence(),
            hash: resources.hash(),
        };
        (version, resources.difference(base))
    }
}

/// Large ones take a while, and the other tasks of this worker are streams.
async fn make(version: Version, difference: Difference) -> Result<Arc<Push>, FeedError> {
    if difference.base.is_some() {
        return Ok(Arc::new(Push::new(version, difference)?));
    }
    let made = tokio::task::spawn_blocking(move || Push::new(version, difference));
    Ok(Arc::new(made.await.map_err(|_| FeedError::Ending)??))
}

// === impl Push ===

impl Push {
    fn new(version: Version, difference: Difference) -> Result<Self, SnapshotError> {
        let Difference {
            base,
            upserts,
            removals,
            keys,
            secrets,
        } = difference;
        let scope = match base {
            None => Scope::Everything,
            Some(_) => Scope::Only(keys.iter().filter_map(|key| key.parse().ok()).collect()),
        };
        let frame = compress(&Snapshot { upserts, removals })?;
        let chunks = (0..frame.len().max(1))
            .step_by(MAX_CHUNK)
            .map(|from| frame.slice(from..frame.len().min(from + MAX_CHUNK)))
            .collect();
        Ok(Self {
            version,
            base,
            scope,
            chunks,
            secrets,
        })
    }
}
