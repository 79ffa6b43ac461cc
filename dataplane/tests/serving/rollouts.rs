//! A data plane in the roll-out of an extension.

use std::net::SocketAddr;
use std::sync::Arc;

use genkan_kit::http1::get;
use genkan_kit::http2::{Outcome, RawHttp2};
use genkan_proto::codec;
use genkan_proto::v1alpha1::{Policies, Resource, rollout::Action, rollout_state::Stage};
use genkan_routing::model::policy::{ExtensionRevision, LargeFile, RevisionEntries, RevisionEntry};
use genkan_routing::model::{Blob, ChunkKey, EntryKey, ObjectKey, ObjectRef, Published, Resource as Model};
use prost::Message;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::kit::{Backend, Client, PATIENCE};
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::Process;

fn wire(resource: &Model) -> Resource {
    Resource::decode(codec::encode(resource)).unwrap()
}

/// A hook that tells backends which revision it is of.
fn mk_entry(revision: &str) -> Resource {
    let step = json!({"use": "set", "with": {"headers": {"set": {"x-revision": revision}}}});
    let entry = json!({"hooks": [{"at": "PreRequest", "steps": [step]}]});
    mk_content(revision, entry)
}

fn mk_content(revision: &str, content: Value) -> Resource {
    let key = EntryKey {
        extension: "corp".into(),
        entry: "stamp".into(),
        digest: revision.into(),
    };
    wire(&Model::entry(key, serde_json::from_value(content).unwrap()))
}

fn mk_extension(target: &str, stable: &str) -> Resource {
    let entries = |id: &str| RevisionEntries {
        id: id.into(),
        entries: vec![RevisionEntry {
            entry: "stamp".into(),
            digest: id.into(),
            is_immediate: false,
        }],
    };
    wire(&Model::revision(ExtensionRevision {
        object: ObjectRef::new(ObjectKey::cluster(Published::GatewayExtension, "corp"), "u", 1),
        target: entries(target),
        stable: Some(entries(stable)),
        restores_stable: true,
        allow_fail_open: Vec::new(),
        secrets: Vec::new(),
    }))
}

/// Two objects, and an extension of which the revision `one` is taken by who begins.
fn world(backend: SocketAddr, slow: SocketAddr) -> Vec<Resource> {
    vec![
        mk_proxy("p", "/proxy/p/*", mk_host(backend), none()),
        mk_proxy("slow", "/proxy/slow/*", mk_host(slow), none()),
        mk_extension("two", "one"),
        mk_entry("one"),
        mk_entry("two"),
    ]
}

/// Answers each request when it is told to.
async fn mk_slow(go: Arc<Notify>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let go = Arc::clone(&go);
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                go.notified().await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    address
}

async fn extensions(process: &Process) -> Value {
    let answer = get(process.admin, "/extensions").await;
    serde_json::from_str(&answer.text()).unwrap()
}

#[tokio::test]
async fn one_after_the_other_stage() {
    let (mut backend, go) = (Backend::ok().await, Arc::new(Notify::new()));
    let slow = mk_slow(Arc::clone(&go)).await;
    let process = Process::start(&[]).await;
    let operator = &process.operator;
    operator.publish(world(backend.address, slow)).await;
    // Whether this is what it began with depends on who was first.
    operator.roll(Action::Apply, "one", Stage::Applied).await;
    assert_eq!(get(process.address, "/proxy/p/x").await.status, 200);
    backend.wait_for("x-revision: one").await;

    // One that is waited for, and one that never ends.
    let mut waiting = Client::connect(process.address).await;
    waiting
        .send("GET /proxy/slow/x HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let mut endless = Client::connect(process.address).await;
    endless
        .send("GET /proxy/slow/y HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    let mut http2 = RawHttp2::connect(process.address).await;
    let head = [
        (":method", &b"GET"[..]),
        (":scheme", b"http"),
        (":authority", b"a"),
        (":path", b"/proxy/p/h2"),
    ];
    let stream = http2.request(&head).await;
    assert_eq!(http2.outcome(stream).await, Outcome::Status(200));
    let told = operator.roll(Action::Drain, "two", Stage::Draining).await;
    assert_eq!(told.in_flight, 1, "{told:?}");
    let ready = get(process.admin, "/readyz").await;
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (503, "draining: the extension corp is rolled out\n")
    );
    assert!(http2.is_sent_away().await);
    let mut late = Client::connect(process.address).await;
    late.send("GET /proxy/p/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = late.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    go.notify_waiters();
    assert_eq!(waiting.answer().await.unwrap().status, 200);
    operator
        .rolled(|state| state.nonce == told.nonce && state.stage() == Stage::Drained)
        .await;

    operator.roll(Action::Apply, "two", Stage::Applied).await;
    assert_eq!(get(process.address, "/proxy/p/x").await.status, 200);
    backend.wait_for("x-revision: two").await;
    operator.roll(Action::Verify, "two", Stage::Verified).await;
    let failed = operator.roll(Action::Apply, "three", Stage::Failed).await;
    assert_eq!(
        failed.error,
        "there is no revision three in the configuration that is served"
    );
    let shown = extensions(&process).await;
    assert_eq!(shown[0]["revision"], "two");
    let entry = json!({"name": "stamp", "digest": "two", "state": "active", "message": ""});
    assert_eq!(shown[0]["entries"], json!([entry]));

    operator.roll(Action::Undrain, "two", Stage::Undrained).await;
    assert_eq!(get(process.admin, "/readyz").await.status, 200);
    let mut back = Client::connect(process.address).await;
    for _ in 0..2 {
        back.send("GET /proxy/p/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = back.answer().await.unwrap();
        assert_eq!(answer.status, 200);
        assert_ne!(answer.header("connection"), Some("close"));
    }
    // All of it may be said twice.
    operator.roll(Action::Apply, "two", Stage::Applied).await;
    operator.roll(Action::Undrain, "two", Stage::Undrained).await;
    let fits = |heard: &crate::process::Heard| {
        let reports = heard.extensions.lock();
        let mut reports = reports.iter();
        reports
            .find(|report| report.revision == "two" && report.requests >= 3)
            .cloned()
    };
    assert_eq!(operator.said(fits).await.errors, 0);
    let metrics = get(process.admin, "/metrics").await.text();
    for line in [
        r#"genkan_policy_decisions_total{policy="set",outcome="failed"} 0"#,
        r#"genkan_policy_seconds_count{policy="set"}"#,
        r#"genkan_extension_entry_info{extension="corp",entry="stamp",state="active"} 1"#,
        "genkan_dataplane_config_sequence ",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_restart_keeps_what_was_active() {
    let mut backend = Backend::ok().await;
    let process = Process::start(&[]).await;
    let world = world(backend.address, backend.address);
    process.operator.publish(world).await;
    process.operator.roll(Action::Apply, "two", Stage::Applied).await;
    let kept = async {
        let file = process.state().join("extensions");
        while !std::fs::read_to_string(&file).is_ok_and(|text| text.contains("two")) {
            crate::kit::a_moment().await;
        }
    };
    timeout(PATIENCE, kept).await.unwrap();
    process.operator.leave();
    let process = process.restarted(&[]).await;
    assert_eq!(get(process.address, "/proxy/p/x").await.status, 200);
    backend.wait_for("x-revision: two").await;
    assert_eq!(extensions(&process).await[0]["revision"], "two");
    process.operator.come_back().await;
    let active = process
        .operator
        .said(|heard| {
            let hellos = heard.hellos.lock();
            let active = hellos.last().map(|hello| hello.active.clone());
            active.filter(|active| !active.is_empty())
        })
        .await;
    assert_eq!(
        (active[0].extension.as_str(), active[0].revision.as_str()),
        ("corp", "two")
    );
}

/// A table that is too large to travel with its entry.
#[tokio::test]
async fn large_files_come_in_pieces() {
    let mut backend = Backend::ok().await;
    let process = Process::start(&[]).await;
    let padding = "x".repeat(ChunkKey::LARGEST);
    let table = json!({"of-x": "found", "padding": padding}).to_string();
    let (digest, length) = (digest(&SHA256, table.as_bytes()), table.len() as u64);
    let sha256 = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let file = LargeFile { sha256, length };
    let steps = json!([
        {"use": "lookup", "with": {"file": "stamp/table.json", "key": "of-x", "into": "v"}},
        {"use": "set", "with": {"headers": {"set": {"x-table": "{{ vars.v }}"}}}},
    ]);
    let entry = json!({
        "policies": [{"policy": "look", "version": "1.0.0", "steps": steps}],
        "largeFiles": {"table.json": file},
    });
    let pieces = table.as_bytes().chunks(ChunkKey::LARGEST).map(|piece| Blob {
        content: piece.into(),
    });
    let pieces: Vec<Resource> = (file.chunks().zip(pieces))
        .map(|(key, piece)| wire(&Model::chunk(key, piece)))
        .collect();
    let mut object = mk_proxy("p", "/proxy/p/*", mk_host(backend.address), none());
    object.requires = vec!["extensions/1".into()];
    object.policies = Some(Policies {
        steps: json!([{"use": "look"}]).to_string(),
        ..Policies::default()
    });
    let world = vec![object, mk_extension("one", "one"), mk_content("one", entry)];
    process
        .operator
        .publish([world.clone(), vec![pieces[0].clone()]].concat())
        .await;
    process.operator.roll(Action::Apply, "one", Stage::Applied).await;
    let answer = get(process.address, "/proxy/p/x").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    let shown = extensions(&process).await.to_string();
    assert!(
        shown.contains("the file table.json has not come whole"),
        "{shown}"
    );

    process.operator.publish([world, pieces].concat()).await;
    assert_eq!(get(process.address, "/proxy/p/x").await.status, 200);
    backend.wait_for("x-table: found").await;
}
