//! The operator's metrics, in the format of OpenMetrics.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use genkan_accept::Closed;
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use genkan_compile::object::Kind;
use genkan_routing::model::ObjectKey;

use crate::input::Absence;

/// One word from the code, never from a message.
type Reason = [(&'static str, &'static str); 1];

/// A kind, and why it cannot be read.
type Lack = [(&'static str, &'static str); 2];

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub changes: Counter,
    pub snapshots: Counter,
    pub resources: Gauge,
    pub snapshot_budget: Gauge,
    snapshot_bytes: Gauge,
    without_room: Gauge,
    pub connected: Gauge,
    pub counted: Gauge,
    pub not_ready: Gauge,
    pub status_writes: Counter,
    pub status_conflicts: Counter,
    pub status_errors: Counter,
    pub events_left_out: Counter,
    refused_streams: Family<Reason, Counter>,
    kind_absent: Family<Lack, Gauge>,
    pub connections_closed: Closed,
    pub refused_snapshots: Counter,
    pub acknowledged: Counter<u64, AtomicU64>,
    unready: Mutex<BTreeSet<ObjectKey>>,
}

// === impl Metrics ===

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("genkan_operator");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let changes = counter("changes", "Changes of watched objects that were taken in");
        let snapshots = counter("snapshots", "Snapshots that were published");
        let status_writes = counter("status_writes", "Statuses that were written");
        let status_conflicts = counter("status_conflicts", "Status writes that met a newer object");
        let status_errors = counter("status_errors", "Status writes that the API server did not take");
        let events_left_out = counter("events_left_out", "Events that were not written: too many waited");
        let refused_snapshots = counter("refused_snapshots", "Snapshots that a proxy refused as a whole");
        let acknowledged = counter("acknowledgements", "Snapshots that a proxy acknowledged");
        let refused_streams = Family::<Reason, Counter>::default();
        let help = "Calls that were refused, and streams that were ended, by reason";
        registry.register("refused_streams", help, refused_streams.clone());
        let kind_absent = Family::<Lack, Gauge>::default();
        let help = "1 while nothing of a kind can be read, by what is missing: its definition, or the right";
        registry.register("kind_absent", help, kind_absent.clone());
        let connections_closed = Closed::default();
        let help = "Connections closed for saying nothing, or for want of places, by listener and reason";
        registry.register("connections_closed", help, connections_closed.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let resources = gauge("resources", "Resources in the published snapshot");
        let snapshot_budget = gauge(
            "snapshot_budget_bytes",
            "What a snapshot may count, before compression",
        );
        let snapshot_bytes = gauge(
            "snapshot_bytes",
            "What the published snapshot counts, before compression",
        );
        let without_room = gauge(
            "without_room",
            "Objects and endpoints that the budget has no room for",
        );
        let connected = gauge("proxies_connected", "Proxies with a stream");
        let counted = gauge("proxies_counted", "Proxies that must acknowledge a change");
        let not_ready = gauge("objects_not_ready", "Published objects that are not ready");
        Self {
            registry,
            changes,
            snapshots,
            resources,
            snapshot_budget,
            snapshot_bytes,
            without_room,
            connected,
            counted,
            not_ready,
            status_writes,
            status_conflicts,
            status_errors,
            events_left_out,
            refused_streams,
            kind_absent,
            connections_closed,
            refused_snapshots,
            acknowledged,
            unready: Mutex::default(),
        }
    }

    pub fn published(&self, resources: usize) {
        self.snapshots.inc();
        self.resources.set(i64::try_from(resources).unwrap_or(i64::MAX));
    }

    pub fn room(&self, used: usize, refused: usize) {
        self.snapshot_bytes.set(i64::try_from(used).unwrap_or(i64::MAX));
        self.without_room.set(i64::try_from(refused).unwrap_or(i64::MAX));
    }

    pub fn fleet(&self, connected: usize, counted: usize) {
        self.connected.set(i64::try_from(connected).unwrap_or(i64::MAX));
        self.counted.set(i64::try_from(counted).unwrap_or(i64::MAX));
    }

    pub fn refused(&self, reason: &'static str) {
        self.refused_streams.get_or_create(&[("reason", reason)]).inc();
    }

    pub fn absent(&self, kind: Kind, absence: Option<Absence>) {
        for cause in Absence::ALL {
            let lack = [("kind", kind.name()), ("cause", cause.cause())];
            if absence == Some(cause) {
                self.kind_absent.get_or_create(&lack).set(1);
            } else {
                self.kind_absent.remove(&lack);
            }
        }
    }

    pub fn ready(&self, key: &ObjectKey, ready: bool) {
        let mut unready = self.unready.lock();
        if ready {
            unready.remove(key);
        } else {
            unready.insert(key.clone());
        }
        self.not_ready
            .set(i64::try_from(unready.len()).unwrap_or(i64::MAX));
    }

    pub fn forget(&self, key: &ObjectKey) {
        self.ready(key, true);
    }

    /// The text that `/metrics` answers.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
