//! The Secrets that objects name: nobody else's value is read, nor asked for.
//!
//! Each is followed by a watch of its own name, which a Role with `resourceNames` is enough for. A namespace in which many
//! are named is watched once, where that is allowed: without values, and what changed is read by its name.

mod single;
mod space;

use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_compile::index::Change;
use genkan_compile::object::{HeldSecret, Key, Kind, Object, SecretState, Watched};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::input::Input;
use crate::wanted::Wanted;
use space::Space;

/// Follows what is wanted until the engine is gone.
pub async fn run(client: Client, wanted: Arc<Wanted>, engine: mpsc::Sender<Input>) {
    let mut spaces: BTreeMap<String, (mpsc::UnboundedSender<(String, bool)>, Guard)> = BTreeMap::new();
    while !engine.is_closed() {
        for ((namespace, name), is_wanted) in wanted.next().await {
            let (names, _) = spaces.entry(namespace).or_insert_with_key(|namespace| {
                let (names, named) = mpsc::unbounded_channel();
                let space = Space::new(client.clone(), namespace.clone(), engine.clone());
                (names, Guard(tokio::spawn(space.run(named)).abort_handle()))
            });
            // It ends only with the engine.
            let _ = names.send((name, is_wanted));
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

fn found(secret: Secret) -> SecretState {
    let value = serde_json::to_value(secret).unwrap_or_default();
    match Object::read(Kind::Watched(Watched::Secret), value) {
        Ok(Object::Secret(held)) => held.state,
        _ => SecretState::Missing,
    }
}

/// `None`: the engine is gone.
async fn tell(engine: &mpsc::Sender<Input>, key: &Key, state: SecretState) -> Option<()> {
    let object = Object::Secret(HeldSecret {
        namespace: key.0.clone(),
        name: key.1.clone(),
        state,
    });
    send(engine, Change::Apply(Box::new(object))).await
}

async fn send(engine: &mpsc::Sender<Input>, change: Change) -> Option<()> {
    engine.send(Input::Changes(vec![change])).await.ok()
}
