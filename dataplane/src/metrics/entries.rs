use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::tables::Current;

/// The entries of extensions, read from what is served when somebody looks.
#[derive(Debug)]
pub(super) struct Entries(pub(super) Arc<Current>);

// === impl Entries ===

impl Collector for Entries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let tables = self.0.load();
        if tables.extensions.is_empty() {
            return Ok(());
        }
        let objections = tables.objections();
        let help = "Entries of gateway extensions and their state: active, waiting or objection.";
        let mut info = encoder.encode_descriptor("extension_entry_info", help, None, MetricType::Gauge)?;
        for extension in tables.extensions.iter() {
            for entry in &extension.entries {
                let (state, _) = extension.state(entry, &objections);
                let labels = [
                    ("extension", extension.name.as_str()),
                    ("entry", entry.name.as_str()),
                    ("state", state),
                ];
                ConstGauge::new(1_i64).encode(info.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
