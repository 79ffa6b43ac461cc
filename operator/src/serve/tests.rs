//! A scripted proxy against the real server.

use std::net::SocketAddr;

use genkan_proto::v1alpha1::config_stream_client::ConfigStreamClient;
use genkan_proto::v1alpha1::{
    Ack, Health, Hello, ResourceRef, Verdict, health, operator_message, proxy_message, verdict,
};
use genkan_proto::{Hash, PROTOCOL_VERSION, codec, decompress};
use genkan_routing::model::{BackendState, Endpoint, EndpointSet, ObjectKey, ObjectRef, Resource, SetKey};
use tonic::Code;

use super::*;

mod closed;
mod rollouts;
mod secrets;
mod waiting;

struct Rig {
    address: SocketAddr,
    feed: Arc<Feed>,
    engine: mpsc::Receiver<Input>,
    stop: watch::Sender<bool>,
}

struct Proxy {
    out: mpsc::Sender<ProxyMessage>,
    messages: Streaming<OperatorMessage>,
}

async fn mk_rig() -> Rig {
    mk_rig_that_sends_secrets(false).await
}

async fn mk_rig_that_sends_secrets(plaintext_secrets: bool) -> Rig {
    mk_rig_of(|service| service.with_plaintext_secrets(plaintext_secrets)).await
}

async fn mk_rig_of(adjust: impl FnOnce(Service) -> Service) -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, engine) = mpsc::channel(16);
    let feed = Arc::<Feed>::default();
    let (stop, stopped) = watch::channel(false);
    let service = adjust(Service::new(sender, Arc::clone(&feed), stopped, Arc::default()));
    tokio::spawn(service.serve_plaintext(listener));
    Rig {
        address,
        feed,
        engine,
        stop,
    }
}

fn mk_set(service: &str, port: u16) -> Resource {
    let key = SetKey {
        namespace: "n".into(),
        service: service.into(),
        port: 80,
    };
    let endpoint = Endpoint {
        address: [10, 0, 0, 1].into(),
        port,
    };
    Resource::endpoints(
        key,
        EndpointSet {
            endpoints: vec![endpoint],
        },
    )
}

fn publish(feed: &Feed, sets: Vec<Resource>) {
    feed.resources().apply(sets, &[], tokio::time::Instant::now());
    feed.publish();
}

fn mk_hello(version: u32) -> proxy_message::Message {
    proxy_message::Message::Hello(Hello {
        protocol_version: version,
        name: "edge".into(),
        instance: "i".into(),
        ..Hello::default()
    })
}

impl Rig {
    async fn subscribe(&self, first: proxy_message::Message) -> Result<Proxy, Status> {
        let mut client = ConfigStreamClient::connect(format!("http://{}", self.address))
            .await
            .unwrap();
        let (out, receiver) = mpsc::channel(8);
        out.send(ProxyMessage { message: Some(first) }).await.unwrap();
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Proxy {
            out,
            messages: client.subscribe(stream).await?.into_inner(),
        })
    }

    /// Plays the engine for a Hello.
    async fn admit(&mut self) {
        match self.engine.recv().await.unwrap() {
            Input::Connected { name, reply, .. } => reply.send(name).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

impl Proxy {
    async fn say(&self, message: proxy_message::Message) {
        self.out
            .send(ProxyMessage {
                message: Some(message),
            })
            .await
            .unwrap();
    }

    async fn chunk(&mut self) -> genkan_proto::v1alpha1::SnapshotChunk {
        let message = self.messages.message().await.unwrap().unwrap();
        let Some(operator_message::Message::Snapshot(chunk)) = message.message else {
            panic!("{message:?}")
        };
        chunk
    }

    async fn end(&mut self) -> Status {
        self.messages.message().await.unwrap_err()
    }
}

#[tokio::test]
async fn nothing_is_said_before_the_first_snapshot() {
    let rig = mk_rig().await;
    let refused = rig.subscribe(mk_hello(PROTOCOL_VERSION)).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test]
async fn one_push_in_flight_and_the_latest_wins() {
    let mut rig = mk_rig().await;
    rig.feed.publish();
    let mut proxy = rig.subscribe(mk_hello(PROTOCOL_VERSION)).await.unwrap();
    rig.admit().await;
    let chunk = proxy.chunk().await;
    assert!(chunk.last && decompress(&chunk.payload).unwrap().upserts.is_empty());
    assert_eq!(chunk.new_hash, Hash::empty().0);
    for port in 1..=3 {
        publish(&rig.feed, vec![mk_set("a", port)]);
    }
    let objection = Verdict {
        resource: Some(ResourceRef {
            kind: "ReverseProxy".into(),
            name: "x".into(),
            uid: "u".into(),
            ..Default::default()
        }),
        severity: verdict::Severity::Error.into(),
        reason: "Invalid".into(),
        message: "no".into(),
        entry: String::new(),
    };
    let ack = Ack {
        nonce: chunk.nonce,
        hash: chunk.new_hash,
        verdicts: vec![objection],
        ..Ack::default()
    };
    proxy.say(proxy_message::Message::Ack(ack)).await;
    match rig.engine.recv().await.unwrap() {
        Input::Acknowledged {
            name,
            sequence,
            objections,
            ..
        } => {
            assert_eq!((name.as_str(), sequence), ("edge", 0));
            assert_eq!(objections[0].message, "no");
        }
        other => panic!("{other:?}"),
    }
    let base = Hash::empty().0.to_vec();
    let chunk = proxy.chunk().await;
    assert_eq!(chunk.base_hash, base, "a change, and no more");
    let sent = decompress(&chunk.payload).unwrap();
    assert_eq!(
        sent.upserts,
        [codec::encode(&mk_set("a", 3))],
        "three edits are one"
    );
    proxy
        .say(proxy_message::Message::Ack(Ack {
            nonce: chunk.nonce,
            hash: chunk.new_hash,
            ..Ack::default()
        }))
        .await;
    let acknowledged = rig.engine.recv().await.unwrap();
    assert!(
        matches!(acknowledged, Input::Acknowledged { sequence: 3, .. }),
        "{acknowledged:?}"
    );
}

#[tokio::test]
async fn health_reaches_the_engine_and_the_end_of_the_stream_too() {
    let mut rig = mk_rig().await;
    rig.feed.publish();
    let mut proxy = rig.subscribe(mk_hello(PROTOCOL_VERSION)).await.unwrap();
    rig.admit().await;
    proxy.chunk().await;
    let resource = ResourceRef {
        kind: "APIService".into(),
        name: "v1".into(),
        uid: "u".into(),
        generation: 2,
        ..Default::default()
    };
    let state = health::State::TlsFailed.into();
    proxy
        .say(proxy_message::Message::Health(Health {
            resource: Some(resource),
            state,
            error: "expired".into(),
        }))
        .await;
    match rig.engine.recv().await.unwrap() {
        Input::Reported { health, .. } => {
            let object = ObjectRef::new(ObjectKey::api_service("v1"), "u", 2);
            assert_eq!(
                (health.object, health.state, health.error.as_str()),
                (object, BackendState::TlsFailed, "expired")
            );
        }
        other => panic!("{other:?}"),
    }
    drop(proxy);
    assert!(matches!(
        rig.engine.recv().await.unwrap(),
        Input::Disconnected { .. }
    ));
}

#[tokio::test]
async fn strangers_to_the_protocol_are_refused_in_a_sentence() {
    let mut rig = mk_rig().await;
    rig.feed.publish();
    let mut proxy = rig.subscribe(mk_hello(PROTOCOL_VERSION + 1)).await.unwrap();
    let status = proxy.end().await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("same release"));
    let mut proxy = rig
        .subscribe(proxy_message::Message::Ack(Ack::default()))
        .await
        .unwrap();
    assert_eq!(proxy.end().await.code(), Code::InvalidArgument);
    assert!(rig.engine.try_recv().is_err(), "neither was counted");
}

#[tokio::test]
async fn a_refused_snapshot_ends_the_stream_and_is_not_acknowledged() {
    let mut rig = mk_rig().await;
    rig.feed.publish();
    for ack in [
        Ack {
            error: "broken frame".into(),
            hash: Hash::empty().0.to_vec(),
            ..Ack::default()
        },
        Ack {
            hash: vec![1; 32],
            ..Ack::default()
        },
    ] {
        let mut proxy = rig.subscribe(mk_hello(PROTOCOL_VERSION)).await.unwrap();
        rig.admit().await;
        let nonce = proxy.chunk().await.nonce;
        proxy.say(proxy_message::Message::Ack(Ack { nonce, ..ack })).await;
        assert_eq!(proxy.end().await.code(), Code::Aborted);
        assert!(matches!(
            rig.engine.recv().await.unwrap(),
            Input::Disconnected { .. }
        ));
    }
}

#[tokio::test]
async fn streams_end_with_the_operator() {
    let mut rig = mk_rig().await;
    rig.feed.publish();
    let mut proxy = rig.subscribe(mk_hello(PROTOCOL_VERSION)).await.unwrap();
    rig.admit().await;
    proxy.chunk().await;
    rig.stop.send_replace(true);
    assert!(proxy.messages.message().await.unwrap().is_none());
    assert!(matches!(
        rig.engine.recv().await.unwrap(),
        Input::Disconnected { .. }
    ));
}
