use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use genkan_routing::model::ObjectKey;
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::warn;

use super::{Queue, Write, said};
use crate::input::{Input, WriteOutcome};

/// Tells statuses of objects from files: a line each on standard output, or a file each in a folder.
#[derive(Debug)]
pub struct Printer {
    pub queue: Arc<Queue>,
    pub engine: mpsc::Sender<Input>,
    /// Where `ReverseProxy.NAME.json` and `APIService.NAME.json` are written, if anywhere.
    pub folder: Option<PathBuf>,
}

// === impl Printer ===

impl Printer {
    /// Runs until the engine is gone.
    pub async fn run(self) {
        while !self.engine.is_closed() {
            let (key, write) = self.queue.next().await;
            match &self.folder {
                None => print(&key, &write),
                Some(folder) => {
                    let path = folder.join(format!("{}.json", key.to_string().replace('/', ".")));
                    if let Err(e) = std::fs::write(&path, format!("{:#}\n", write.status)) {
                        warn!(path = %path.display(), error = %e, "status not written");
                    }
                }
            }
            let Write {
                uid,
                resource_version,
                status,
                ..
            } = write;
            let outcome = WriteOutcome::Done {
                key,
                uid,
                before: resource_version.clone(),
                after: resource_version,
                status,
            };
            // The engine ends only with the process.
            let _ = self.engine.send(Input::Written(outcome)).await;
        }
    }
}

fn print(key: &ObjectKey, write: &Write) {
    let mut text = key.to_string();
    for kind in ["Accepted", "ResolvedRefs", "Programmed", "Ready"] {
        text.push_str(&format!(" {kind}={}", said(&write.status, kind).0));
    }
    if let Some(told) = worst(&write.status) {
        text.push_str(&format!(" {}: {}", told.0, told.1));
    }
    // Nobody has to read it.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Reason and message of the first condition that is not true.
fn worst(status: &Value) -> Option<(&str, &str)> {
    let condition = status["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["status"] != "True")?;
    Some((condition["reason"].as_str()?, condition["message"].as_str()?))
}
