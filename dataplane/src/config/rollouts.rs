//! This data plane in the roll-out of an extension: how it gets out of the way, and what it tells of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use genkan_routing::model::policy::{ExtensionReport, Rollout, RolloutStage, RolloutState};
use tokio::time::Instant;

use crate::front::Traffic;
use crate::retreat::Retreat;
use crate::tables::Current;

#[derive(Debug)]
pub struct Rollouts {
    retreat: Arc<Retreat>,
    traffic: Arc<Traffic>,
    draining: Option<Draining>,
    /// Since when there is no operator.
    alone: Option<Instant>,
}

#[derive(Debug)]
struct Draining {
    rollout: Rollout,
    /// How many requests the operator knows to be in flight.
    told: Option<u64>,
    /// It is told nothing before.
    due: Instant,
}

/// What the operator knows of how extensions do.
#[derive(Debug)]
pub struct Reports {
    told: BTreeMap<String, ExtensionReport>,
    waiting: VecDeque<ExtensionReport>,
    due: Instant,
}

/// Between two words about requests in flight.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at what is counted of extensions.
const PERIOD: Duration = Duration::from_secs(5);
/// A data plane that nobody tells to come back does so by itself.
const ABANDONED: Duration = Duration::from_secs(60);

// === impl Rollouts ===

impl Rollouts {
    pub fn new(retreat: Arc<Retreat>, traffic: Arc<Traffic>) -> Self {
        Self {
            retreat,
            traffic,
            draining: None,
            alone: None,
        }
    }

    /// Gets out of the way.
    pub fn drain(&mut self, rollout: Rollout) {
        self.retreat.step_back(&rollout.extension);
        tracing::info!(extension = rollout.extension, "draining for an extension");
        let told = None;
        self.draining = Some(Draining {
            rollout,
            told,
            due: Instant::now(),
        });
    }

    /// Takes requests again, if it was for this extension that it did not.
    pub fn undrain(&mut self, extension: &str) {
        self.retreat.return_from(extension);
        if self
            .draining
            .take_if(|draining| draining.rollout.extension == extension)
            .is_some()
        {
            tracing::info!(extension, "requests are taken again");
        }
    }

    /// Another stream has begun: what was said before is said again.
    pub fn begin(&mut self) {
        self.alone = None;
        if let Some(draining) = &mut self.draining {
            draining.told = None;
        }
    }

    /// There is no stream. Nobody is left out of the way for long by an operator that is away.
    pub fn is_alone(&mut self) {
        let since = *self.alone.get_or_insert_with(Instant::now);
        let Some(draining) = self.draining.as_ref().filter(|_| since.elapsed() >= ABANDONED) else {
            return;
        };
        let extension = draining.rollout.extension.clone();
        tracing::warn!(extension, "the operator is away: nothing is waited for any more");
        self.undrain(&extension);
    }

    /// Waits for another number of requests in flight.
    pub async fn next(&mut self) -> RolloutState {
        let Some(draining) = &mut self.draining else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep_until(draining.due).await;
            draining.due = Instant::now() + PAUSE;
            let in_flight = self.traffic.awaited() as u64;
            if draining.told != Some(in_flight) {
                draining.told = Some(in_flight);
                let stage = match in_flight {
                    0 => RolloutStage::Drained,
                    _ => RolloutStage::Draining,
                };
                return RolloutState {
                    in_flight,
                    ..self::state(&draining.rollout, stage)
                };
            }
        }
    }

    /// What came of an action.
    pub fn state(&self, rollout: &Rollout, outcome: Result<RolloutStage, String>) -> RolloutState {
        let (stage, error) = match outcome {
            Ok(stage) => (stage, String::new()),
            Err(error) => (RolloutStage::Failed, error),
        };
        RolloutState {
            in_flight: self.traffic.awaited() as u64,
            error,
            ..state(rollout, stage)
        }
    }
}

fn state(rollout: &Rollout, stage: RolloutStage) -> RolloutState {
    RolloutState {
        extension: rollout.extension.clone(),
        revision: rollout.revision.clone(),
        stage,
        in_flight: 0,
        error: String::new(),
        nonce: rollout.nonce,
    }
}

// === impl Reports ===

impl Default for Reports {
    fn default() -> Self {
        Self {
            told: BTreeMap::new(),
            waiting: VecDeque::new(),
            due: Instant::now(),
        }
    }
}

impl Reports {
    /// Waits for something new about an extension.
    pub async fn next(&mut self, current: &Current) -> ExtensionReport {
        loop {
            if let Some(report) = self.waiting.pop_front() {
                self.told.insert(report.extension.clone(), report.clone());
                return report;
            }
            tokio::time::sleep_until(self.due).await;
            self.due = Instant::now() + PERIOD;
            let tables = current.load();
            let is_there = |name: &String| tables.extensions.iter().any(|known| known.name == *name);
            self.told.retain(|name, _| is_there(name));
            let reports = tables.extensions.iter().map(|extension| extension.report());
            let news = reports.filter(|report| self.told.get(&report.extension) != Some(report));
            self.waiting = news.collect();
        }
    }
}

#[cfg(test)]
mod tests;
