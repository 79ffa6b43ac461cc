//! The server as strangers, and as proxies of other Pods, see it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use tonic::body::Body;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tower::Service as _;

use super::*;
use crate::input::Pods;
use crate::pki::{Authority, Pair, Purpose};
use crate::serve::gate::{Gate, tests::mk_token};
use crate::serve::review::TokenReviewer;
use crate::serve::review::tests::{mk_account, mk_answer};
use crate::serve::token::Token;

pub(super) struct Closed {
    pub(super) rig: Rig,
    pub(super) ca: String,
    serving: Arc<Serving>,
    pub(super) metrics: Arc<Metrics>,
    _pods: watch::Sender<Pods>,
}

/// Tokens that the API server accepts, and the Pods that they are bound to.
#[derive(Default)]
struct Known(BTreeMap<String, &'static str>);

impl TokenReviewer for Known {
    fn review(&self, token: Token) -> BoxFuture<'static, Result<TokenReviewStatus, String>> {
        let pod = self.0.get(token.text()).copied();
        Box::pin(async move { Ok(pod.map(mk_answer).unwrap_or_default()) })
    }
}

fn mk_pair(authority: &Authority) -> Pair {
    let purpose = Purpose::service("genkan-operator", "genkan-system");
    authority.sign(&purpose, SystemTime::now()).unwrap()
}

fn use_pair(serving: &Serving, pair: &Pair) {
    let purpose = Purpose::service("genkan-operator", "genkan-system");
    serving.set(pair.examine(&purpose, SystemTime::now()).unwrap().key);
}

pub(super) async fn mk_closed(known: &[(&str, &'static str)]) -> Closed {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, engine) = mpsc::channel(16);
    let feed = Arc::<Feed>::default();
    feed.publish();
    let (stop, stopped) = watch::channel(false);
    let (pods, receiver) = watch::channel(Pods::default());
    let metrics = Arc::new(Metrics::new());
    let known = Known(
        known
            .iter()
            .map(|(token, pod)| ((*token).to_owned(), *pod))
            .collect(),
    );
    let gate = Gate::new(known, mk_account(), receiver, Arc::clone(&metrics));
    let pair = mk_pair(&Authority::make("test", SystemTime::now()).unwrap());
    let serving = Arc::<Serving>::default();
    use_pair(&serving, &pair);
    let service = Service::new(sender, Arc::clone(&feed), stopped, Arc::clone(&metrics));
    tokio::spawn(service.serve_tls(listener, Arc::clone(&serving), gate));
    Closed {
        rig: Rig {
            address,
            feed,
            engine,
            stop,
        },
        ca: pair.ca,
        serving,
        metrics,
        _pods: pods,
    }
}

impl Closed {
    async fn channel(&self) -> Channel {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca));
        let endpoint = Endpoint::from_shared(format!("https://{}", self.rig.address)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    }

    pub(super) async fn subscribe(
        &self,
        token: &str,
        first: proxy_message::Message,
    ) -> Result<Proxy, Status> {
        self.call(token, Some(first)).await
    }

    /// `None` says nothing on the stream.
    pub(super) async fn call(
        &self,
        token: &str,
        first: Option<proxy_message::Message>,
    ) -> Result<Proxy, Status> {
        let mut client = ConfigStreamClient::new(self.channel().await);
        let (out, receiver) = mpsc::channel(8);
        if first.is_some() {
            out.send(ProxyMessage { message: first }).await.unwrap();
        }
        let mut request = Request::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        Ok(Proxy {
            out,
            messages: client.subscribe(request).await?.into_inner(),
        })
    }

    /// Plays the engine for a Hello, and says what it was told.
    pub(super) async fn admit(&mut self) -> (String, String) {
        match self.rig.engine.recv().await.unwrap() {
            Input::Connected {
                name,
                instance,
                reply,
                ..
            } => {
                reply.send(name.clone()).unwrap();
                (name, instance)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What a client may ask of a gRPC server, and what only a debugging one would serve.
const PATHS: [&str; 9] = [
    "/genkan.config.v1alpha1.ConfigStream/Subscribe",
    "/genkan.config.v1alpha1.ConfigStream/Fetch",
    "/genkan.config.v1alpha1.ConfigStream",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/grpc.health.v1.Health/Check",
    "/grpc.channelz.v1.Channelz/GetTopChannels",
    "/metrics",
    "/",
];

#[tokio::test]
async fn no_path_answers_a_call_without_a_token() {
    let mut closed = mk_closed(&[]).await;
    let mut channel = closed.channel().await;
    for path in PATHS {
        for method in ["POST", "GET", "OPTIONS"] {
            for token in [None, Some("Bearer x"), Some("Bearer a.b.c")] {
                let mut request = http::Request::builder()
                    .method(method)
                    .uri(format!("https://{}{path}", closed.rig.address))
                    .header("content-type", "application/grpc");
                if let Some(token) = token {
                    request = request.header(AUTHORIZATION, token);
                }
                std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
                let answer = channel.call(request.body(Body::empty()).unwrap()).await.unwrap();
                let code = answer
                    .headers()
                    .get("grpc-status")
                    .map(|code| code.to_str().unwrap());
                assert_eq!(code, Some("16"), "{method} {path} {token:?}");
            }
        }
    }
    assert!(closed.rig.engine.try_recv().is_err(), "nobody was counted");
    let text = closed.metrics.text();
    assert!(
        text.contains("refused_streams_total{reason=\"NoToken\"} 27"),
        "{text}"
    );
}

#[tokio::test]
async fn a_proxy_is_its_pod_whatever_it_says() {
    let token = mk_token("1", 3600);
    let mut closed = mk_closed(&[(&token, "edge-1")]).await;
    let mut proxy = closed
        .subscribe(&token, mk_hello(PROTOCOL_VERSION))
        .await
        .unwrap();
    let (name, instance) = closed.admit().await;
    assert_eq!((name.as_str(), instance.as_str()), ("edge-1", "uid-of-edge-1/i"));
    assert!(proxy.chunk().await.last);
}

#[tokio::test]
async fn a_forged_acknowledgement_is_that_of_the_forger() {
    let (one, two) = (mk_token("1", 3600), mk_token("2", 3600));
    let mut closed = mk_closed(&[(&one, "edge-1"), (&two, "edge-2")]).await;
    let mut honest = closed.subscribe(&one, mk_hello(PROTOCOL_VERSION)).await.unwrap();
    let (_, instance) = closed.admit().await;
    let chunk = honest.chunk().await;
    // It calls itself by the name and the instance of the other, and acknowledges for it.
    let forged = proxy_message::Message::Hello(Hello {
        protocol_version: PROTOCOL_VERSION,
        name: "edge-1".into(),
        instance: instance.clone(),
        ..Hello::default()
    });
    let mut forger = closed.subscribe(&two, forged).await.unwrap();
    let (name, said) = closed.admit().await;
    assert_eq!(name, "edge-2");
    assert_ne!(said, instance, "or the other would no longer be counted");
    forger.chunk().await;
    let ack = Ack {
        nonce: chunk.nonce,
        hash: chunk.new_hash,
        ..Ack::default()
    };
    forger.say(proxy_message::Message::Ack(ack)).await;
    match closed.rig.engine.recv().await.unwrap() {
        Input::Acknowledged { name, session, .. } => assert_eq!((name.as_str(), session), ("edge-2", 2)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_strange_token_gets_nothing_but_a_sentence() {
    let mut closed = mk_closed(&[]).await;
    let stranger = mk_token("1", 3600);
    let refused = closed.subscribe(&stranger, mk_hello(PROTOCOL_VERSION)).await;
    let status = refused.err().unwrap();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("stream.genkan.io"), "{status}");
    assert!(!format!("{status:?}").contains(&stranger));
    assert!(closed.rig.engine.try_recv().is_err());
}

#[tokio::test]
async fn a_renewed_certificate_is_for_new_connections_and_drops_none() {
    let token = mk_token("1", 3600);
    let mut closed = mk_closed(&[(&token, "edge-1")]).await;
    let mut old = closed
        .subscribe(&token, mk_hello(PROTOCOL_VERSION))
        .await
        .unwrap();
    closed.admit().await;
    let nonce = old.chunk().await.nonce;

    let renewed = mk_pair(&Authority::make("test", SystemTime::now()).unwrap());
    use_pair(&closed.serving, &renewed);
    let trusted = std::mem::replace(&mut closed.ca, renewed.ca);
    closed
        .subscribe(&token, mk_hello(PROTOCOL_VERSION))
        .await
        .unwrap();
    closed.admit().await;
    assert_ne!(trusted, closed.ca);

    old.say(proxy_message::Message::Ack(Ack {
        nonce,
        hash: Hash::empty().0.to_vec(),
        ..Ack::default()
    }))
    .await;
    let acknowledged = loop {
        match closed.rig.engine.recv().await.unwrap() {
            // The second stream was dropped at once.
            Input::Disconnected { .. } => {}
            other => break other,
        }
    };
    assert!(
        matches!(acknowledged, Input::Acknowledged { session: 1, .. }),
        "{acknowledged:?}"
    );
}

#[tokio::test]
async fn plain_text_finds_no_server_behind_tls() {
    let closed = mk_closed(&[]).await;
    let refused = closed.rig.subscribe(mk_hello(PROTOCOL_VERSION)).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn names_that_would_garble_a_log_are_refused() {
    let token = mk_token("1", 3600);
    let closed = mk_closed(&[(&token, "edge-1")]).await;
    for instance in ["a\nb".to_owned(), "x".repeat(254)] {
        let hello = proxy_message::Message::Hello(Hello {
            protocol_version: PROTOCOL_VERSION,
            instance,
            ..Hello::default()
        });
        let mut proxy = closed.subscribe(&token, hello).await.unwrap();
        assert_eq!(proxy.end().await.code(), Code::InvalidArgument);
    }
}
