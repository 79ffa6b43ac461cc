//! The Secrets that objects name, each followed by itself: nobody else's is read, nor asked for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use genkan_compile::index::Change;
use genkan_compile::object::{HeldSecret, Key, Kind, Object, SecretState, Watched};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

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
            if !is_wanted {
                let was_followed = followed.remove(&key).is_some();
                let gone = Change::Delete(Kind::Watched(Watched::Secret), key);
                if was_followed && tell(&engine, gone).await.is_none() {
                    return;
                }
            } else if let Entry::Vacant(place) = followed.entry(key) {
                let task = tokio::spawn(follow(client.clone(), place.key().clone(), engine.clone()));
                place.insert(Guard(task.abort_handle()));
            }
        }
    }
}

/// A watch ends with whoever wanted it.
struct Guard(AbortHandle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(client: Client, key: Key, engine: mpsc::Sender<Input>) {
    let api: Api<Secret> = Api::namespaced(client, &key.0);
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
                Ok(Some(watcher::Event::InitApply(secret))) => {
                    listed = Some(secret);
                    continue;
                }
                Ok(Some(watcher::Event::InitDone)) => listed.take().map_or(SecretState::Missing, found),
                Ok(Some(watcher::Event::Apply(secret))) => found(secret),
                Ok(Some(watcher::Event::Delete(_))) => SecretState::Missing,
                Ok(None) => break,
                // A right that is lost takes the value away: whoever took it away wants that.
                Err(error) if super::is_forbidden(&error) => SecretState::NotPermitted,
                Err(error) => {
                    debug!(namespace = key.0, name = key.1, %error, "Secret cannot be watched now; trying again");
                    continue;
                }
            };
            let is_refused = state == SecretState::NotPermitted;
            if told.as_ref() != Some(&state) {
                if is_refused {
                    warn!(
                        namespace = key.0,
                        name = key.1,
                        "the operator may not read this Secret, which a Connector names"
                    );
                }
                let object = Object::Secret(HeldSecret {
                    namespace: key.0.clone(),
                    name: key.1.clone(),
                    state: state.clone(),
                });
                told = Some(state);
                if tell(&engine, Change::Apply(Box::new(object))).await.is_none() {
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

fn found(secret: Secret) -> SecretState {
    let value = serde_json::to_value(secret).unwrap_or_default();
    match Object::read(Kind::Watched(Watched::Secret), value) {
        Ok(Object::Secret(held)) => held.state,
        _ => SecretState::Missing,
    }
}

/// `None`: the engine is gone.
async fn tell(engine: &mpsc::Sender<Input>, change: Change) -> Option<()> {
    engine.send(Input::Changes(vec![change])).await.ok()
}
