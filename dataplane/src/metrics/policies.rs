use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use genkan_policies::{Decision, Meter, Meters};
use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;

use super::seconds::{Bounds, Seconds};

/// The series of all policies that plans are linked with, looked up when a step is linked.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies(Arc<RwLock<BTreeMap<String, Arc<Series>>>>);

#[derive(Debug)]
struct Series {
    by_decision: [AtomicU64; Decision::ALL.len()],
    seconds: Seconds,
}

/// Upper bounds in microseconds: most steps take few.
const BOUNDS: Bounds = [
    5, 10, 25, 100, 250, 1_000, 5_000, 25_000, 100_000, 500_000, 5_000_000,
];

// === impl Policies ===

impl Policies {
    /// Those that no plan is linked with any more are gone.
    pub(super) fn prune(&self) {
        self.0.write().retain(|_, series| Arc::strong_count(series) > 1);
    }
}

impl Meters for Policies {
    fn of(&self, policy: &str) -> Arc<dyn Meter> {
        let known = self.0.read().get(policy).cloned();
        let series = known.unwrap_or_else(|| {
            let mut all = self.0.write();
            Arc::clone(all.entry(policy.to_owned()).or_default())
        });
        series
    }
}

impl Collector for Policies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.0.read();
        if all.is_empty() {
            return Ok(());
        }
        let help = "Steps of policies by what they came to.";
        let mut decisions = encoder.encode_descriptor("policy_decisions", help, None, MetricType::Counter)?;
        for (policy, series) in all.iter() {
            for (decision, count) in Decision::ALL.into_iter().zip(&series.by_decision) {
                let labels = [("policy", policy.as_str()), ("outcome", decision.as_str())];
                let count = ConstCounter::new(count.load(Ordering::Relaxed));
                count.encode(decisions.encode_family(&labels)?)?;
            }
        }
        let help = "Time that a step of a policy took.";
        let unit = Some(&Unit::Seconds);
        let mut seconds = encoder.encode_descriptor("policy", help, unit, MetricType::Histogram)?;
        for (policy, series) in all.iter() {
            let labels = [("policy", policy.as_str())];
            series.seconds.encode(seconds.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

// === impl Series ===

impl Default for Series {
    fn default() -> Self {
        Self {
            by_decision: Default::default(),
            seconds: Seconds::new(&BOUNDS),
        }
    }
}

impl Meter for Series {
    fn record(&self, decision: Decision, took: Duration) {
        let at = Decision::ALL.iter().position(|known| *known == decision);
        if let Some(count) = at.and_then(|at| self.by_decision.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.seconds.observe(took);
    }
}
