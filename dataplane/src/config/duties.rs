//! What this data plane does for all: it asks tools whether they work, and tells the operator.

mod asking;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use genkan_probe::Plan;
use genkan_routing::model::{Duty, Probed, Report, Secret};
use parking_lot::Mutex;
use rand::Rng;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

pub use asking::Asker;

/// The duties of this process, each a task that asks, reports and asks again.
#[derive(Debug)]
pub struct Duties {
    asker: Arc<Asker>,
    given: Vec<Duty>,
    running: HashMap<String, Running>,
    /// Questions to one host at once.
    hosts: Arc<Hosts>,
    reports: mpsc::Sender<Report>,
}

#[derive(Debug)]
struct Running {
    turn: u64,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Hosts(Mutex<HashMap<String, Arc<Semaphore>>>);

/// A good answer is asked for again after this, give or take a fifth.
const PERIOD: Duration = Duration::from_secs(300);
/// A bad one after this, and each time twice as late up to the period.
const FIRST_RETRY: Duration = Duration::from_secs(15);
/// One question, redirects and all.
const PATIENCE: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 4;
/// Hosts that are counted apart.
const MOST_HOSTS: usize = 4096;

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Duties ===

impl Duties {
    pub fn new(asker: Arc<Asker>, reports: mpsc::Sender<Report>) -> Self {
        Self {
            asker,
            given: Vec::new(),
            running: HashMap::new(),
            hosts: Arc::default(),
            reports,
        }
    }

    /// All that it is to do from now on.
    pub fn give(&mut self, duties: Vec<Duty>) {
        self.running.retain(|name, running| {
            duties
                .iter()
                .any(|duty| duty.name == *name && duty.turn == running.turn)
        });
        self.given = duties;
    }

    /// The stream is gone: somebody else does them.
    pub fn end(&mut self) {
        self.give(Vec::new());
    }

    /// Begins with those of which the plan has come.
    pub fn begin(&mut self, plan: impl Fn(&Duty) -> Option<Arc<Secret>>) {
        for duty in &self.given {
            if self.running.contains_key(&duty.name) {
                continue;
            }
            let Some(plan) = plan(duty).and_then(|secret| Plan::from_secret(&secret)) else {
                continue;
            };
            let (asker, hosts, reports) = (
                Arc::clone(&self.asker),
                Arc::clone(&self.hosts),
                self.reports.clone(),
            );
            let task = tokio::spawn(run(duty.clone(), plan, asker, hosts, reports));
            let running = Running {
                turn: duty.turn,
                task: task.abort_handle(),
            };
            self.running.insert(duty.name.clone(), running);
        }
    }
}

async fn run(duty: Duty, plan: Plan, asker: Arc<Asker>, hosts: Arc<Hosts>, reports: mpsc::Sender<Report>) {
    let mut retry = FIRST_RETRY;
    loop {
        let places = hosts.of(&plan);
        let outcome = match places.acquire().await {
            Ok(_place) => ask(&asker, &plan).await,
            Err(_) => return,
        };
        let pause = match outcome.is_good {
            true => {
                retry = FIRST_RETRY;
                PERIOD.mul_f64(rand::rng().random_range(0.8..1.2))
            }
            false => {
                let pause = retry;
                retry = (retry * 2).min(PERIOD);
                pause
            }
        };
        let report = Report {
            duty: duty.name.clone(),
            turn: duty.turn,
            outcome,
        };
        if reports.send(report).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

async fn ask(asker: &Asker, plan: &Plan) -> Probed {
    match tokio::time::timeout(PATIENCE, asker.ask(plan)).await {
        Ok(probed) => probed,
        Err(_) => Probed {
            is_good: false,
            has_answered: false,
            message: format!("no answer within {} s", PATIENCE.as_secs()),
        },
    }
}

// === impl Hosts ===

impl Hosts {
    fn of(&self, plan: &Plan) -> Arc<Semaphore> {
        let host = genkan_probe::origin(&plan.url).map_or("", |(_, authority)| authority);
        let mut all = self.0.lock();
        if all.len() > MOST_HOSTS {
            all.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let places = all.entry(host.to_owned());
        Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
    }
}
