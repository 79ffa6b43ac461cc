mod pushing;
mod rolling;

use std::sync::Arc;
use std::time::Duration;

use genkan_accept::Call;
use genkan_compile::sentence::bounded;
use genkan_compile::verdict::MAX_MESSAGE;
use genkan_proto::v1alpha1::operator_message::Message as Out;
use genkan_proto::v1alpha1::proxy_message::Message as In;
use genkan_proto::v1alpha1::{Ack, Health, Hello, OperatorMessage, ProxyMessage, Reports};
use genkan_proto::{Hash, MAX_REPORTS, PROTOCOL_VERSION, codec};
use genkan_routing::model::Objection;
use rand::Rng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tonic::{Status, Streaming};
use tracing::{debug, warn};

use crate::duties::Told;
use crate::fleet::SessionId;
use crate::input::Input;
use crate::metrics::Metrics;
use crate::rollouts;
use crate::serve::gate::Caller;
use crate::serve::review::Refusal;
use crate::snapshot::{Feed, Push, Scope};

/// A stream that says nothing at first, or never answers a push, is ended.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
const ACK_WITHIN: Duration = Duration::from_secs(60);
/// Who reads nothing is not told why the stream ends.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);
/// Streams end by themselves after about this long, so that proxies spread over replicas again.
const AGE: Duration = Duration::from_secs(30 * 60);

/// What a proxy says that it can do, to be sent secrets.
const SECRETS: &str = "secrets";

/// The same, to be given what one does for all.
const DUTIES: &str = "duties";

/// The reason of streams that were ended for what was said on them.
const PROTOCOL: &str = "Protocol";

/// One stream of one proxy.
pub struct Session {
    pub id: SessionId,
    pub engine: mpsc::Sender<Input>,
    pub feed: Arc<Feed>,
    pub stop: watch::Receiver<bool>,
    pub duties: Option<watch::Receiver<Told>>,
    pub rollouts: Option<watch::Receiver<rollouts::Told>>,
    pub out: mpsc::Sender<Result<OperatorMessage, Status>>,
    pub metrics: Arc<Metrics>,
    /// `None` in plain text.
    pub caller: Option<Caller>,
    /// It was reviewed, over TLS; or this operator was told to send secrets in plain text.
    pub may_have_secrets: bool,
    /// Its connection does not wait.
    pub _call: Call,
}

/// A push that the proxy has not answered yet.
struct InFlight {
    nonce: u64,
    push: Arc<Push>,
    deadline: Instant,
}

/// What is known of the proxy's state.
#[derive(Default)]
struct Held {
    /// The hash of what it acknowledged or, before that, of what it says it has.
    hash: Option<Hash>,
    /// It acknowledged something on this stream.
    has_acknowledged: bool,
    /// It is to be sent secrets.
    takes_secrets: bool,
    /// It has not all that its hash names.
    lacks_secrets: bool,
}

/// The end of a stream, which the engine learns of in any case: one that panics or is dropped is gone as well.
struct Departure {
    engine: mpsc::Sender<Input>,
    gone: Option<Input>,
}

// === impl Departure ===

impl Departure {
    async fn tell(mut self) {
        if let Some(gone) = self.gone.take() {
            // The engine ends only with the process.
            let _ = self.engine.send(gone).await;
        }
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        let Some(gone) = self.gone.take() else { return };
        let engine = self.engine.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { engine.send(gone).await });
        }
    }
}

// === impl Session ===

impl Session {
    pub async fn run(self, mut messages: Streaming<ProxyMessage>) {
        let hello = match tokio::time::timeout(HELLO_WITHIN, messages.message()).await {
            Ok(Ok(Some(ProxyMessage {
                message: Some(In::Hello(hello)),
            }))) => hello,
            Ok(Ok(None)) => return,
            Ok(Err(_)) => return,
            _ => {
                return self
                    .refuse(Status::invalid_argument(
                        "the first message must be Hello, within 10 s",
                    ))
                    .await;
            }
        };
        if hello.protocol_version != PROTOCOL_VERSION {
            let text = format!(
                "protocol version {} is not spoken here, but {PROTOCOL_VERSION}; run the same release of both programs",
                hello.protocol_version
            );
            return self.refuse(Status::failed_precondition(text)).await;
        }
        if [&hello.name, &hello.instance]
            .into_iter()
            .any(|text| !is_name(text))
        {
            let text = "name and instance are at most 253 printable characters";
            return self.refuse(Status::invalid_argument(text)).await;
        }
        let held = Held {
            hash: Hash::read(&hello.have_hash),
            has_acknowledged: false,
            takes_secrets: self.may_have_secrets && hello.capabilities.iter().any(|word| word == SECRETS),
            lacks_secrets: hello.lacks_secrets,
        };
        // A plan is a secret.
        let does_duties = held.takes_secrets && hello.capabilities.iter().any(|word| word == DUTIES);
        let Some(name) = self.connect(hello, does_duties).await else {
            return;
        };
        let departure = Departure {
            engine: self.engine.clone(),
            gone: Some(Input::Disconnected {
                name: name.clone(),
                session: self.id,
            }),
        };
        let (ended, reason) = tokio::select! {
            ended = self.exchange(&name, held, &mut messages) => (ended, PROTOCOL),
            refusal = self.lapse() => (Err(refusal.status()), refusal.reason()),
        };
        if let Err(status) = &ended {
            warn!(proxy = %name, reason = %status.message(), "stream broken");
        }
        departure.tell().await;
        if let Err(status) = ended {
            self.end(status, reason).await;
        }
    }

    /// The right to the stream ends with the token, or with the Pod that it is bound to.
    async fn lapse(&self) -> Refusal {
        match &self.caller {
            Some(caller) => caller.lapse().await,
            None => std::future::pending().await,
        }
    }

    async fn connect(&self, hello: Hello, does_duties: bool) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        let active = rolling::active(hello.active);
        let (name, instance) = match &self.caller {
            // What a proxy says of itself counts only within its own Pod.
            Some(Caller { identity, .. }) => {
                let instance = format!("{}/{}", identity.uid, hello.instance);
                (identity.pod.clone(), instance)
            }
            None if hello.name.is_empty() => (hello.instance.clone(), hello.instance),
            None => (hello.name, hello.instance),
        };
        let input = Input::Connected {
            name,
            instance,
            session: self.id,
            does_duties,
            active,
            reply,
        };
        self.engine.send(input).await.ok()?;
        answer.await.ok()
    }

    /// Pushes what is new whenever nothing is in flight, until the stream ends.
    async fn exchange(
        &self,
        name: &str,
        mut held: Held,
        messages: &mut Streaming<ProxyMessage>,
    ) -> Result<(), Status> {
        let age = AGE.mul_f64(rand::rng().random_range(0.8..1.2));
        let end = Instant::now() + age;
        let mut nonce = 0;
        let mut in_flight: Option<InFlight> = None;
        let mut version = self.feed.version();
        let mut stop = self.stop.clone();
        let mut duties = self.duties.clone();
        let mut given = Arc::default();
        let (mut rollouts, mut passed_on) = (self.rollouts.clone(), 0);
        duties.iter_mut().for_each(watch::Receiver::mark_changed);
        rollouts.iter_mut().for_each(watch::Receiver::mark_changed);
        version.mark_changed();
        loop {
            let deadline = in_flight.as_ref().map_or(end, |f| f.deadline.min(end));
            tokio::select! {
                changed = version.changed(), if in_flight.is_none() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let wanted = *version.borrow_and_update();
                    if held.has_acknowledged && held.hash == wanted.map(|version| version.hash) {
                        continue;
                    }
                    nonce += 1;
                    in_flight = Some(self.push(nonce, &held).await?);
                }
                Some(told) = told(&mut duties) => {
                    let now = told.get(&self.id).cloned().unwrap_or_default();
                    if now != given {
                        let message = Out::Duties(codec::duties_to_wire(&now));
                        let sent = self.out.send(Ok(OperatorMessage { message: Some(message) })).await;
                        sent.map_err(|_| Status::cancelled("the stream is gone"))?;
                        given = now;
                    }
                }
                Some(told) = told(&mut rollouts) => passed_on = self.pass_on(&told, passed_on).await?,
                message = messages.message() => match message? {
                    None => return Ok(()),
                    Some(ProxyMessage { message: Some(In::Ack(ack)) }) => {
                        let Some(sent) = in_flight.take_if(|f| f.nonce == ack.nonce) else {
                            warn!(proxy = %name, nonce = ack.nonce, "an acknowledgement of nothing that was sent is ignored");
                            self.metrics.refused(PROTOCOL);
                            continue;
                        };
                        self.acknowledged(name, &held, &sent.push, ack).await?;
                        held = Held {
                            hash: Some(sent.push.version.hash),
                            has_acknowledged: true,
                            lacks_secrets: false,
                            ..held
                        };
                        // It may be behind already: of what happened meanwhile nobody was told.
                        version.mark_changed();
                    }
                    Some(ProxyMessage { message: Some(In::Health(health)) }) => self.reported(name, health).await,
                    Some(ProxyMessage { message: Some(In::Reports(reports)) }) => {
                        if codec::reports_len(&reports) > MAX_REPORTS {
                            return Err(Status::invalid_argument("Reports has more than 64 KiB"));
                        }
                        self.fulfilled(reports).await;
                    }
                    Some(ProxyMessage { message: Some(In::Used(used)) }) => {
                        if codec::reports_len(&used) > MAX_REPORTS {
                            return Err(Status::invalid_argument("Used has more than 64 KiB"));
                        }
                        // The engine ends only with the process.
                        let (uses, escapes) = codec::uses_from_wire(used);
                        let _ = self.engine.send(Input::Used(uses)).await;
                        let _ = self.engine.send(Input::Escaped(escapes)).await;
                    }
                    Some(ProxyMessage { message: Some(In::RolloutState(state)) }) => self.rolled_out(name, state).await,
                    Some(ProxyMessage { message: Some(In::ExtensionReport(report)) }) => {
                        self.extension_reported(name, report).await;
                    }
                    Some(ProxyMessage { message: Some(In::Hello(_)) }) => {
                        return Err(Status::invalid_argument("Hello was said already"));
                    }
                    Some(ProxyMessage { message: None }) => debug!(proxy = %name, "a message of a later version"),
                },
                () = tokio::time::sleep_until(deadline) => {
                    return if Instant::now() >= end {
                        Ok(())
                    } else {
                        Err(Status::deadline_exceeded("the last snapshot was not acknowledged within 60 s"))
                    };
                }
                _ = stop.changed() => return Ok(()),
            }
        }
    }

    async fn acknowledged(&self, name: &str, held: &Held, push: &Push, ack: Ack) -> Result<(), Status> {
        if !ack.error.is_empty() || ack.hash != push.version.hash.0 {
            self.metrics.refused_snapshots.inc();
            let why = if ack.error.is_empty() {
                "it computed another hash"
            } else {
                &ack.error
            };
            return Err(Status::aborted(format!("the proxy refused the snapshot: {why}")));
        }
        self.metrics.acknowledged.inc();
        let objections = ack
            .verdicts
            .into_iter()
            .filter_map(codec::objection_from_wire)
            .map(|objection| Objection {
                reason: bounded(objection.reason, MAX_MESSAGE),
                message: bounded(objection.message, MAX_MESSAGE),
                ..objection
            })
            .collect();
        let scope = if held.has_acknowledged && !ack.complete {
            push.scope.clone()
        } else {
            Scope::Everything
        };
        let (name, session, sequence) = (name.to_string(), self.id, push.version.sequence);
        // The engine ends only with the process.
        let _ = self
            .engine
            .send(Input::Acknowledged {
                name,
                session,
                sequence,
                scope,
                objections,
            })
            .await;
        Ok(())
    }

    async fn reported(&self, name: &str, health: Health) {
        let Some(mut health) = codec::health_from_wire(health) else {
            return;
        };
        health.error = bounded(health.error, MAX_MESSAGE);
        let _ = self
            .engine
            .send(Input::Reported {
                name: name.to_string(),
                session: self.id,
                health,
            })
            .await;
    }

    /// What came of duties: whether they are its own is for the engine to say.
    async fn fulfilled(&self, reports: Reports) {
        let mut reports = codec::reports_from_wire(reports);
        for report in &mut reports {
            let message = std::mem::take(&mut report.outcome.message);
            report.outcome.message = bounded(message, MAX_MESSAGE);
        }
        if !reports.is_empty() {
            let session = self.id;
            // The engine ends only with the process.
            let _ = self.engine.send(Input::Reports { session, reports }).await;
        }
    }

    async fn refuse(&self, status: Status) {
        let pod = self.caller.as_ref().map_or("", |caller| &caller.identity.pod);
        warn!(pod, reason = %status.message(), "stream refused");
        self.end(status, PROTOCOL).await;
    }

    async fn end(&self, status: Status, reason: &'static str) {
        self.metrics.refused(reason);
        // The proxy may have gone already, or read nothing any more.
        let _ = tokio::time::timeout(FAREWELL_WITHIN, self.out.send(Err(status))).await;
    }
}

/// What all streams are told, when that changes.
async fn told<T>(told: &mut Option<watch::Receiver<Arc<T>>>) -> Option<Arc<T>> {
    match told {
        Some(told) => {
            told.changed().await.ok()?;
            Some(Arc::clone(&told.borrow_and_update()))
        }
        None => std::future::pending().await,
    }
}

/// It stands in logs and in conditions.
fn is_name(text: &str) -> bool {
    text.len() <= 253 && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_that_dies_is_told_of_and_one_that_ends_is_told_of_once() {
        let (engine, mut inputs) = mpsc::channel(4);
        let departure = || Departure {
            engine: engine.clone(),
            gone: Some(Input::Disconnected {
                name: "edge".into(),
                session: 7,
            }),
        };
        let dying = departure();
        let died = tokio::spawn(async move {
            let _dying = dying;
            panic!("a fault in a stream");
        });
        assert!(died.await.unwrap_err().is_panic());
        assert!(matches!(
            inputs.recv().await,
            Some(Input::Disconnected { session: 7, .. })
        ));
        departure().tell().await;
        assert!(matches!(inputs.recv().await, Some(Input::Disconnected { .. })));
        assert!(inputs.try_recv().is_err());
    }
}
