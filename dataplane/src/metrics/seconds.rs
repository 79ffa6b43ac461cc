use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// A histogram of durations that every worker can add to without waiting for another; the library's own has a lock.
#[derive(Debug)]
pub struct Seconds {
    /// Upper bounds in microseconds.
    bounds: &'static Bounds,
    /// One for each bound, and the last for whatever took longer. Not cumulative.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

pub(super) type Bounds = [u64; 11];

/// For whole requests.
const BOUNDS: Bounds = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000,
];

// === impl Seconds ===

impl Default for Seconds {
    fn default() -> Self {
        Self::new(&BOUNDS)
    }
}

impl Seconds {
    pub(super) fn new(bounds: &'static Bounds) -> Self {
        Self {
            bounds,
            buckets: Default::default(),
            micros: AtomicU64::default(),
        }
    }

    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.bounds.iter().position(|bound| micros <= *bound);
        self.buckets[bucket.unwrap_or(BOUNDS.len())].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl TypedMetric for Seconds {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Seconds {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = self
            .bounds
            .iter()
            .map(|micros| Duration::from_micros(*micros).as_secs_f64());
        let buckets: Vec<_> = bounds
            .chain([f64::MAX])
            .zip(self.buckets.iter().map(|count| count.load(Ordering::Relaxed)))
            .collect();
        // Out of the buckets, so that the two agree while requests go on.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn durations_land_in_their_buckets() {
        let seconds = Seconds::default();
        for micros in [0, 1_000, 1_001, 400_000, 31_000_000] {
            seconds.observe(Duration::from_micros(micros));
        }
        let mut registry = Registry::default();
        registry.register("took", "Time", seconds);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "took_sum 31.402001",
            "took_count 5",
            r#"took_bucket{le="0.001"} 2"#,
            r#"took_bucket{le="0.0025"} 3"#,
            r#"took_bucket{le="0.1"} 3"#,
            r#"took_bucket{le="0.5"} 4"#,
            r#"took_bucket{le="30.0"} 4"#,
            r#"took_bucket{le="+Inf"} 5"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
