//! Who is sent the values of secrets, and when.

use genkan_proto::MAX_REPORTS;
use genkan_proto::v1alpha1::{Report, Reports, SnapshotChunk, report};
use genkan_routing::model::{Secret, SecretKey};

use super::closed::mk_closed;
use super::*;
use crate::serve::gate::tests::mk_token;

fn keep(feed: &Feed, name: &str, value: &str) {
    let secret = Secret {
        kind: "Opaque".into(),
        data: [("k".to_owned(), value.as_bytes().to_vec().into())].into(),
    };
    let (mut upserts, mut removals) = (Vec::new(), Vec::new());
    let mut resources = feed.resources();
    let changes = vec![(SecretKey::new("n", name), Some(secret))];
    resources.seal(changes, &mut upserts, &mut removals);
    resources.apply(upserts, &removals, tokio::time::Instant::now());
    drop(resources);
    feed.publish();
}

fn mk_capable(have: Option<Hash>, lacks_secrets: bool) -> proxy_message::Message {
    proxy_message::Message::Hello(Hello {
        protocol_version: PROTOCOL_VERSION,
        name: "edge".into(),
        instance: "i".into(),
        capabilities: vec!["secrets".into()],
        have_hash: have.map(|hash| hash.0.to_vec()).unwrap_or_default(),
        lacks_secrets,
        ..Hello::default()
    })
}

impl Proxy {
    /// The names of the values that come with the next snapshot.
    async fn values(&mut self) -> (Vec<String>, SnapshotChunk) {
        let mut names = Vec::new();
        loop {
            match self.messages.message().await.unwrap().unwrap().message.unwrap() {
                operator_message::Message::Secrets(secrets) => {
                    names.extend(secrets.values.iter().map(|value| value.key.clone()));
                }
                operator_message::Message::Snapshot(chunk) => return (names, chunk),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn acknowledge(&self, chunk: SnapshotChunk) {
        let ack = Ack {
            nonce: chunk.nonce,
            hash: chunk.new_hash,
            ..Ack::default()
        };
        self.say(proxy_message::Message::Ack(ack)).await;
    }
}

#[tokio::test]
async fn values_are_for_who_was_reviewed_and_asks_for_them() {
    let token = mk_token("1", 3600);
    let mut closed = mk_closed(&[(&token, "edge-1")]).await;
    keep(&closed.rig.feed, "a", "one");
    let mut proxy = closed.subscribe(&token, mk_capable(None, false)).await.unwrap();
    closed.admit().await;
    let (names, chunk) = proxy.values().await;
    assert_eq!(names, ["Secret/n/a"]);
    let snapshot = decompress(&chunk.payload).unwrap();
    assert!(!snapshot.upserts[0].windows(3).any(|window| window == b"one"));
    proxy.acknowledge(chunk).await;
    keep(&closed.rig.feed, "b", "two");
    assert_eq!(proxy.values().await.0, ["Secret/n/b"], "what has changed");

    // One of a release that knows of none.
    let mut old = closed
        .subscribe(&token, mk_hello(PROTOCOL_VERSION))
        .await
        .unwrap();
    while let Some(input) = closed.rig.engine.recv().await {
        if let Input::Connected { name, reply, .. } = input {
            reply.send(name).unwrap();
            break;
        }
    }
    assert!(old.values().await.0.is_empty());
}

#[tokio::test]
async fn in_plain_text_values_are_for_nobody_unless_that_is_wanted() {
    for is_wanted in [false, true] {
        let mut rig = mk_rig_that_sends_secrets(is_wanted).await;
        keep(&rig.feed, "a", "one");
        for lacks_secrets in [false, true] {
            let mut proxy = rig.subscribe(mk_capable(None, lacks_secrets)).await.unwrap();
            rig.admit().await;
            assert_eq!(!proxy.values().await.0.is_empty(), is_wanted);
            drop(proxy);
            assert!(matches!(
                rig.engine.recv().await,
                Some(Input::Disconnected { .. })
            ));
        }
    }
}

#[tokio::test]
async fn who_has_the_hash_and_not_the_values_is_sent_them_all() {
    let mut rig = mk_rig_that_sends_secrets(true).await;
    keep(&rig.feed, "a", "one");
    keep(&rig.feed, "b", "two");
    let present = rig.feed.resources().hash();
    for (lacks_secrets, sent) in [(false, 0), (true, 2)] {
        let hello = mk_capable(Some(present), lacks_secrets);
        let mut proxy = rig.subscribe(hello).await.unwrap();
        rig.admit().await;
        let (names, chunk) = proxy.values().await;
        assert_eq!(chunk.base_hash, present.0, "nothing else has changed");
        assert_eq!(names.len(), sent);
        drop(proxy);
        assert!(matches!(
            rig.engine.recv().await,
            Some(Input::Disconnected { .. })
        ));
    }
}

#[tokio::test]
async fn reports_of_who_has_no_duty_count_for_nothing_and_large_ones_end_the_stream() {
    let mut rig = mk_rig().await;
    rig.feed.publish();
    let mut proxy = rig.subscribe(mk_hello(PROTOCOL_VERSION)).await.unwrap();
    rig.admit().await;
    let chunk = proxy.chunk().await;
    let reports = |size: usize| {
        proxy_message::Message::Reports(Reports {
            reports: vec![Report {
                duty: "ProbePlan/n/x".into(),
                turn: 1,
                outcome: Some(report::Outcome::Document(vec![0; size])),
            }],
        })
    };
    proxy.say(reports(MAX_REPORTS - 100)).await;
    proxy.acknowledge(chunk).await;
    let next = rig.engine.recv().await.unwrap();
    assert!(matches!(next, Input::Acknowledged { .. }), "{next:?}");
    proxy.say(reports(MAX_REPORTS)).await;
    assert_eq!(proxy.end().await.code(), Code::InvalidArgument);
}
