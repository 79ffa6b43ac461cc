use std::sync::Arc;
use std::time::Duration;

use genkan_compile::object::Kind;
use genkan_routing::model::ObjectKey;
use genkan_tools::resource;
use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::events::{Events, Publisher};
use super::{MANAGER, Queue, TIMEOUT, Write, event};
use crate::input::{Input, WriteOutcome};
use crate::metrics::Metrics;

const CONCURRENCY: usize = 8;
/// When a write is tried again: after a conflict an event is on its way; other causes last longer.
const AFTER_CONFLICT: Duration = Duration::from_millis(500);
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Writes statuses by server-side apply, and has transitions told as Events.
pub struct KubernetesWriter {
    worker: Worker,
    publisher: Publisher,
}

#[derive(Clone)]
struct Worker {
    client: Client,
    events: Events,
    queue: Arc<Queue>,
    engine: mpsc::Sender<Input>,
    metrics: Arc<Metrics>,
}

// === impl KubernetesWriter ===

impl KubernetesWriter {
    pub fn new(
        client: Client,
        queue: Arc<Queue>,
        engine: mpsc::Sender<Input>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (events, publisher) = Events::new(client.clone(), Arc::clone(&queue), Arc::clone(&metrics));
        let worker = Worker {
            client,
            events,
            queue,
            engine,
            metrics,
        };
        Self { worker, publisher }
    }

    /// Runs until the engine is gone.
    pub async fn run(self) {
        let mut workers = JoinSet::new();
        workers.spawn(self.publisher.run());
        for _ in 0..CONCURRENCY {
            let worker = self.worker.clone();
            workers.spawn(async move {
                while !worker.engine.is_closed() {
                    let (key, write) = worker.queue.next().await;
                    worker.write(key, write).await;
                }
            });
        }
        // A worker that panicked must end the process, not leave status unwritten.
        workers.join_next().await;
    }
}

// === impl Worker ===

impl Worker {
    async fn write(&self, key: ObjectKey, write: Write) {
        let answer = tokio::time::timeout(TIMEOUT, self.apply(&key, &write)).await;
        let outcome = match answer {
            Ok(Ok(after)) => {
                self.metrics.status_writes.inc();
                WriteOutcome::Done {
                    key: key.clone(),
                    uid: write.uid.clone(),
                    before: write.resource_version.clone(),
                    after,
                    status: write.status.clone(),
                }
            }
            Ok(Err(kube::Error::Api(e))) if e.code == 404 => {
                if !self.exists(&key).await {
                    debug!(object = %key, "gone before its status was written");
                    return;
                }
                warn!(
                    object = %key,
                    "status not written: its CRD has no status subresource; apply the output of `genkan crds`"
                );
                self.metrics.status_errors.inc();
                WriteOutcome::Refused {
                    key: key.clone(),
                    again: AFTER_FAILURE,
                }
            }
            Ok(Err(kube::Error::Api(e))) if e.code == 409 => {
                debug!(object = %key, "changed before its status was written");
                self.metrics.status_conflicts.inc();
                WriteOutcome::Refused {
                    key: key.clone(),
                    again: AFTER_CONFLICT,
                }
            }
            Ok(Err(e)) => {
                warn!(object = %key, error = %e, "status not written");
                self.metrics.status_errors.inc();
                WriteOutcome::Refused {
                    key: key.clone(),
                    again: AFTER_FAILURE,
                }
            }
            Err(_) => {
                warn!(object = %key, "status not written: the API server did not answer within 5 s");
                self.metrics.status_errors.inc();
                WriteOutcome::Refused {
                    key: key.clone(),
                    again: AFTER_FAILURE,
                }
            }
        };
        let done = matches!(outcome, WriteOutcome::Done { .. });
        // The engine ends only with the process.
        let _ = self.engine.send(Input::Written(outcome)).await;
        if done {
            let (before, after) = (&write.before, &write.status);
            let revision = event::of_revision(before, after, &write.manager);
            let others = event::of(before, after)
                .into_iter()
                .chain(event::of_escape(before, after));
            for event in revision.into_iter().chain(others) {
                self.events.tell(key.clone(), write.uid.clone(), event);
            }
        }
    }

    async fn exists(&self, key: &ObjectKey) -> bool {
        let resource = resource::of(Kind::Published(key.kind));
        let api = resource::api(&self.client, &resource, &key.namespace);
        matches!(
            tokio::time::timeout(TIMEOUT, api.get_opt(&key.name)).await,
            Ok(Ok(Some(_)))
        )
    }

    /// Returns the resource version that the write made.
    async fn apply(&self, key: &ObjectKey, write: &Write) -> Result<String, kube::Error> {
        let resource = resource::of(Kind::Published(key.kind));
        let api = resource::api(&self.client, &resource, &key.namespace);
        let patch = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"namespace": key.namespace, "name": key.name, "uid": write.uid, "resourceVersion": write.resource_version},
            "status": write.status,
        });
        let params = PatchParams::apply(MANAGER).force();
        let written = api
            .patch_status(&key.name, &params, &Patch::Apply(&without_empty(patch)))
            .await?;
        Ok(written.metadata.resource_version.unwrap_or_default())
    }
}

/// An object read from a file has no uid or version; an empty one would be taken for a precondition.
fn without_empty(mut patch: Value) -> Value {
    if let Some(metadata) = patch["metadata"].as_object_mut() {
        metadata.retain(|_, value| value != "");
    }
    patch
}

impl std::fmt::Debug for KubernetesWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesWriter")
            .field("queue", &self.worker.queue.len())
            .finish_non_exhaustive()
    }
}
