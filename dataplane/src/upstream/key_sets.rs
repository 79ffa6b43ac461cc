//! Sets of public keys that policies verify with: fetched when somebody needs them, and kept while their server is away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use genkan_policies::{Unreachable, check_keys};
use genkan_probe::Answer;
use parking_lot::RwLock;
use tokio::time::Instant;

use super::client::{Asked, Client};

/// The sets of this process.
#[derive(Debug)]
pub struct KeySets {
    server: Box<dyn Server>,
    known: RwLock<HashMap<String, Arc<Slot>>>,
}

/// What answers a request for a set.
#[async_trait]
pub trait Server: Send + Sync + std::fmt::Debug {
    /// # Errors
    /// Why there is no answer; one sentence.
    async fn ask(&self, url: &str) -> Result<Answer, String>;
}

#[derive(Debug, Default)]
struct Slot {
    held: RwLock<Held>,
    /// Who has it asks; all others wait for what comes of it.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Held {
    text: Option<(Arc<[u8]>, Instant)>,
    /// When it was last asked for in vain, and what came of it.
    failed: Option<(Unreachable, Instant)>,
}

/// One request.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server that is away is asked again after this.
const REST: Duration = Duration::from_secs(5);
/// Keys of a server that is away are used for so long.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody needs so many; the oldest go.
const MOST_KEPT: usize = 1024;
/// Bytes of a set.
const LARGEST: usize = 256 << 10;

// === impl KeySets ===

impl KeySets {
    pub fn new(client: Arc<Client>) -> Self {
        Self::of(Box::new(client))
    }

    fn of(server: Box<dyn Server>) -> Self {
        Self {
            server,
            known: RwLock::default(),
        }
    }

    /// The text of a set that is not older than `max_age`, or, while its server is away, not older than a day.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self, url: &str, max_age: Option<Duration>) -> Result<Arc<[u8]>, Unreachable> {
        let slot = self.slot(url);
        if let Some(known) = slot.known(max_age) {
            return known;
        }
        let _turn = slot.turn.lock().await;
        if let Some(known) = slot.known(max_age) {
            return known;
        }
        let fetched = match tokio::time::timeout(PATIENCE, self.server.ask(url)).await {
            Ok(answer) => read(answer),
            Err(_) => Err(Unreachable {
                is_timeout: true,
                detail: format!("no answer within {} s", PATIENCE.as_secs()),
            }),
        };
        let now = Instant::now();
        let mut held = slot.held.write();
        match fetched {
            Ok(text) => {
                *held = Held {
                    text: Some((Arc::clone(&text), now)),
                    failed: None,
                };
                Ok(text)
            }
            Err(problem) => {
                held.failed = Some((problem.clone(), now));
                held.stale().ok_or(problem)
            }
        }
    }

    fn slot(&self, url: &str) -> Arc<Slot> {
        if let Some(slot) = self.known.read().get(url) {
            return Arc::clone(slot);
        }
        let mut known = self.known.write();
        if known.len() >= MOST_KEPT {
            known.retain(|_, slot| slot.held.read().text.is_some());
        }
        if known.len() >= MOST_KEPT {
            known.clear();
        }
        Arc::clone(known.entry(url.to_owned()).or_default())
    }
}

// === impl Slot ===

impl Slot {
    /// What can be said without asking.
    fn known(&self, max_age: Option<Duration>) -> Option<Result<Arc<[u8]>, Unreachable>> {
        let held = self.held.read();
        if let Some((text, since)) = &held.text
            && max_age.is_none_or(|most| since.elapsed() <= most)
        {
            return Some(Ok(Arc::clone(text)));
        }
        let (problem, _) = held.failed.as_ref().filter(|(_, at)| at.elapsed() < REST)?;
        Some(held.stale().ok_or_else(|| problem.clone()))
    }
}

// === impl Held ===

impl Held {
    fn stale(&self) -> Option<Arc<[u8]>> {
        let (text, since) = self.text.as_ref()?;
        (since.elapsed() <= STALE).then(|| Arc::clone(text))
    }
}

fn read(answer: Result<Answer, String>) -> Result<Arc<[u8]>, Unreachable> {
    let no = |detail: String| Unreachable {
        is_timeout: false,
        detail,
    };
    let answer = answer.map_err(no)?;
    if answer.status != 200 {
        return Err(no(format!("it answered {}", answer.status)));
    }
    if answer.body.len() > LARGEST {
        return Err(no(format!("it has more than {LARGEST} bytes")));
    }
    // A page of a server in trouble takes no keys away that were good.
    check_keys(answer.body.as_bytes()).map_err(no)?;
    Ok(answer.body.into_bytes().into())
}

#[async_trait]
impl Server for Arc<Client> {
    async fn ask(&self, url: &str) -> Result<Answer, String> {
        let asked = Asked {
            method: "GET",
            url,
            headers: &[("Accept".to_owned(), "application/json".to_owned())],
            body: &[],
            authorities: None,
            beside_roots: false,
            skips_verification: false,
        };
        Client::ask(self, &asked).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use parking_lot::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Script {
        asked: AtomicUsize,
        answer: Mutex<Option<Answer>>,
    }

    #[async_trait]
    impl Server for Arc<Script> {
        async fn ask(&self, _: &str) -> Result<Answer, String> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            self.answer.lock().clone().ok_or_else(|| "away".to_owned())
        }
    }

    const SET: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}"#;
    const OTHER: &str = r#"{"keys": []}"#;

    fn says(body: &str) -> Option<Answer> {
        Some(Answer {
            status: 200,
            headers: Vec::new(),
            body: body.to_owned(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_set_is_fetched_once_and_outlives_its_server() {
        let script = Arc::new(Script::default());
        *script.answer.lock() = says(SET);
        let sets = KeySets::of(Box::new(Arc::clone(&script)));
        let get = |age: u64| sets.get("http://idp.test/jwks", Some(Duration::from_secs(age)));
        let (one, other) = tokio::join!(get(600), get(600));
        assert_eq!(
            (&*one.unwrap(), &*other.unwrap()),
            (SET.as_bytes(), SET.as_bytes())
        );
        assert_eq!(script.asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_secs(700)).await;
        *script.answer.lock() = None;
        assert_eq!(&*get(600).await.unwrap(), SET.as_bytes());
        assert_eq!(&*get(600).await.unwrap(), SET.as_bytes());
        // It rests between two attempts.
        assert_eq!(script.asked.load(Ordering::Relaxed), 2);
        tokio::time::advance(STALE).await;
        assert!(get(600).await.is_err());
        *script.answer.lock() = says(OTHER);
        tokio::time::advance(REST).await;
        assert_eq!(&*get(600).await.unwrap(), OTHER.as_bytes());
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_takes_no_keys_away() {
        let script = Arc::new(Script::default());
        *script.answer.lock() = says(SET);
        let sets = KeySets::of(Box::new(Arc::clone(&script)));
        let get = || sets.get("http://idp.test/jwks", Some(Duration::from_secs(600)));
        assert!(get().await.is_ok());
        for (at, page) in ["<html>in trouble</html>", "{\"error\": \"in trouble\"}", "", "{"]
            .iter()
            .enumerate()
        {
            *script.answer.lock() = says(page);
            tokio::time::advance(Duration::from_secs(700)).await;
            assert_eq!(&*get().await.unwrap(), SET.as_bytes(), "{page}");
            assert_eq!(script.asked.load(Ordering::Relaxed), at + 2);
        }
        *script.answer.lock() = says(OTHER);
        tokio::time::advance(REST).await;
        assert_eq!(&*get().await.unwrap(), OTHER.as_bytes());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_set_is_none() {
        let script = Arc::new(Script::default());
        let sets = KeySets::of(Box::new(Arc::clone(&script)));
        *script.answer.lock() = says(&"x".repeat(LARGEST + 1));
        assert!(sets.get("http://idp.test/a", None).await.is_err());
        *script.answer.lock() = Some(Answer {
            status: 302,
            headers: Vec::new(),
            body: String::new(),
        });
        assert!(sets.get("http://idp.test/b", None).await.is_err());
    }
}
