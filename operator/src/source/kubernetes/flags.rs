//! The ConfigMap with the switches of Connectors.

use std::time::Duration;

use futures::TryStreamExt;
use genkan_compile::index::Change;
use genkan_compile::object::{Key, Object, flags};
use genkan_routing::model::FeatureFlags;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tracing::warn;

use crate::input::Input;

const IDLE: u32 = 90;
const AGAIN: Duration = Duration::from_secs(5);

/// Follows one ConfigMap until the engine is gone. A value that is neither true nor false leaves its switch as it was.
pub async fn run(client: Client, (namespace, name): Key, engine: mpsc::Sender<Input>) {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(IDLE);
    let reporter = Reporter {
        controller: "genkan".into(),
        instance: None,
    };
    let recorder = Recorder::new(client, reporter);
    let mut known = FeatureFlags::default();
    loop {
        let mut events = std::pin::pin!(watcher(api.clone(), config.clone()).default_backoff());
        let mut listed = None;
        loop {
            let map = match events.try_next().await {
                Ok(Some(watcher::Event::Init)) => {
                    listed = None;
                    continue;
                }
                Ok(Some(watcher::Event::InitApply(map))) => {
                    listed = Some(map);
                    continue;
                }
                Ok(Some(watcher::Event::InitDone)) => listed.take().unwrap_or_default(),
                Ok(Some(watcher::Event::Apply(map))) => map,
                Ok(Some(watcher::Event::Delete(_))) => ConfigMap::default(),
                Ok(None) => break,
                Err(error) => {
                    warn!(namespace, name, %error, "the switches of Connectors cannot be read now; they stay as they were");
                    break;
                }
            };
            let (now, unclear) = flags(&map, &known);
            for (flag, value) in unclear {
                tell(&recorder, &map, &flag, &value).await;
            }
            if now != known {
                known = now;
                let change = Change::Apply(Box::new(Object::Flags(known.clone())));
                if engine.send(Input::Changes(vec![change])).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// An Event on the ConfigMap, where its author looks.
async fn tell(recorder: &Recorder, map: &ConfigMap, flag: &str, value: &str) {
    let note = format!("{flag}: {value:?} is neither \"true\" nor \"false\"; the switch stays as it was");
    warn!("{note}");
    let object = ObjectReference {
        kind: Some("ConfigMap".into()),
        api_version: Some("v1".into()),
        namespace: map.metadata.namespace.clone(),
        name: map.metadata.name.clone(),
        uid: map.metadata.uid.clone(),
        ..ObjectReference::default()
    };
    let event = Event {
        type_: EventType::Warning,
        reason: "InvalidValue".into(),
        note: Some(note),
        action: "Reconcile".into(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &object).await {
        warn!(%error, "Event not published");
    }
}
