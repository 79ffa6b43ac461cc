//! Tokens that servers grant to the clients of connector classes: fetched once, used until shortly before they end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_probe::Answer;
use genkan_routing::connectors::{Client as Holder, TokenId};
use genkan_routing::model::TokenSource;
use parking_lot::RwLock;
use serde::Deserialize;
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

/// What a server says, as much of it as is used.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: serde_json::Value,
    error: Option<String>,
}

/// One request for a token, both ways of naming the client included.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server that grants nothing is asked again after this.
const REST: Duration = Duration::from_secs(2);
/// Of a token whose server does not say how long it is good.
const USUAL: Duration = Duration::from_secs(300);
/// It is not used for the last tenth of its time, nor for more than this.
const MOST_SKEW: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A token that a tool refuses is fetched again, but not more often than this.
const LEAST_AGE: Duration = Duration::from_secs(10);
const MOST_KEPT: usize = 4096;
const LONGEST_ERROR: usize = 40;

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
                message: says(source, &format!("no answer within {} s", PATIENCE.as_secs())),
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
        if !in_body && matches!(answer.status, 400 | 401) {
            // RFC 6749, 2.3.1: some servers read the client in the body alone.
            in_body = true;
            answer = self.ask(source, client, in_body).await?;
        }
        let body = Zeroizing::new(answer.body);
        let said: Said = serde_json::from_str(&body).unwrap_or_default();
        let problem = |what: String| {
            Err(Problem {
                message: says(source, &what),
                is_late: false,
            })
        };
        if answer.status != 200 {
            let error = said.error.filter(|error| is_word(error));
            let error = error.map_or_else(String::new, |error| format!(" ({error})"));
            return problem(format!("it answers {}{error}", answer.status));
        }
        let is_bearer = said.token_type.as_deref();
        if !is_bearer.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return problem("its token is of another type than Bearer".to_owned());
        }
        match said.access_token.map(Zeroizing::new) {
            Some(token) if is_token(&token) => {
                slot.in_body.store(in_body, Ordering::Relaxed);
                Ok((token, lifetime(&said.expires_in)))
            }
            Some(_) => problem("its token is one that no header takes".to_owned()),
            None => problem("its answer holds no access_token".to_owned()),
        }
    }

    async fn ask(&self, source: &TokenSource, client: Holder<'_>, in_body: bool) -> Result<Answer, Problem> {
        let mut body = Zeroizing::new(b"grant_type=client_credentials".to_vec());
        let mut field = |name: &[u8], value: &[u8]| {
            body.extend_from_slice(b"&");
            body.extend_from_slice(name);
            body.extend_from_slice(b"=");
            body.extend_from_slice(&escaped(value));
        };
        if !source.scopes.is_empty() {
            field(b"scope", source.scopes.join(" ").as_bytes());
        }
        let mut headers = vec![
            ("Accept".to_owned(), "application/json".to_owned()),
            (
                "Content-Type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ),
        ];
        if in_body {
            field(b"client_id", client.id);
            field(b"client_secret", client.secret);
        } else {
            let pair = Zeroizing::new([&escaped(client.id)[..], b":", &escaped(client.secret)].concat());
            headers.push((
                "Authorization".to_owned(),
                format!("Basic {}", STANDARD.encode(&*pair)),
            ));
        }
        let asked = Asked {
            method: "POST",
            url: &source.url,
            headers: &headers,
            body: &body,
            authorities: source.authorities.as_deref(),
            skips_verification: false,
        };
        let answer = self.server.ask(&asked).await;
        answer.map_err(|what| Problem {
            message: says(source, &what),
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

fn says(source: &TokenSource, what: &str) -> String {
    let shown = source.url.split(['?', '#']).next().unwrap_or_default();
    format!("{shown} grants no token: {what}")
}

/// Seconds, as a number or, as some write it, as text.
fn lifetime(said: &serde_json::Value) -> Duration {
    let seconds = said.as_f64();
    let seconds = seconds.or_else(|| said.as_str().and_then(|text| text.parse().ok()));
    seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .map_or(USUAL, |time| time.min(LONGEST))
}

fn usable(lifetime: Duration) -> Duration {
    lifetime - (lifetime / 10).min(MOST_SKEW)
}

/// RFC 6750, 2.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A word of RFC 6749, 5.2, and nothing that a server would like people to read.
fn is_word(error: &str) -> bool {
    let is_of_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    error.len() <= LONGEST_ERROR && !error.is_empty() && error.bytes().all(is_of_word)
}

/// All but unreserved characters.
fn escaped(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(3 * value.len()));
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests;
