use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use genkan_routing::model::ObjectKey;
use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;

use super::seconds::Seconds;

/// The series of all objects. They are many and stay at zero for most objects: the library's own would have seven entries with
/// labels of their own for each object, here labels are made when somebody looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Meters(Arc<RwLock<BTreeMap<ObjectKey, Meter>>>);

/// The series of one object, looked up once when its route is built.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Series>);

#[derive(Debug, Default)]
struct Series {
    by_class: [AtomicU64; CLASSES.len()],
    /// Requests of its pages for what lies outside of its prefix.
    escaped: AtomicU64,
    seconds: Seconds,
}

/// Classes of status codes; the first is for requests that got no answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

// === impl Meters ===

impl Meters {
    pub(super) fn get(&self, object: &ObjectKey) -> Meter {
        if let Some(meter) = self.0.read().get(object) {
            return meter.clone();
        }
        self.0.write().entry(object.clone()).or_default().clone()
    }

    pub(super) fn forget(&self, object: &ObjectKey) {
        self.0.write().remove(object);
    }
}

impl Collector for Meters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let meters = self.0.read();
        if meters.is_empty() {
            return Ok(());
        }
        let help = "Requests by object and class of the answer.";
        let mut requests = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for (object, meter) in meters.iter() {
            for (class, count) in CLASSES.iter().zip(&meter.0.by_class) {
                let [kind, namespace, name] = labels(object);
                let labels = [kind, namespace, name, ("code", *class)];
                let count = ConstCounter::new(count.load(Ordering::Relaxed));
                count.encode(requests.encode_family(&labels)?)?;
            }
        }
        let help = "Requests of pages of a web UI for paths outside of its prefix, which nobody has.";
        let mut escaped = encoder.encode_descriptor("escaped_requests", help, None, MetricType::Counter)?;
        for (object, meter) in meters.iter() {
            let count = meter.0.escaped.load(Ordering::Relaxed);
            if count > 0 {
                let labels = labels(object);
                ConstCounter::new(count).encode(escaped.encode_family(&labels)?)?;
            }
        }
        let help = "Time from the head of a request to the end of its answer.";
        let unit = Some(&Unit::Seconds);
        let mut seconds = encoder.encode_descriptor("request", help, unit, MetricType::Histogram)?;
        for (object, meter) in meters.iter() {
            let labels = labels(object);
            meter.0.seconds.encode(seconds.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn labels(object: &ObjectKey) -> [(&'static str, &str); 3] {
    [
        ("kind", object.kind.name()),
        ("namespace", &object.namespace),
        ("name", &object.name),
    ]
}

// === impl Meter ===

impl Meter {
    pub fn record(&self, code: u16, took: Duration) {
        let class = usize::from(code / 100).min(CLASSES.len() - 1);
        self.0.by_class[class].fetch_add(1, Ordering::Relaxed);
        self.0.seconds.observe(took);
    }

    pub fn escape(&self) {
        self.0.escaped.fetch_add(1, Ordering::Relaxed);
    }
}
