//! Tokens that servers grant to the clients of connector classes: fetched once, used until shortly before they end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use genkan_probe::{Answer, token};
use genkan_routing::connectors::{Client as Holder, TokenId};
use genkan_routing::model::TokenSource;
use parking_lot::RwLock;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::client::{Asked, Client};

/// The tokens of this process.
#[derive(Debug)]
pub struct Tokens {
    server: Box<dyn Server>,
    known: RwLock<HashMap<TokenId, Arc<Slot>>>,
}

/// A token, and which it is.
#[derive(Clone)]
pub struct Granted {
    pub text: Arc<Zeroizing<String>>,
    pub id: TokenId,
}

/// Why there is none. The message holds no credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    pub message: String,
    /// The server said nothing in time.
    pub is_late: bool,
}

/// What answers a request for a token.
#[async_trait]
pub trait Server: Send + Sync + std::fmt::Debug {
    /// # Errors
    /// Why there is no answer; one sentence.
    async fn ask(&self, asked: &Asked<'_>) -> Result<Answer, String>;
}

#[derive(Debug, Default)]
struct Slot {
    held: RwLock<Option<Held>>,
    /// Who has it asks; all others wait for what comes of it.
    turn: tokio::sync::Mutex<()>,
    /// The server reads the client in the body alone.
    in_body: AtomicBool,
}

#[derive(Clone)]
struct Held {
    outcome: Result<Arc<Zeroizing<String>>, Problem>,
    since: Instant,
    until: Instant,
}

/// One request for a token, both ways of naming the client included.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server that grants nothing is asked again after this.
const REST: Duration = Duration::from_secs(2);
/// It is not used for the last tenth of its time, nor for more than this.
const MOST_SKEW: Duration = Duration::from_secs(30);
/// A token that a tool refuses is fetched again, but not more often than this.
const LEAST_AGE: Duration = Duration::from_secs(10);
const MOST_KEPT: usize = 4096;

// === impl Tokens ===

impl Tokens {
    pub fn new(client: Arc<Client>) -> Self {
        Self::of(Box::new(client))
    }

    fn of(server: Box<dyn Server>) -> Self {
        Self {
            server,
            known: RwLock::default(),
        }
    }

    /// The token of a client. Nothing is waited for while it is known.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self, source: &TokenSource, client: Holder<'_>) -> Result<Granted, Problem> {
        let id = id(source, client);
        let granted = |text: Arc<Zeroizing<String>>| Granted { text, id };
        let slot = self.slot(id);
        if let Some(held) = slot.current() {
            return held.outcome.map(granted);
        }
        let _turn = slot.turn.lock().await;
        if let Some(held) = slot.current() {
            return held.outcome.map(granted);
        }
        let fetched = tokio::time::timeout(PATIENCE, self.fetch(source, client, &slot)).await;
        let fetched = fetched.unwrap_or_else(|_| {
            Err(Problem {
                message: token::refused(source, &format!("no answer within {} s", PATIENCE.as_secs())),
                is_late: true,
            })
        });
        let since = Instant::now();
        let (outcome, time) = match fetched {
            Ok((text, lifetime)) => (Ok(Arc::new(text)), usable(lifetime)),
            Err(problem) => (Err(problem), REST),
        };
        *slot.held.write() = Some(Held {
            outcome: outcome.clone(),
            since,
            until: since + time,
        });
        outcome.map(granted)
    }

    /// A tool refused it: whoever comes next gets another.
    pub fn refuse(&self, id: &TokenId) {
        let slot = self.known.read().get(id).map(Arc::clone);
        if let Some(slot) = slot {
            let mut held = slot.held.write();
            if held
                .as_ref()
                .is_some_and(|held| held.since.elapsed() >= LEAST_AGE)
            {
                *held = None;
            }
        }
    }

    fn slot(&self, id: TokenId) -> Arc<Slot> {
        if let Some(slot) = self.known.read().get(&id) {
            return Arc::clone(slot);
        }
        let mut known = self.known.write();
        if known.len() >= MOST_KEPT {
            known.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.current().is_some());
        }
        if known.len() >= MOST_KEPT {
            known.clear();
        }
        Arc::clone(known.entry(id).or_default())
    }

    async fn fetch(
        &self,
        source: &TokenSource,
        client: Holder<'_>,
        slot: &Slot,
    ) -> Result<(Zeroizing<String>, Duration), Problem> {
        let mut in_body = slot.in_body.load(Ordering::Relaxed);
        let mut answer = self.ask(source, client, in_body).await?;
        if !in_body && token::reads_body_alone(&answer) {
            in_body = true;
            answer = self.ask(source, client, in_body).await?;
        }
        let granted = token::granted(source, answer).map_err(|message| Problem {
            message,
            is_late: false,
        })?;
        slot.in_body.store(in_body, Ordering::Relaxed);
        Ok(granted)
    }

    async fn ask(&self, source: &TokenSource, client: Holder<'_>, in_body: bool) -> Result<Answer, Problem> {
        let request = token::Request::new(source, client, in_body);
        let asked = Asked {
            method: "POST",
            url: &source.url,
            headers: &request.headers,
            body: &request.body,
            authorities: source.authorities.as_deref(),
            beside_roots: false,
            skips_verification: false,
        };
        let answer = self.server.ask(&asked).await;
        answer.map_err(|what| Problem {
            message: token::refused(source, &what),
            is_late: false,
        })
    }
}

#[async_trait]
impl Server for Arc<Client> {
    async fn ask(&self, asked: &Asked<'_>) -> Result<Answer, String> {
        Client::ask(self, asked).await
    }
}

// === impl Slot ===

impl Slot {
    fn current(&self) -> Option<Held> {
        let held = self.held.read();
        held.as_ref().filter(|held| Instant::now() < held.until).cloned()
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held(..)")
    }
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Granted(..)")
    }
}

/// Everything that a token depends on, so that whatever changes asks for another.
fn id(source: &TokenSource, client: Holder<'_>) -> TokenId {
    let mut hash = blake3::Hasher::new();
    let authorities = source.authorities.as_deref().unwrap_or_default();
    let scopes = source.scopes.join(" ");
    for part in [
        source.url.as_bytes(),
        scopes.as_bytes(),
        authorities.as_bytes(),
        client.id,
        client.secret,
    ] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn usable(lifetime: Duration) -> Duration {
    lifetime - (lifetime / 10).min(MOST_SKEW)
}

#[cfg(test)]
mod tests;
