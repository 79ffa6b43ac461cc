use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::super::review::{Identity, Refusal};
use super::super::token::Token;
use super::{EVERYBODY, Gate, Judged, LIMITS, left};

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
                        return self.bury();
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
        let gate = &self.gate;
        let answered = gate.ask(&self.token).await.map_err(Refusal::from)?;
        let judged = answered.verdict.clone();
        gate.decisions.put(gate.key(&self.token), EVERYBODY, answered);
        match judged.0? {
            identity if identity == self.identity => Ok(()),
            _ => Err(Refusal::Rejected),
        }
    }

    /// The API server may take the token of a deleted Pod for good a little longer; we know better.
    fn bury(&self) -> Refusal {
        let refusal = Refusal::PodGone(self.identity.pod.clone());
        let (gate, verdict) = (&self.gate, Judged(Err(refusal.clone())));
        gate.decisions
            .put_for(gate.key(&self.token), EVERYBODY, verdict, LIMITS.allow);
        refusal
    }
}
