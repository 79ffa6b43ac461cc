//! A load that knows what every answer may be.
//!
//! Objects are edited while requests run. For each object the hammer knows which versions a request may meet: not
//! older than the last one confirmed before it was sent, not newer than the last one begun before its answer came.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::http1::{Answer, Connection, Request};

/// The header that carries the version of an object to the backend.
pub const VERSION: &str = "X-Version";

/// One object under the hammer, and what its editor has done.
#[derive(Debug, Default)]
pub struct Target {
    pub prefix: String,
    begun: AtomicU64,
    confirmed: AtomicU64,
    /// Odd while the object is being deleted and made anew.
    absence: AtomicU64,
    /// For one that takes a token: that, and the version comes as the credential that the backend gets for it.
    token: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    pub sent: u64,
    pub seconds: f64,
    /// The first few, in words.
    pub failures: Vec<String>,
    pub failed: u64,
}

/// A running load.
#[derive(Debug)]
pub struct Hammer {
    stop: CancellationToken,
    sent: Arc<AtomicU64>,
    outcome: Arc<Mutex<(u64, Vec<String>)>>,
    workers: JoinSet<()>,
    begin: Instant,
}

const WORKERS: u32 = 12;
const SHOWN: usize = 10;

// === impl Target ===

impl Target {
    /// The object exists in this version.
    pub fn new(prefix: impl Into<String>, version: u64) -> Self {
        Self {
            prefix: prefix.into(),
            begun: AtomicU64::new(version),
            confirmed: AtomicU64::new(version),
            absence: AtomicU64::new(0),
            token: None,
        }
    }

    /// The same for callers with this token: the version is the bearer token that the backend gets instead.
    pub fn behind(prefix: impl Into<String>, version: u64, token: &str) -> Self {
        Self {
            token: Some(format!("Bearer {token}")),
            ..Self::new(prefix, version)
        }
    }

    /// This version is about to be written.
    pub fn begin(&self, version: u64) {
        self.begun.store(version, Ordering::SeqCst);
    }

    /// Every proxy serves this version.
    pub fn confirm(&self, version: u64) {
        self.confirmed.store(version, Ordering::SeqCst);
    }

    /// The object is about to be deleted; 404 is allowed until it is back.
    pub fn begin_absence(&self) {
        self.absence.fetch_add(1, Ordering::SeqCst);
    }

    pub fn end_absence(&self) {
        self.absence.fetch_add(1, Ordering::SeqCst);
    }

    fn promise(&self) -> Promise {
        Promise {
            at_least: self.confirmed.load(Ordering::SeqCst),
            absence: self.absence.load(Ordering::SeqCst),
        }
    }

    /// Whether an answer is one of those that were allowed when its request was sent, or became so since.
    fn judge(&self, promise: Promise, request: &Request<'_>, answer: &Answer) -> Result<(), String> {
        let absent = promise.absence % 2 == 1 || promise.absence != self.absence.load(Ordering::SeqCst);
        if answer.status == 404 && absent {
            return Ok(());
        }
        let short = || answer.text().chars().take(300).collect::<String>();
        if answer.status != 200 {
            return Err(format!(
                "{} {}: {} {}",
                request.method,
                request.target,
                answer.status,
                short()
            ));
        }
        let said = answer.json().map_err(|error| format!("{error:#}"))?;
        let rest = &request.target[self.prefix.len()..];
        if said["target"] != rest || said["method"] != request.method {
            return Err(format!(
                "{} {}: the backend got {}",
                request.method,
                request.target,
                short()
            ));
        }
        if said["body"].as_str().map(str::as_bytes) != Some(request.body) {
            return Err(format!(
                "{} {}: another body arrived",
                request.method, request.target
            ));
        }
        let carrier = if self.token.is_some() {
            "authorization"
        } else {
            VERSION
        };
        let version = said["headers"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|pair| {
                pair[0]
                    .as_str()
                    .is_some_and(|name| name.eq_ignore_ascii_case(carrier))
            })
            .and_then(|pair| pair[1].as_str()?.rsplit(' ').next()?.parse::<u64>().ok());
        let (least, most) = (promise.at_least, self.begun.load(Ordering::SeqCst));
        match version {
            Some(version) if (least..=most).contains(&version) => Ok(()),
            other => Err(format!(
                "{}: version {other:?} is not one of {least} to {most}",
                request.target
            )),
        }
    }
}

/// What was true when a request was sent.
#[derive(Debug, Clone, Copy)]
struct Promise {
    at_least: u64,
    absence: u64,
}

// === impl Hammer ===

impl Hammer {
    /// Sends this many requests a second through all proxies: GET and POST, on kept and on fresh connections.
    pub fn start(proxies: Vec<SocketAddr>, targets: Vec<Arc<Target>>, rate: u32) -> Self {
        let stop = CancellationToken::new();
        let sent = Arc::new(AtomicU64::new(0));
        let outcome = Arc::new(Mutex::new((0, Vec::new())));
        let mut workers = JoinSet::new();
        for n in 0..WORKERS {
            let worker = Worker {
                // One worker in three opens a connection for each request.
                keeps: n % 3 != 0,
                proxy: proxies[n as usize % proxies.len()],
                targets: targets.clone(),
                sent: sent.clone(),
                outcome: outcome.clone(),
            };
            let every = Duration::from_secs(1) * WORKERS / rate;
            let stop = stop.clone();
            workers.spawn(async move { worker.run(n as usize, every, &stop).await });
        }
        Self {
            stop,
            sent,
            outcome,
            workers,
            begin: Instant::now(),
        }
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Lets every request that was begun finish, and reports.
    pub async fn finish(mut self) -> Report {
        self.stop.cancel();
        let seconds = self.begin.elapsed().as_secs_f64();
        while self.workers.join_next().await.is_some() {}
        let (failed, failures) = std::mem::take(&mut *self.outcome.lock());
        Report {
            sent: self.sent(),
            seconds,
            failures,
            failed,
        }
    }
}

struct Worker {
    keeps: bool,
    proxy: SocketAddr,
    targets: Vec<Arc<Target>>,
    sent: Arc<AtomicU64>,
    outcome: Arc<Mutex<(u64, Vec<String>)>>,
}

// === impl Worker ===

impl Worker {
    async fn run(&self, offset: usize, every: Duration, stop: &CancellationToken) {
        let mut tick = interval(every);
        // A slow moment is caught up with, so that the rate holds on the whole.
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut kept = None;
        let mut n = offset;
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            n += 1;
            let target = &self.targets[n % self.targets.len()];
            let path = format!("{}/item/{n}?n={n}", target.prefix);
            let body = format!("body of {n}");
            // Each object gets both.
            let request = if (n / self.targets.len()).is_multiple_of(2) {
                Request::get(&path)
            } else {
                Request::post(&path, body.as_bytes())
            };
            let headers: Vec<_> = target
                .token
                .iter()
                .map(|token| ("Authorization", token.as_str()))
                .collect();
            let request = Request {
                headers: &headers,
                ..request
            };
            let promise = target.promise();
            let outcome = match self.exchange(&mut kept, request).await {
                Ok(answer) => target.judge(promise, &request, &answer),
                Err(error) => Err(format!("{error:#}")),
            };
            self.sent.fetch_add(1, Ordering::Relaxed);
            if let Err(why) = outcome {
                kept = None;
                let mut outcome = self.outcome.lock();
                outcome.0 += 1;
                if outcome.1.len() < SHOWN {
                    outcome.1.push(format!("{}: {why}", self.proxy));
                }
            }
        }
    }

    async fn exchange(&self, kept: &mut Option<Connection>, request: Request<'_>) -> anyhow::Result<Answer> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(self.proxy).await?,
        };
        let answer = connection.send(request).await?;
        if self.keeps && connection.is_reusable() {
            *kept = Some(connection);
        }
        Ok(answer)
    }
}

// === impl Report ===

impl Report {
    /// An error unless this many requests were sent at this rate, and none failed.
    pub fn expect_clean(&self, least: u64, rate: f64) -> anyhow::Result<()> {
        let reached = self.sent as f64 / self.seconds;
        anyhow::ensure!(
            self.failed == 0,
            "{} of {} requests failed:\n{}",
            self.failed,
            self.sent,
            self.list()
        );
        anyhow::ensure!(
            self.sent >= least,
            "only {} requests were sent, not {least}",
            self.sent
        );
        anyhow::ensure!(
            reached >= rate,
            "only {reached:.0} requests a second were sent, not {rate}"
        );
        Ok(())
    }

    fn list(&self) -> String {
        self.failures.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, version: &str) -> Answer {
        let body = format!(
            r#"{{"method":"GET","target":"/item/1","body":"","headers":[["x-version","{version}"]]}}"#
        );
        Answer {
            status,
            body: body.into_bytes(),
            ..Answer::default()
        }
    }

    #[test]
    fn only_the_old_and_the_new_version_are_allowed() {
        let target = Target::new("/proxy/a", 4);
        let request = Request::get("/proxy/a/item/1");
        let promise = target.promise();
        target.begin(5);
        assert!(target.judge(promise, &request, &answer(200, "4")).is_ok());
        assert!(target.judge(promise, &request, &answer(200, "5")).is_ok());
        assert!(target.judge(promise, &request, &answer(200, "3")).is_err());
        assert!(target.judge(promise, &request, &answer(200, "6")).is_err());
        target.confirm(5);
        assert!(target.judge(promise, &request, &answer(200, "4")).is_ok());
        assert!(
            target
                .judge(target.promise(), &request, &answer(200, "4"))
                .is_err()
        );
    }

    #[test]
    fn absence_allows_404_and_nothing_else() {
        let target = Target::new("/proxy/a", 1);
        let request = Request::get("/proxy/a/item/1");
        let before = target.promise();
        assert!(target.judge(before, &request, &answer(404, "1")).is_err());
        target.begin_absence();
        target.end_absence();
        assert!(target.judge(before, &request, &answer(404, "1")).is_ok());
        assert!(target.judge(before, &request, &answer(503, "1")).is_err());
        assert!(
            target
                .judge(target.promise(), &request, &answer(404, "1"))
                .is_err()
        );
    }
}
