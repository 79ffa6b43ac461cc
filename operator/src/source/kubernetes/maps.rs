//! The ConfigMaps that extensions name: each is followed by a watch of its own name, and no other is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use genkan_compile::index::Change;
use genkan_compile::object::{HeldMap, Key, Kind, MapState, Object, Watched};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use super::is_forbidden;
use crate::input::Input;
use crate::wanted::Wanted;

/// A watch that is silent for longer is begun again.
const IDLE: u32 = 90;
/// How soon a right that is given shows, at the latest.
const AGAIN: Duration = Duration::from_secs(5);

/// Follows what is wanted until the engine is gone.
pub async fn run(client: Client, wanted: Arc<Wanted>, engine: mpsc::Sender<Input>) {
    let mut followed: BTreeMap<Key, Guard> = BTreeMap::new();
    while !engine.is_closed() {
        for (key, is_wanted) in wanted.next().await {
            match is_wanted {
                true => {
                    let following = tokio::spawn(follow(client.clone(), key.clone(), engine.clone()));
                    followed.insert(key, Guard(following.abort_handle()));
                }
                false => drop(followed.remove(&key)),
            }
        }
    }
}

/// A task ends with whoever wanted it.
struct Guard(AbortHandle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(client: Client, key: Key, engine: mpsc::Sender<Input>) {
    let api: Api<ConfigMap> = Api::namespaced(client, &key.0);
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={}", key.1))
        .timeout(IDLE);
    let mut told = None;
    loop {
        let mut events = std::pin::pin!(watcher(api.clone(), config.clone()).default_backoff());
        let mut listed = None;
        loop {
            let state = match events.try_next().await {
                Ok(Some(watcher::Event::Init)) => {
                    listed = None;
                    continue;
                }
                Ok(Some(watcher::Event::InitApply(map))) => {
                    listed = Some(map);
                    continue;
                }
                Ok(Some(watcher::Event::InitDone)) => listed.take().map_or(MapState::Missing, found),
                Ok(Some(watcher::Event::Apply(map))) => found(map),
                Ok(Some(watcher::Event::Delete(_))) => MapState::Missing,
                Ok(None) => break,
                Err(error) if is_forbidden(&error) => MapState::NotPermitted,
                Err(error) => {
                    debug!(namespace = key.0, name = key.1, %error, "ConfigMap cannot be watched now; trying again");
                    continue;
                }
            };
            let is_refused = state == MapState::NotPermitted;
            if told.as_ref() != Some(&state) {
                if is_refused {
                    warn!(
                        namespace = key.0,
                        name = key.1,
                        "the operator may not read this ConfigMap, which a GatewayExtension names"
                    );
                }
                told = Some(state.clone());
                let object = Object::ConfigMap(HeldMap {
                    namespace: key.0.clone(),
                    name: key.1.clone(),
                    state,
                });
                let change = Change::Apply(Box::new(object));
                if engine.send(Input::Changes(vec![change])).await.is_err() {
                    return;
                }
            }
            if is_refused {
                break;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn found(map: ConfigMap) -> MapState {
    let value = serde_json::to_value(map).unwrap_or_default();
    match Object::read(Kind::Watched(Watched::ConfigMap), value) {
        Ok(Object::ConfigMap(held)) => held.state,
        _ => MapState::Missing,
    }
}
