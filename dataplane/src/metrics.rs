mod entries;
mod meters;
mod policies;
mod seconds;

use std::sync::Arc;

use genkan_accept::Closed;
use genkan_callers::{Decided, register};
use genkan_routing::model::ObjectKey;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use entries::Entries;
pub use meters::Meter;
use meters::Meters;
use policies::Policies;

use crate::tables::Current;

/// Everything that `/metrics` shows. Labels come from objects and fixed words, never from requests.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    meters: Meters,
    policies: Policies,
    answers: Family<ReasonLabels, Counter>,
    pub panics: Counter,
    pub refreshers_restarted: Counter,
    /// Answers of which links were left as they are.
    pub answers_left_unmoved: Counter,
    /// Requests in a form that clients should leave.
    pub deprecated_requests: Counter,
    pub log_lines_dropped: Counter,
    pub objects: Gauge,
    pub sequence: Gauge,
    pub connected: Gauge,
    /// What is served was kept from before this process.
    pub kept: Gauge,
    pub state_write_failures: Counter,
    pub snapshots_refused: Counter,
    reload_failures: Family<FileLabels, Counter>,
    pub connections_closed: Closed,
    pub tokens: Decided,
    pub access: Decided,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FileLabels {
    files: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
    code: u16,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Counter::default())
    }
}

impl Metrics {
    /// The log counts what it loses by itself, and from before there are metrics.
    pub fn new(log_lines_dropped: Counter) -> Self {
        let mut all = Registry::with_prefix("genkan");
        let registry = all.sub_registry_with_prefix("dataplane");
        let [tokens, access] = register(registry);
        let this = Self {
            meters: Meters::default(),
            policies: Policies::default(),
            answers: Family::default(),
            panics: Counter::default(),
            refreshers_restarted: Counter::default(),
            answers_left_unmoved: Counter::default(),
            deprecated_requests: Counter::default(),
            log_lines_dropped,
            objects: Gauge::default(),
            sequence: Gauge::default(),
            connected: Gauge::default(),
            kept: Gauge::default(),
            state_write_failures: Counter::default(),
            reload_failures: Family::default(),
            snapshots_refused: Counter::default(),
            connections_closed: Closed::default(),
            tokens,
            access,
            registry: Mutex::default(),
        };
        registry.register_collector(Box::new(this.meters.clone()));
        registry.register(
            "answers",
            "Answers that genkan made itself, by reason",
            this.answers.clone(),
        );
        registry.register("panics", "Requests that ended in a panic", this.panics.clone());
        let help = "Tasks that keep a name resolved, started again after a panic";
        registry.register("refreshers_restarted", help, this.refreshers_restarted.clone());
        let help = "Answers with wrapTransport of which links were left as they are, because they could not be read within the limits";
        registry.register("answers_left_unmoved", help, this.answers_left_unmoved.clone());
        let help =
            "Requests by the path of the Connector API that ends in resources, which clients should leave";
        registry.register("deprecated_requests", help, this.deprecated_requests.clone());
        let help = "Access lines lost because the log was slower than the traffic";
        registry.register("log_lines_dropped", help, this.log_lines_dropped.clone());
        registry.register(
            "objects",
            "Objects in the configuration that is served",
            this.objects.clone(),
        );
        registry.register(
            "config_sequence",
            "Configurations applied since the start",
            this.sequence.clone(),
        );
        registry.register(
            "operator_connected",
            "1 while the stream from the operator lives",
            this.connected.clone(),
        );
        let help = "1 while the configuration of an earlier process is served, because the operator has said nothing yet";
        registry.register("config_kept", help, this.kept.clone());
        let help = "Configurations that could not be kept in the state folder";
        registry.register("state_write_failures", help, this.state_write_failures.clone());
        let help = "Configurations refused as a whole";
        registry.register("snapshots_refused", help, this.snapshots_refused.clone());
        let help = "Attempts to read changed files that left the old ones in use";
        registry.register("reload_failures", help, this.reload_failures.clone());
        let help = "Connections closed for saying nothing, or for want of places, by listener and reason";
        registry.register("connections_closed", help, this.connections_closed.clone());
        all.register_collector(Box::new(this.policies.clone()));
        *this.registry.lock() = all;
        this
    }

    /// How often these files could not be used.
    pub fn reload_failures(&self, files: &'static str) -> Counter {
        self.reload_failures.get_or_create_owned(&FileLabels { files })
    }

    pub fn meter(&self, object: &ObjectKey) -> Meter {
        self.meters.get(object)
    }

    /// The object is gone and so are its series.
    pub fn forget(&self, object: &ObjectKey) {
        self.meters.forget(object);
    }

    /// Where policies are counted. Their names come from the configuration.
    pub fn policies(&self) -> Arc<dyn genkan_policies::Meters> {
        Arc::new(self.policies.clone())
    }

    /// Plans were linked anew: the series of policies that none has any more go.
    pub fn prune_policies(&self) {
        self.policies.prune();
    }

    /// Shows the entries of extensions that are served.
    pub fn show_entries(&self, current: &Arc<Current>) {
        let entries = Box::new(Entries(Arc::clone(current)));
        self.registry.lock().register_collector(entries);
    }

    /// Counts an answer that genkan made itself. `reason` is one of a fixed set.
    pub fn answered(&self, reason: &'static str, code: u16) {
        self.answers.get_or_create(&ReasonLabels { reason, code }).inc();
    }

    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry.lock());
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn series_come_and_go_with_their_object() {
        let metrics = Metrics::default();
        let meter = metrics.meter(&ObjectKey::reverse_proxy("shop"));
        meter.record(204, Duration::from_millis(3));
        meter.record(0, Duration::ZERO);
        metrics.answered("NoRouteMatched", 404);
        let text = metrics.render();
        for line in [
            r#"genkan_dataplane_requests_total{kind="ReverseProxy",namespace="",name="shop",code="2xx"} 1"#,
            r#"genkan_dataplane_requests_total{kind="ReverseProxy",namespace="",name="shop",code="none"} 1"#,
            "# HELP genkan_dataplane_requests Requests by object and class of the answer.",
            "# TYPE genkan_dataplane_request_seconds histogram",
            "# UNIT genkan_dataplane_request_seconds seconds",
            r#"genkan_dataplane_request_seconds_count{kind="ReverseProxy",namespace="",name="shop"} 2"#,
            r#"genkan_dataplane_answers_total{reason="NoRouteMatched",code="404"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        metrics.forget(&ObjectKey::reverse_proxy("shop"));
        assert!(!metrics.render().contains("shop"));
    }
}
