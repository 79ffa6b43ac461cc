//! The ConfigMaps that extensions name: each is followed by a watch of its own name, and no other is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_compile::index::Change;
use genkan_compile::object::{HeldMap, Key, Kind, MapState, Object, Watched};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use tokio::sync::mpsc;

use super::named::{Guard, Named, follow};
use crate::input::Input;
use crate::wanted::Wanted;

/// Follows what is wanted until the engine is gone.
pub async fn run(client: Client, wanted: Arc<Wanted>, engine: mpsc::Sender<Input>) {
    let mut followed: BTreeMap<Key, Guard> = BTreeMap::new();
    while !engine.is_closed() {
        for (key, is_wanted) in wanted.next().await {
            match is_wanted {
                true => {
                    let following = follow::<ConfigMap>(client.clone(), key.clone(), engine.clone());
                    followed.insert(key, Guard(tokio::spawn(following).abort_handle()));
                }
                false => {
                    drop(followed.remove(&key));
                    // Whoever names it again waits until it is looked at again.
                    let gone = Change::Delete(Kind::Watched(Watched::ConfigMap), key);
                    if engine.send(Input::Changes(vec![gone])).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

impl Named for ConfigMap {
    type State = MapState;
    const MISSING: MapState = MapState::Missing;
    const NOT_PERMITTED: MapState = MapState::NotPermitted;

    fn state(self) -> MapState {
        let value = serde_json::to_value(self).unwrap_or_default();
        match Object::read(Kind::Watched(Watched::ConfigMap), value) {
            Ok(Object::ConfigMap(held)) => held.state,
            _ => MapState::Missing,
        }
    }

    fn object(key: &Key, state: MapState) -> Object {
        Object::ConfigMap(HeldMap {
            namespace: key.0.clone(),
            name: key.1.clone(),
            state,
        })
    }
}
