pub mod assembly;
mod backoff;
mod connecting;
mod rolling;
mod values;
mod verdicts;

use std::sync::Arc;
use std::time::Duration;

use genkan_proto::v1alpha1::config_stream_client::ConfigStreamClient;
use genkan_proto::v1alpha1::{
    Ack, Hello, OperatorMessage, ProxyMessage, Reports, operator_message, proxy_message,
};
use genkan_proto::{Hash, MAX_CHUNK, PROTOCOL_VERSION, codec};
use genkan_routing::model::Report;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::duties::Duties;
use crate::health::HealthReports;
use crate::last_known_good::{Keeper, LastKnownGood, Update};
use crate::metrics::Metrics;
use crate::rollouts::{Reports as ExtensionReports, Rollouts};
use crate::tables::{Applied, ApplyError, Builder, Change, Current, Tables};
use crate::tasks::aside;
use crate::usage::Usage;
use assembly::{Assembly, AssemblyError};
use backoff::Backoff;
pub use connecting::{ConnectError, Credentials};
use values::{Values, ValuesError};

/// Keeps the tables in step with the operator.
#[derive(Debug)]
pub struct Subscriber {
    pub operator: String,
    /// `None` in plain text.
    pub credentials: Option<Credentials>,
    pub name: String,
    /// One for the life of a process.
    pub instance: String,
    pub builder: Builder,
    pub current: Arc<Current>,
    pub health: Arc<HealthReports>,
    pub metrics: Arc<Metrics>,
    /// `None` when nothing is to be kept.
    pub keeper: Option<Arc<Keeper>>,
    /// The last message was refused: only everything, from the beginning, is to be trusted.
    pub is_lost: bool,
    /// What this process does for all, and what comes of it.
    pub duties: Duties,
    pub reports: mpsc::Receiver<Report>,
    pub usage: Arc<Usage>,
    /// Its part in roll-outs of extensions.
    pub rollouts: Rollouts,
    pub extension_reports: ExtensionReports,
}

/// What is known of one stream.
#[derive(Debug, Default)]
struct SyncState {
    assembly: Assembly,
    has_acknowledged: bool,
    values: Values,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the operator does not let this process in: {0}; its log says more")]
    Refused(String),
    #[error("the operator ended the stream: {0}")]
    Status(#[source] Box<tonic::Status>),
    #[error("the operator accepted the connection and did not answer within {} s", ANSWER.as_secs())]
    Silent,
    #[error("the operator closed the stream")]
    Closed,
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    #[error(transparent)]
    Values(#[from] ValuesError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// For the first sign of an operator that has accepted the connection.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a request may look at the tables, and much longer.
const RETIREMENT: Duration = Duration::from_millis(100);
/// A message of so many bytes, compressed, is taken in while the other tasks of this worker wait.
const LITTLE: usize = 4 << 10;
/// Answers waiting to be sent; an operator that reads nothing gets nothing new either.
const QUEUE: usize = 16;

// === impl StreamError ===

impl From<tonic::Status> for StreamError {
    fn from(status: tonic::Status) -> Self {
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self::Refused(status.message().to_owned()),
            _ => Self::Status(Box::new(status)),
        }
    }
}

// === impl Subscriber ===

impl Subscriber {
    /// Serves what was kept, until the operator says something.
    ///
    /// # Errors
    /// When it is not what it says it is; nothing is served then.
    pub fn resume(&mut self, kept: &LastKnownGood) -> Result<(), ApplyError> {
        self.builder.keep_active(kept.active.clone());
        let applied = self.builder.apply(Change {
            base: None,
            upserts: &kept.upserts,
            removals: &[],
            announced: &kept.hash.0,
        })?;
        // What is wrong with it is told with the first acknowledgement, as everything is.
        self.publish(0, applied, true, true);
        self.current.keep_since(kept.at);
        self.metrics.kept.set(1);
        Ok(())
    }

    /// Serves the stream, again and again, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let error = tokio::select! {
                () = stop.cancelled() => return,
                Err(error) = self.session(&mut backoff) => error,
            };
            self.metrics.connected.set(0);
            self.duties.end();
            self.rollouts.is_alone();
            self.keeper.iter().for_each(|keeper| keeper.doubt());
            let pause = backoff.next();
            tracing::warn!(operator = self.operator, %error, ?pause, "the configuration stream is down; what is served stays");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn session(&mut self, backoff: &mut Backoff) -> Result<std::convert::Infallible, StreamError> {
        let credentials = self.credentials.as_ref();
        let bearer = credentials.map(Credentials::bearer).transpose()?;
        let channel = connecting::connect(&self.operator, credentials).await?;
        let mut client = ConfigStreamClient::new(channel).max_decoding_message_size(2 * MAX_CHUNK);
        let (answers, queue) = mpsc::channel(QUEUE);
        // Both ends of a new channel are ours: there is room.
        let _ = answers.try_send(message(proxy_message::Message::Hello(self.hello())));
        let mut request = tonic::Request::new(ReceiverStream::new(queue));
        if let Some(bearer) = bearer {
            request.metadata_mut().insert("authorization", bearer);
        }
        let response = tokio::time::timeout(ANSWER, client.subscribe(request))
            .await
            .map_err(|_| StreamError::Silent)??;
        let mut stream = response.into_inner();
        self.metrics.connected.set(1);
        tracing::info!(operator = self.operator, "the configuration stream is up");
        self.health.tell_again();
        self.rollouts.begin();
        self.extension_reports = ExtensionReports::default();
        let mut progress = SyncState::default();
        let (health, usage) = (Arc::clone(&self.health), Arc::clone(&self.usage));
        let current = Arc::clone(&self.current);
        loop {
            let received = tokio::select! {
                received = stream.message() => received?.ok_or(StreamError::Closed)?,
                // A permit first: news that are taken from the health are sent.
                permit = answers.reserve() => {
                    let Ok(permit) = permit else { return Err(StreamError::Closed) };
                    tokio::select! {
                        received = stream.message() => {
                            drop(permit);
                            received?.ok_or(StreamError::Closed)?
                        }
                        Some(report) = self.reports.recv() => {
                            let reports = vec![codec::report_to_wire(&report)];
                            permit.send(message(proxy_message::Message::Reports(Reports { reports })));
                            continue;
                        }
                        (uses, escapes) = usage.next() => {
                            let used = codec::uses_to_wire(&uses, &escapes);
                            permit.send(message(proxy_message::Message::Used(used)));
                            continue;
                        }
                        state = self.rollouts.next() => {
                            permit.send(rolling::message(&state));
                            continue;
                        }
                        report = self.extension_reports.next(&current) => {
                            let report = codec::extension_report_to_wire(&report);
                            permit.send(message(proxy_message::Message::ExtensionReport(report)));
                            continue;
                        }
                        health = health.next() => {
                            let health = codec::health_to_wire(&health);
                            permit.send(message(proxy_message::Message::Health(health)));
                            continue;
                        }
                    }
                }
            };
            self.receive(received, &mut progress, &answers).await?;
            // After a message that was of use: an operator whose snapshots are refused is not asked in a hurry.
            backoff.reset();
        }
    }

    fn hello(&self) -> Hello {
        let tables = self.current.load();
        let wants_everything = |keeper: &Arc<Keeper>| keeper.wants_everything();
        let is_to_be_kept = self.keeper.as_ref().is_some_and(wants_everything);
        let have_hash = if tables.sequence == 0 || self.is_lost || is_to_be_kept {
            Vec::new()
        } else {
            tables.hash.0.to_vec()
        };
        Hello {
            protocol_version: PROTOCOL_VERSION,
            name: self.name.clone(),
            instance: self.instance.clone(),
            capabilities: codec::CAPABILITIES.map(str::to_owned).to_vec(),
            have_hash,
            lacks_secrets: self.builder.lacks_secrets(),
            active: codec::active_to_wire(&self.builder.active()),
        }
    }

    async fn receive(
        &mut self,
        received: OperatorMessage,
        progress: &mut SyncState,
        answers: &mpsc::Sender<ProxyMessage>,
    ) -> Result<(), StreamError> {
        let chunk = match received.message {
            Some(operator_message::Message::Snapshot(chunk)) => chunk,
            Some(operator_message::Message::Secrets(values)) => return Ok(progress.values.add(values)?),
            Some(operator_message::Message::Duties(duties)) => {
                self.duties.give(codec::duties_from_wire(duties));
                self.begin_duties();
                return Ok(());
            }
            Some(operator_message::Message::Rollout(rollout)) => {
                return self.roll(rollout, progress, answers).await;
            }
            // A message of a later version.
            None => return Ok(()),
        };
        let nonce = chunk.nonce;
        let is_long = chunk.base_hash.is_empty() || chunk.index > 0 || chunk.payload.len() > LITTLE;
        let active = self.builder.active();
        let (builder, values) = (&mut self.builder, &mut progress.values);
        let outcome = aside(is_long, || match progress.assembly.add(chunk) {
            Ok(None) => None,
            Ok(Some(complete)) => {
                builder.expect(values.take(nonce));
                let change = Change {
                    base: complete.base,
                    upserts: &complete.snapshot.upserts,
                    removals: &complete.snapshot.removals,
                    announced: &complete.hash,
                };
                let applied = builder.apply(change);
                let applied = applied.map(|applied| (applied, complete.base, complete.frame));
                Some(applied.map_err(StreamError::from))
            }
            Err(error) => Some(Err(error.into())),
        });
        let Some(outcome) = outcome else { return Ok(()) };
        let (answer, outcome) = match outcome {
            Ok((applied, base, frame)) => {
                let hash = applied.tables.hash;
                let is_first = !std::mem::replace(&mut progress.has_acknowledged, true);
                let all = base.is_none() || is_first || applied.concerns_others;
                self.is_lost = false;
                let is_long = is_long || all;
                let answer = aside(is_long, || self.publish(nonce, applied, all, is_long));
                self.current.keep_since(0);
                self.metrics.kept.set(0);
                if let Some(keeper) = &self.keeper {
                    keeper.note(Update { base, hash, frame });
                }
                self.begin_duties();
                (answer, Ok(()))
            }
            Err(error) => {
                self.is_lost = true;
                self.metrics.snapshots_refused.inc();
                let hash = self.current.load().hash;
                (
                    Ack {
                        nonce,
                        hash: wire_hash(hash),
                        error: error.to_string(),
                        ..Ack::default()
                    },
                    Err(error),
                )
            }
        };
        let sent = answers.send(message(proxy_message::Message::Ack(answer))).await;
        match outcome {
            // Gives the refusal time to leave before the stream is dropped.
            Err(error) => {
                let drained = answers.reserve_many(QUEUE);
                let _ = tokio::time::timeout(Duration::from_secs(1), drained).await;
                Err(error)
            }
            Ok(()) => {
                sent.map_err(|_| StreamError::Closed)?;
                self.tell_active(&active, answers).await
            }
        }
    }

    /// Those of which the plan is there.
    fn begin_duties(&mut self) {
        let builder = &self.builder;
        self.duties.begin(|duty| builder.secret(&duty.plan));
    }

    /// `all`: the answer tells what is wrong with everything that is served, not only with the change. `is_long`: much of
    /// what was served until now goes.
    fn publish(&mut self, nonce: u64, mut applied: Applied, all: bool, is_long: bool) -> Ack {
        let hash = applied.tables.hash;
        let (sequence, objects) = (applied.tables.sequence, applied.tables.routes.size());
        let verdicts = match all {
            true => self.builder.verdicts(),
            false => std::mem::take(&mut applied.verdicts),
        };
        let gone = std::mem::take(&mut applied.gone);
        let old = applied.publish(&self.current);
        gone.iter().for_each(|object| self.health.forget(object));
        tokio::spawn(retire(old, is_long));
        self.metrics
            .objects
            .set(i64::try_from(objects).unwrap_or(i64::MAX));
        self.metrics
            .sequence
            .set(i64::try_from(sequence).unwrap_or(i64::MAX));
        tracing::info!(%hash, sequence, objects, stubs = verdicts.len(), "a configuration is in force");
        Ack {
            nonce,
            hash: wire_hash(hash),
            verdicts: verdicts::bounded(verdicts),
            error: String::new(),
            complete: all,
        }
    }
}

/// Frees old tables once no request looks at them any more.
async fn retire(old: Arc<Tables>, is_long: bool) {
    while Arc::strong_count(&old) > 1 {
        tokio::time::sleep(RETIREMENT).await;
    }
    aside(is_long, || drop(old));
}

fn wire_hash(hash: Hash) -> Vec<u8> {
    hash.0.to_vec()
}

fn message(message: proxy_message::Message) -> ProxyMessage {
    ProxyMessage {
        message: Some(message),
    }
}
