mod refresher;
mod system;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Notify, Semaphore, watch};

use crate::endpoints::Endpoints;
use crate::net::AddressCheck;

use refresher::Refresher;
pub use system::System;

/// Host names of backends, each kept resolved by a task of its own for as long as something uses it.
#[derive(Debug)]
pub struct Names {
    source: Arc<dyn Resolver>,
    check: Arc<AddressCheck>,
    hosts: Mutex<Hosts>,
    changed: Arc<Notify>,
    lanes: Arc<Lanes>,
    refreshers_restarted: Counter,
}

#[derive(Debug, Default)]
struct Hosts {
    by_name: HashMap<(String, u16), Weak<Named>>,
    /// How many there were when those that nothing uses were last cleared away.
    cleared: usize,
}

/// How many names are asked about at once. Those that resolved, those that are new, and those that failed wait among
/// themselves: names that no server answers about, however many an author writes, keep no other name from being asked.
#[derive(Debug)]
struct Lanes {
    resolved: Semaphore,
    new: Semaphore,
    failed: Semaphore,
}

/// A name and port, with the addresses that it has now.
#[derive(Debug)]
pub struct Named {
    pub name: String,
    pub endpoints: Arc<Endpoints>,
    lookup: watch::Receiver<Lookup>,
    refresher: tokio::task::AbortHandle,
}

/// How the last attempt to resolve a name ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    Pending,
    Found,
    Failed(String),
}

/// What answers questions about names: the system's resolver, or a script in a test.
#[async_trait::async_trait]
pub trait Resolver: Send + Sync + std::fmt::Debug {
    /// The addresses and the time they are valid for, or what went wrong in a few words.
    async fn resolve(&self, name: &str) -> Result<(Vec<IpAddr>, Duration), String>;
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// Of one lane: each question is a socket.
const AT_ONCE: usize = 64;
/// A request waits so long for the first answer about a name.
const PATIENCE: Duration = Duration::from_secs(5);

// === impl Names ===

impl Names {
    pub fn new(source: Arc<dyn Resolver>, check: Arc<AddressCheck>) -> Self {
        Self {
            source,
            check,
            hosts: Mutex::default(),
            changed: Arc::default(),
            lanes: Arc::new(Lanes {
                resolved: Semaphore::new(AT_ONCE),
                new: Semaphore::new(AT_ONCE),
                failed: Semaphore::new(AT_ONCE),
            }),
            refreshers_restarted: Counter::default(),
        }
    }

    /// Counts the refreshers that had to be started again.
    pub fn counting(mut self, refreshers_restarted: Counter) -> Self {
        self.refreshers_restarted = refreshers_restarted;
        self
    }

    /// Wakes when some name begins or ceases to resolve.
    pub fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Judges the addresses of every name.
    pub fn check(&self) -> &Arc<AddressCheck> {
        &self.check
    }

    /// The one entry for this name and port; starts its refresher. Must be called in a runtime.
    pub fn get(&self, name: &str, port: u16) -> Arc<Named> {
        let mut hosts = self.hosts.lock();
        let key = (name.to_owned(), port);
        if let Some(known) = hosts.by_name.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        // Not at each new name: that would cost the square of their number.
        if hosts.by_name.len() >= 2 * hosts.cleared.max(AT_ONCE) {
            hosts.by_name.retain(|_, named| named.strong_count() > 0);
            hosts.cleared = hosts.by_name.len();
        }
        let endpoints = Arc::new(Endpoints::new(Arc::clone(&self.check)));
        let (outcome, lookup) = watch::channel(Lookup::Pending);
        let refresher = Refresher {
            source: Arc::clone(&self.source),
            name: name.to_owned(),
            port,
            endpoints: Arc::clone(&endpoints),
            outcome,
            changed: Arc::clone(&self.changed),
            lanes: Arc::clone(&self.lanes),
        };
        let refreshing = refresher.keep_on(self.refreshers_restarted.clone());
        let refresher = tokio::spawn(refreshing).abort_handle();
        let named = Arc::new(Named {
            name: name.to_owned(),
            endpoints,
            lookup,
            refresher,
        });
        hosts.by_name.insert(key, Arc::downgrade(&named));
        named
    }
}

// === impl Named ===

impl Named {
    pub fn lookup(&self) -> Lookup {
        self.lookup.borrow().clone()
    }

    /// Returns once there are addresses.
    ///
    /// # Errors
    /// When there are none, or no answer before patience has ended.
    pub async fn known(&self) -> Result<(), String> {
        if self.lookup() == Lookup::Pending {
            self.settled().await;
        }
        match self.lookup() {
            Lookup::Found => Ok(()),
            Lookup::Failed(error) => Err(error),
            Lookup::Pending => Err("no answer in time".to_owned()),
        }
    }

    /// Returns once there is an answer about the name, or patience has ended.
    pub async fn settled(&self) {
        let mut lookup = self.lookup.clone();
        let answer = lookup.wait_for(|lookup| *lookup != Lookup::Pending);
        let _ = tokio::time::timeout(PATIENCE, answer).await;
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.refresher.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::time::Instant;

    use super::*;

    type Answer = Result<(Vec<IpAddr>, Duration), String>;

    #[derive(Debug, Default)]
    struct Script(Mutex<VecDeque<Answer>>);

    #[async_trait::async_trait]
    impl Resolver for Script {
        async fn resolve(&self, _: &str) -> Answer {
            self.0
                .lock()
                .pop_front()
                .unwrap_or_else(|| Err("the script has ended".into()))
        }
    }

    fn mk_names(script: impl IntoIterator<Item = Answer>) -> Names {
        Names::new(
            Arc::new(Script(Mutex::new(script.into_iter().collect()))),
            Arc::default(),
        )
    }

    fn mk_answer(last: u8, ttl: u64) -> Answer {
        Ok((vec![IpAddr::from([10, 0, 0, last])], Duration::from_secs(ttl)))
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_follow_the_ttl_and_the_last_good_ones_stay() {
        let names = mk_names([
            mk_answer(1, 10),
            mk_answer(2, 0),
            Err("refused".into()),
            mk_answer(3, 900),
        ]);
        let named = names.get("b.example", 80);
        named.settled().await;
        let addresses = || {
            named
                .endpoints
                .addresses()
                .iter()
                .map(|a| a.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (named.lookup(), addresses()),
            (Lookup::Found, vec!["10.0.0.1:80".to_owned()])
        );
        tokio::time::sleep(Duration::from_millis(9_900)).await;
        assert_eq!(addresses(), ["10.0.0.1:80"]);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(addresses(), ["10.0.0.2:80"]);
        tokio::time::sleep(SHORTEST).await;
        assert_eq!(
            (named.lookup(), addresses()),
            (Lookup::Found, vec!["10.0.0.2:80".to_owned()])
        );
        tokio::time::sleep(SHORTEST).await;
        assert_eq!(addresses(), ["10.0.0.3:80"]);
    }

    #[tokio::test(start_paused = true)]
    async fn failure_shows_and_heals() {
        let names = mk_names([
            Err("no such host".into()),
            Ok((vec![], SHORTEST)),
            mk_answer(1, 1),
        ]);
        let named = names.get("b.example", 80);
        named.settled().await;
        assert_eq!(named.lookup(), Lookup::Failed("no such host".into()));
        names.changes().notified().await;
        tokio::time::sleep(SHORTEST).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(named.lookup(), Lookup::Failed("the name has no address".into()));
        tokio::time::sleep(2 * SHORTEST).await;
        assert_eq!(named.lookup(), Lookup::Found);
    }

    /// Answers about one name, and about no other.
    #[derive(Debug)]
    struct Deaf;

    #[async_trait::async_trait]
    impl Resolver for Deaf {
        async fn resolve(&self, name: &str) -> Answer {
            if name != "good.example" {
                tokio::time::sleep(Duration::from_secs(4)).await;
                return Err("no answer".into());
            }
            mk_answer(1, 10)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn names_without_an_answer_keep_no_other_name_waiting() {
        let names = Names::new(Arc::new(Deaf), Arc::default());
        let good = names.get("good.example", 80);
        good.settled().await;
        let _deaf: Vec<_> = (0..1_000)
            .map(|n| names.get(&format!("n{n}.example"), 80))
            .collect();
        tokio::time::sleep(Duration::from_secs(120)).await;
        let began = Instant::now();
        let late = names.get("good.example", 81);
        late.known().await.unwrap();
        assert!(began.elapsed() < PATIENCE);
        assert_eq!(good.lookup(), Lookup::Found);
    }

    /// Panics at first.
    #[derive(Debug, Default)]
    struct Clumsy(AtomicBool);

    #[async_trait::async_trait]
    impl Resolver for Clumsy {
        async fn resolve(&self, _: &str) -> Answer {
            assert!(self.0.swap(true, Ordering::Relaxed), "as the test wants");
            mk_answer(1, 10)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refresher_that_panics_is_started_again_and_counted() {
        let restarted = Counter::default();
        let names = Names::new(Arc::new(Clumsy::default()), Arc::default()).counting(restarted.clone());
        names.get("b.example", 80).known().await.unwrap();
        assert_eq!(restarted.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_nothing_uses_are_cleared_away() {
        let names = mk_names([]);
        for n in 0..10_000 {
            names.get(&format!("n{n}.example"), 80);
        }
        assert!(names.hosts.lock().by_name.len() <= 2 * AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn one_refresher_serves_all_users_and_ends_with_the_last() {
        let names = mk_names([mk_answer(1, 1)]);
        let (a, b) = (names.get("b.example", 80), names.get("b.example", 80));
        assert!(Arc::ptr_eq(&a, &b));
        assert!(!Arc::ptr_eq(&a, &names.get("b.example", 81)));
        let refresher = a.refresher.clone();
        drop((a, b));
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert!(refresher.is_finished());
    }
}
