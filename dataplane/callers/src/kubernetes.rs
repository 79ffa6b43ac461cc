//! The small client of kube-apiserver: it asks who a token belongs to and who may do what, and nothing else.

mod review;
mod source;
mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use genkan_routing::access::Attributes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

pub use review::{AccessStatus, Subject, TokenStatus, UserInfo};
use review::{Review, read};
pub use source::{ClusterSource, SourceError};
use transport::{SendError, Transport};

/// The connection to the API server. Two connections at most, and one where it speaks HTTP/2.
#[derive(Debug)]
pub struct Kubernetes {
    source: ClusterSource,
    transport: ArcSwap<Transport>,
    /// Requests in flight for somebody who waits.
    waiting: Semaphore,
    /// Those about tokens: strangers come with as many as they like, and what known callers may do has to be asked.
    recognizing: Semaphore,
    /// Those that renew what is known: strangers in great number do not hold them up.
    renewing: Semaphore,
    is_multiplexed: AtomicBool,
    is_away: AtomicBool,
    /// When it was last tried whether the API server is back, in milliseconds since `start`.
    tried: AtomicU64,
    start: Instant,
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Token,
    Caller,
    Renewal,
}

/// No answer came, or none that can be used. Says nothing about the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The API server cannot be reached, or fails. What was known of a caller may stand in.
    #[error("{0}")]
    Away(Arc<str>),
    /// It is there, and its answer decides nothing.
    #[error("{0}")]
    Unclear(Arc<str>),
    /// It was not asked.
    #[error("too many questions wait for the API server")]
    Busy,
}

const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
/// For one answer, and for a turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// In flight on one connection that carries many; together with the same number less for renewals.
const CALLERS: usize = 16;
const TOKENS: usize = 12;
const RENEWALS: usize = 8;
/// In milliseconds.
const TRY_AGAIN: u64 = 1_000;

// === impl Unavailable ===

impl Unavailable {
    /// A yes of the past may stand in.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

// === impl Kubernetes ===

impl Kubernetes {
    /// # Errors
    /// One sentence when it is not known how the API server is reached.
    pub fn new(source: ClusterSource) -> Result<Self, SourceError> {
        let transport = Transport::new(source.load()?)?;
        Ok(Self {
            source,
            transport: ArcSwap::from_pointee(transport),
            // Over HTTP/1.1 each request in flight is a connection.
            waiting: Semaphore::new(1),
            recognizing: Semaphore::new(1),
            renewing: Semaphore::new(1),
            is_multiplexed: AtomicBool::new(false),
            is_away: AtomicBool::new(false),
            tried: AtomicU64::new(0),
            start: Instant::now(),
        })
    }

    /// Takes up what changed in the files of the credential; true if anything did.
    ///
    /// # Errors
    /// When a file cannot be used; then everything stays as it is.
    pub fn reload(&self) -> Result<bool, SourceError> {
        let material = self.source.load()?;
        if self.transport.load().is_made_of(&material) {
            return Ok(false);
        }
        self.transport.store(Arc::new(Transport::new(material)?));
        Ok(true)
    }

    /// Whether the last thing that was asked got no answer.
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Whether it makes sense to renew something: an API server that is away is tried once a second, not once for
    /// everything that is known.
    pub fn takes_renewals(&self) -> bool {
        if !self.is_away() {
            return true;
        }
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let tried = self.tried.load(Ordering::Relaxed);
        let is_time = now.saturating_sub(tried) >= TRY_AGAIN;
        is_time
            && self
                .tried
                .compare_exchange(tried, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Asks whom a token belongs to.
    ///
    /// # Errors
    /// When the API server gives no answer that can be used.
    pub async fn review_token(
        &self,
        lane: Lane,
        token: &str,
        audiences: &[String],
    ) -> Result<TokenStatus, Unavailable> {
        let body = encode(&Review::of_token(token, audiences))?;
        self.ask(lane, TOKEN_REVIEWS, body).await
    }

    /// Asks a question that `access_question` has written.
    ///
    /// # Errors
    /// When the API server gives no answer that can be used.
    pub async fn review_access(&self, lane: Lane, question: Bytes) -> Result<AccessStatus, Unavailable> {
        let status: AccessStatus = self.ask(lane, ACCESS_REVIEWS, question).await?;
        if !status.allowed && !status.evaluation_error.is_empty() {
            let problem = format!("the access review failed: {}", status.evaluation_error);
            return Err(Unavailable::Unclear(problem.into()));
        }
        Ok(status)
    }

    async fn ask<S: DeserializeOwned>(&self, lane: Lane, path: &str, body: Bytes) -> Result<S, Unavailable> {
        let answer = self.exchange(lane, path, body).await;
        let was_away = match &answer {
            Err(Unavailable::Away(_)) => self.is_away.swap(true, Ordering::Relaxed),
            Err(Unavailable::Busy) => true,
            Ok(_) | Err(Unavailable::Unclear(_)) => self.is_away.swap(false, Ordering::Relaxed),
        };
        match &answer {
            Err(error) if !was_away => tracing::warn!(%error, "the API server gives no answer"),
            Ok(_) if was_away => tracing::info!("the API server answers again"),
            _ => {}
        }
        read(&answer?).map_err(|error| {
            let problem = format!("the answer of the API server cannot be read: {error}");
            Unavailable::Unclear(problem.into())
        })
    }

    async fn exchange(&self, lane: Lane, path: &str, body: Bytes) -> Result<Bytes, Unavailable> {
        let _permit = timeout(PATIENCE, self.permit(lane))
            .await
            .map_err(|_| Unavailable::Busy)??;
        let transport = self.transport.load_full();
        let mut sent = transport.post(path, body.clone()).await;
        // A connection that its server had just closed is no reason to refuse anybody; a review may be repeated.
        if matches!(sent, Err(SendError::Broken(_))) {
            sent = transport.post(path, body).await;
        }
        let answer = sent.map_err(|error| match error {
            // It answers, and refuses to deal with us.
            SendError::Refused(400..=499, _) => Unavailable::Unclear(error.to_string().into()),
            error => Unavailable::Away(error.to_string().into()),
        })?;
        if answer.is_multiplexed && !self.is_multiplexed.swap(true, Ordering::Relaxed) {
            self.waiting.add_permits(CALLERS - 1);
            self.recognizing.add_permits(TOKENS - 1);
            self.renewing.add_permits(RENEWALS - 1);
        }
        Ok(answer.body)
    }

    async fn permit(&self, lane: Lane) -> Result<SemaphorePermit<'_>, Unavailable> {
        let semaphore = match lane {
            Lane::Token => &self.recognizing,
            Lane::Caller => &self.waiting,
            Lane::Renewal => &self.renewing,
        };
        let permit = semaphore.acquire().await;
        permit.map_err(|_| Unavailable::Busy)
    }
}

/// An access review as it is sent.
///
/// # Errors
/// Never in practice: everything in it is text.
pub fn access_question(subject: Subject<'_>, attributes: &Attributes<'_>) -> Result<Bytes, Unavailable> {
    encode(&Review::of_access(subject, attributes))
}

fn encode(review: &impl Serialize) -> Result<Bytes, Unavailable> {
    let bytes = serde_json::to_vec(review);
    bytes.map(Bytes::from).map_err(|error| {
        let problem = format!("the review cannot be written: {error}");
        Unavailable::Unclear(problem.into())
    })
}

/// An API server that is away.
#[cfg(test)]
pub(crate) fn away() -> Kubernetes {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let text = "{current-context: c, contexts: [{name: c, context: {cluster: c}}], \
                clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}";
    std::fs::write(&path, text).unwrap();
    Kubernetes::new(ClusterSource::Kubeconfig(path)).unwrap()
}
