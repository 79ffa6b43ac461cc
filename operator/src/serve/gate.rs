//! The door of the stream: nothing of a call is read before its token has been accepted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use genkan_callers::decisions::{Answered, Cacheable};
use genkan_callers::{Decisions, Key, Keys, Limits, Owner, Unavailable};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tracing::warn;

use super::review::{Account, Identity, Refusal, TokenReviewer, judge};
use super::token::Token;
use crate::input::Pods;
use crate::metrics::Metrics;

mod caller;
mod layer;

pub use caller::Caller;
pub use layer::{GateLayer, Guarded};

/// How long an answer of the API server is believed.
const LIMITS: Limits = Limits {
    allow: Duration::from_secs(60),
    deny: Duration::from_secs(10),
    stale: Duration::ZERO,
    most: ENTRIES,
    // Nothing is known of who calls until it is decided: all of them are one owner.
    most_of_one_owner: ENTRIES,
};
const ENTRIES: usize = 4096;
const EVERYBODY: Owner = 0;
/// Reviews at a time, and how long a call waits for its turn.
const REVIEWS: usize = 32;
const TURN: Duration = Duration::from_secs(1);
/// One line for each reason in this time: strangers do not fill the log.
const QUIET: Duration = Duration::from_secs(1);

/// Lets in who has a token of the data plane's ServiceAccount, of our audience, bound to a Pod.
pub struct Gate {
    reviewer: Box<dyn TokenReviewer>,
    account: Account,
    /// By keyed hash: a table of tokens would be worth stealing.
    decisions: Arc<Decisions<Judged>>,
    keys: Keys,
    turns: Semaphore,
    pods: watch::Receiver<Pods>,
    metrics: Arc<Metrics>,
    told: Mutex<HashMap<&'static str, Instant>>,
}

/// What is remembered of a token.
#[derive(Clone, Debug)]
struct Judged(Result<Identity, Refusal>);

impl Cacheable for Judged {
    fn is_allow(&self) -> bool {
        self.0.is_ok()
    }
}

// === impl Gate ===

impl Gate {
    pub fn new(
        reviewer: impl TokenReviewer,
        account: Account,
        pods: watch::Receiver<Pods>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            reviewer: Box::new(reviewer),
            account,
            decisions: Arc::new(Decisions::new(LIMITS)),
            keys: Keys::default(),
            turns: Semaphore::new(REVIEWS),
            pods,
            metrics,
            told: Mutex::default(),
        })
    }

    /// Who calls.
    ///
    /// # Errors
    /// When nobody may know that there is anything behind this door.
    pub async fn admit(self: &Arc<Self>, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else {
            return Err(match headers.contains_key(AUTHORIZATION) {
                true => Refusal::Malformed,
                false => Refusal::NoToken,
            });
        };
        let token = value
            .to_str()
            .ok()
            .and_then(Token::read)
            .ok_or(Refusal::Malformed)?;
        let key = self.key(&token);
        let known = self.decisions.known(&key, Instant::now(), false);
        let judged = match known {
            Some(known) => known.verdict,
            None => {
                let (this, token) = (Arc::clone(self), token.clone());
                let review = || async move { this.ask(&token).await };
                let asked = self.decisions.ask(key, EVERYBODY, review).await;
                asked.map_err(Refusal::from)?
            }
        };
        let identity = judged.0?;
        Ok(Caller {
            identity,
            token,
            gate: Arc::clone(self),
        })
    }

    /// Counts a refusal, and tells of it unless too many were told of lately.
    pub fn refused(&self, refusal: &Refusal, path: &str, peer: &str) {
        self.metrics.refused(refusal.reason());
        if self.may_tell(refusal.reason()) {
            warn!(peer, path = %path.escape_debug(), reason = refusal.reason(), "call refused: {refusal}");
        }
    }

    /// Asks the API server, if it is this token's turn. Errors are not to be remembered.
    async fn ask(&self, token: &Token) -> Result<Answered<Judged>, Unavailable> {
        let turn = tokio::time::timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Unavailable::Busy);
        };
        let status = self.reviewer.review(token.clone()).await.map_err(|why| {
            if self.may_tell("review") {
                warn!(%why, "a TokenReview failed; proxies that are connected stay so");
            }
            Unavailable::Away(why.into())
        })?;
        let left = left(token);
        let result = match judge(&status, &self.account) {
            Ok(_) if left.is_some_and(|left| left.is_zero()) => Err(Refusal::Expired),
            result => result,
        };
        if let Err(refusal) = &result
            && let Some(said) = &status.error
            && self.may_tell("answer")
        {
            let said: String = said.chars().take(300).collect();
            warn!(reason = refusal.reason(), api_server = %said.escape_debug(), "token not accepted");
        }
        let ends_in = if result.is_ok() { left } else { None };
        let verdict = Judged(result);
        Ok(Answered { verdict, ends_in })
    }

    fn may_tell(&self, what: &'static str) -> bool {
        let (mut told, now) = (self.told.lock(), Instant::now());
        let is_new = told.get(what).is_none_or(|at| now.duration_since(*at) >= QUIET);
        if is_new {
            told.insert(what, now);
        }
        is_new
    }

    fn key(&self, token: &Token) -> Key {
        self.keys.of([token.text().as_bytes()])
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// How long a token is good for; nothing if it does not say.
fn left(token: &Token) -> Option<Duration> {
    let left = token.expires()? - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

#[cfg(test)]
pub(super) mod tests;
