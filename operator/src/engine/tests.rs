//! The engine with a scripted fleet; time is paused.

use genkan_compile::index::Change;
use genkan_compile::object::{Kind, Object};
use genkan_routing::model::Published;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::*;
use crate::fleet::SessionId;
use crate::snapshot::Scope;
use crate::snapshot::Version;
use crate::status::Write;

struct Rig {
    inputs: mpsc::Sender<Input>,
    pushes: watch::Receiver<Option<Version>>,
    queue: Arc<Queue>,
}

fn mk_rig() -> Rig {
    let (inputs, receiver) = mpsc::channel(64);
    let feed = Arc::<Feed>::default();
    let pushes = feed.version();
    let queue = Arc::new(Queue::default());
    let engine = Engine::new(
        ("genkan-system".into(), "genkan-dataplane".into()),
        feed,
        Arc::default(),
        Arc::clone(&queue),
        Arc::default(),
    );
    tokio::spawn(engine.run(receiver));
    Rig {
        inputs,
        pushes,
        queue,
    }
}

fn mk_proxy(name: &str, uid: &str, generation: i64, status: Value) -> Change {
    let value = json!({
        "metadata": {"name": name, "uid": uid, "generation": generation, "resourceVersion": format!("{uid}{generation}")},
        "spec": {"matcher": {"path": format!("/proxy/{name}/*"), "method": "*"}, "upstream": {"url": "http://b.example"}},
        "status": status,
    });
    Change::Apply(Box::new(
        Object::read(Kind::Published(Published::ReverseProxy), value).unwrap(),
    ))
}

impl Rig {
    async fn tell(&self, changes: Vec<Change>) {
        self.inputs.send(Input::Changes(changes)).await.unwrap();
    }

    async fn sync(&self) {
        self.tell(Kind::all().map(|kind| Change::Reset(kind, vec![])).collect())
            .await;
        self.inputs.send(Input::Leading(true)).await.unwrap();
    }

    async fn connect(&self, name: &str, session: SessionId) {
        let (reply, answer) = oneshot::channel();
        let input = Input::Connected {
            name: name.into(),
            instance: name.into(),
            session,
            does_duties: false,
            active: BTreeMap::new(),
            reply,
        };
        self.inputs.send(input).await.unwrap();
        answer.await.unwrap();
    }

    async fn acknowledge(&self, name: &str, session: SessionId, sequence: u64) {
        let input = Input::Acknowledged {
            name: name.into(),
            session,
            sequence,
            scope: Scope::Everything,
            objections: vec![],
        };
        self.inputs.send(input).await.unwrap();
    }

    async fn pushed(&mut self) -> u64 {
        self.pushes.changed().await.unwrap();
        self.pushes.borrow_and_update().as_ref().unwrap().sequence
    }

    async fn written(&self) -> (String, Write) {
        let (key, write) = self.queue.next().await;
        (key.to_string(), write)
    }
}

fn programmed(write: &Write) -> (&str, &str) {
    let condition = &write.status["conditions"][2];
    (
        condition["status"].as_str().unwrap(),
        condition["reason"].as_str().unwrap(),
    )
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_before_every_kind_was_listed() {
    let mut rig = mk_rig();
    rig.tell(vec![mk_proxy("x", "u", 1, Value::Null)]).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(60), rig.pushes.changed())
            .await
            .is_err()
    );
    rig.sync().await;
    rig.pushed().await;
}

#[tokio::test(start_paused = true)]
async fn one_write_tells_of_a_change_that_is_acknowledged_at_once() {
    let mut rig = mk_rig();
    rig.sync().await;
    rig.connect("a", 1).await;
    let first = rig.pushed().await;
    rig.acknowledge("a", 1, first).await;
    rig.tell(vec![mk_proxy("x", "u", 1, Value::Null)]).await;
    let sequence = rig.pushed().await;
    rig.acknowledge("a", 1, sequence).await;
    let (key, write) = rig.written().await;
    assert_eq!(
        (key.as_str(), programmed(&write)),
        ("ReverseProxy/x", ("True", "Programmed"))
    );
    assert_eq!((write.uid.as_str(), write.resource_version.as_str()), ("u", "u1"));
    assert!(rig.queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_of_the_old_object_says_nothing_of_the_new_one() {
    let mut rig = mk_rig();
    rig.sync().await;
    rig.connect("a", 1).await;
    rig.pushed().await;
    rig.tell(vec![mk_proxy("x", "old", 1, Value::Null)]).await;
    let old = rig.pushed().await;
    let key = (String::new(), "x".to_string());
    rig.tell(vec![
        Change::Delete(Kind::Published(Published::ReverseProxy), key),
        mk_proxy("x", "new", 1, Value::Null),
    ])
    .await;
    let new = rig.pushed().await;
    rig.acknowledge("a", 1, old).await;
    let (_, write) = rig.written().await;
    assert_eq!(
        (write.uid.as_str(), programmed(&write)),
        ("new", ("Unknown", "Pending"))
    );
    assert!(write.is_interim, "the proxy is about to answer");
    rig.acknowledge("a", 1, new).await;
    let (_, write) = rig.written().await;
    assert_eq!(
        (write.uid.as_str(), programmed(&write)),
        ("new", ("True", "Programmed"))
    );
    assert!(!write.is_interim);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_went_is_told_after_the_grace_and_forgotten_after_thirty_seconds() {
    let mut rig = mk_rig();
    rig.sync().await;
    for (name, session) in [("a", 1), ("b", 2)] {
        rig.connect(name, session).await;
    }
    rig.tell(vec![mk_proxy("x", "u", 1, Value::Null)]).await;
    let sequence = rig.pushed().await;
    rig.acknowledge("a", 1, sequence).await;
    rig.acknowledge("b", 2, sequence).await;
    let (key, write) = rig.written().await;
    assert_eq!(write.status["proxies"], "2/2");
    let (before, after) = (write.resource_version.clone(), "7".to_string());
    let key = key.parse::<ObjectKey>().unwrap();
    let done = crate::input::WriteOutcome::Done {
        key,
        uid: write.uid,
        before,
        after,
        status: write.status,
    };
    rig.inputs.send(Input::Written(done)).await.unwrap();
    let gone = Instant::now();
    rig.inputs
        .send(Input::Disconnected {
            name: "b".into(),
            session: 2,
        })
        .await
        .unwrap();
    let (_, write) = rig.written().await;
    assert_eq!(programmed(&write), ("False", "WaitingForProxies"));
    assert_eq!(write.status["proxies"], "1/2");
    assert_eq!(gone.elapsed().as_secs(), 5);
    let (_, write) = rig.written().await;
    assert_eq!(
        (programmed(&write), gone.elapsed().as_secs()),
        (("True", "Programmed"), 30)
    );
    assert_eq!(
        (write.status["proxies"].as_str(), write.resource_version.as_str()),
        (Some("1/1"), "7")
    );
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_counts_for_every_object_from_its_first_acknowledgement() {
    let mut rig = mk_rig();
    rig.sync().await;
    rig.connect("a", 1).await;
    rig.tell(vec![mk_proxy("x", "u", 1, Value::Null)]).await;
    let sequence = rig.pushed().await;
    rig.acknowledge("a", 1, sequence).await;
    let (key, write) = rig.written().await;
    assert_eq!(write.status["proxies"], "1/1");
    let done = crate::input::WriteOutcome::Done {
        key: key.parse::<ObjectKey>().unwrap(),
        uid: write.uid,
        before: write.resource_version,
        after: "7".to_string(),
        status: write.status,
    };
    rig.inputs.send(Input::Written(done)).await.unwrap();
    rig.connect("b", 2).await;
    rig.acknowledge("b", 2, sequence).await;
    let (_, write) = rig.written().await;
    assert_eq!(
        (programmed(&write), write.status["proxies"].as_str()),
        (("True", "Programmed"), Some("2/2"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_take_back_what_was_programmed() {
    let mut rig = mk_rig();
    let stored = json!({"observedGeneration": 1, "proxies": "1/1", "conditions": [
        {"type": "Accepted", "status": "True", "reason": "Accepted"},
        {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs"},
        {"type": "Programmed", "status": "True", "reason": "Programmed"}]});
    rig.sync().await;
    rig.tell(vec![mk_proxy("x", "u", 1, stored)]).await;
    rig.pushed().await;
    let began = Instant::now();
    let (_, write) = rig.written().await;
    assert_eq!(programmed(&write), ("False", "NoProxies"));
    assert_eq!(began.elapsed().as_secs(), 5, "proxies get as long to come back");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_writes_nothing() {
    let mut rig = mk_rig();
    rig.sync().await;
    rig.inputs.send(Input::Leading(false)).await.unwrap();
    rig.tell(vec![mk_proxy("x", "u", 1, Value::Null)]).await;
    rig.pushed().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(60), rig.queue.next())
            .await
            .is_err()
    );
    rig.inputs.send(Input::Leading(true)).await.unwrap();
    assert_eq!(rig.written().await.0, "ReverseProxy/x");
}

fn mk_extension(generation: i64, value: &str) -> Change {
    let steps = json!([{"use": "set", "with": {"headers": {"set": {"x-mark": value}}}}]);
    let entry = json!({"name": "mark", "type": "Hook", "hook": {"at": "PreRequest", "steps": steps}});
    let value = json!({
        "metadata": {"name": "corp", "uid": "c", "generation": generation, "resourceVersion": format!("c{generation}")},
        "spec": {"entries": [entry]},
    });
    Change::Apply(Box::new(
        Object::read(Kind::Published(Published::GatewayExtension), value).unwrap(),
    ))
}

impl Rig {
    async fn object(&self, session: SessionId, sequence: u64, generation: i64) {
        let key = ObjectKey::reverse_proxy("x");
        let objection = genkan_routing::model::Objection {
            object: genkan_routing::model::ObjectRef::new(key, "u", generation),
            reason: "Invalid".into(),
            message: "no".into(),
            entry: Some("corp/mark".into()),
        };
        let input = Input::Acknowledged {
            name: "a".into(),
            session,
            sequence,
            scope: Scope::Everything,
            objections: vec![objection],
        };
        self.inputs.send(input).await.unwrap();
    }

    /// State and message of the entry in the next status that has this state.
    async fn entry(&self, state: &str) -> String {
        loop {
            let (key, write) = self.written().await;
            let entry = &write.status["entries"][0];
            if key == "GatewayExtension/corp" && entry["state"] == state {
                return entry["message"].as_str().unwrap_or_default().to_owned();
            }
        }
    }
}

/// Of a form that all have taken, something else is the cause.
#[tokio::test(start_paused = true)]
async fn what_a_data_plane_cannot_serve_is_taken_back_while_it_is_new() {
    let mut rig = mk_rig();
    rig.sync().await;
    rig.connect("a", 1).await;
    rig.tell(vec![
        Change::Remembered(BTreeMap::new()),
        mk_proxy("x", "u", 1, Value::Null),
        mk_extension(1, "one"),
    ])
    .await;
    let mut sequence = rig.pushed().await;
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(200), rig.pushes.changed()).await {
        sequence = rig.pushes.borrow_and_update().as_ref().unwrap().sequence;
    }
    rig.acknowledge("a", 1, sequence).await;
    rig.entry("Deployed").await;
    rig.object(1, sequence, 1).await;
    let changed = tokio::time::timeout(Duration::from_secs(5), rig.pushes.changed()).await;
    assert!(changed.is_err(), "it is not taken back that was good before");

    rig.tell(vec![mk_extension(2, "two")]).await;
    let before = sequence;
    let sequence = rig.pushed().await;
    rig.object(1, before, 1).await;
    let changed = tokio::time::timeout(Duration::from_secs(5), rig.pushes.changed()).await;
    assert!(changed.is_err(), "that was said about what was sent before");
    rig.object(1, sequence, 1).await;
    let back = rig.pushed().await;
    rig.acknowledge("a", 1, back).await;
    let message = rig.entry("Rejected").await;
    assert_eq!(
        message,
        "data plane a cannot serve it: no; its last accepted form stays"
    );
}
