use std::collections::BTreeMap;

use genkan_routing::model::policy::ExtensionReport;
use tokio::time::Instant;

use super::Settings;

/// A data plane that is watched before the next is taken.
#[derive(Debug)]
pub(super) struct Soaking {
    pub(super) pod: String,
    pub(super) until: Instant,
    /// What it had told when that began.
    pub(super) baseline: Option<ExtensionReport>,
}

// === impl Soaking ===

impl Soaking {
    /// Why it is no good: its steps fail more often than they may, and more than twice as often as elsewhere.
    pub(super) fn breach(
        &self,
        reports: &BTreeMap<String, ExtensionReport>,
        settings: &Settings,
    ) -> Option<String> {
        let report = reports.get(&self.pod)?;
        let same = self
            .baseline
            .as_ref()
            .filter(|before| before.revision == report.revision);
        let (old_requests, old_errors) = same.map_or((0, 0), |before| (before.requests, before.errors));
        let requests = report.requests.saturating_sub(old_requests);
        let errors = report.errors.saturating_sub(old_errors);
        if requests < settings.min_requests.max(1) {
            return None;
        }
        let others = reports
            .iter()
            .filter(|(pod, other)| **pod != self.pod && other.revision != report.revision);
        let (mut all, mut failed) = (0, 0);
        for (_, other) in others {
            all += other.requests;
            failed += other.errors;
        }
        let (mine, theirs) = (ratio(errors, requests), ratio(failed, all));
        (mine > settings.max_error_ratio && mine > 2.0 * theirs).then(|| {
            format!(
                "{}: {errors} of {requests} requests met an error of its steps, and {} of them may",
                self.pod, settings.max_error_ratio
            )
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "a ratio of counts needs no more")]
fn ratio(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}
