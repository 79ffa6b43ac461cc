use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::super::review::{Identity, Refusal};
use super::super::token::Token;
use super::{ALLOW, Answer, Gate, left};

/// A stream's first review comes soon: the one at its beginning may have been answered from a cache, ours or that of
/// the API server.
pub(super) const FIRST: Duration = Duration::from_secs(30);
pub(super) const AGAIN: Duration = Duration::from_secs(600);

/// Who opened a stream, and the right by which it stays open.
#[derive(Clone, Debug)]
pub struct Caller {
    pub identity: Identity,
    pub(super) token: Token,
    pub(super) gate: Arc<Gate>,
}

// === impl Caller ===

impl Caller {
    /// Returns when the stream has to end, and why.
    pub async fn lapse(&self) -> Refusal {
        let gate = &self.gate;
        let mut pods = gate.pods.clone();
        let mut seen = pods.borrow_and_update().contains(&self.identity.uid);
        let end = left(&self.token).map(|left| Instant::now() + left);
        let mut next = Instant::now() + FIRST;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end.unwrap_or(next)), if end.is_some() => return Refusal::Expired,
                Ok(()) = pods.changed() => {
                    let exists = pods.borrow_and_update().contains(&self.identity.uid);
                    if seen && !exists {
                        return self.bury().await;
                    }
                    seen |= exists;
                }
                () = tokio::time::sleep_until(next) => match self.review().await {
                    Ok(()) => next = Instant::now() + AGAIN.mul_f64(rand::rng().random_range(0.8..1.2)),
                    Err(refusal) if refusal.is_passing() => next = Instant::now() + FIRST,
                    Err(refusal) => return refusal,
                }
            }
        }
    }

    /// Asks again, whatever is remembered.
    async fn review(&self) -> Result<(), Refusal> {
        let answer = self.gate.ask(&self.token).await?;
        self.gate
            .cache
            .insert(self.gate.hash(&self.token), answer.clone())
            .await;
        match answer.result? {
            identity if identity == self.identity => Ok(()),
            _ => Err(Refusal::Rejected),
        }
    }

    /// The API server may take the token of a deleted Pod for good a little longer; we know better.
    async fn bury(&self) -> Refusal {
        let refusal = Refusal::PodGone(self.identity.pod.clone());
        let answer = Answer {
            result: Err(refusal.clone()),
            fresh: ALLOW,
        };
        self.gate.cache.insert(self.gate.hash(&self.token), answer).await;
        refusal
    }
}
