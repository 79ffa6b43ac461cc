//! The Secrets with authorities for all Connectors, by their label, where administrators keep them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt;
use genkan_compile::compiler::certificates_of;
use genkan_compile::index::Change;
use genkan_compile::object::{AUTHORITY, Kind, Object, SecretState, Watched};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::secrets::may_watch;
use crate::input::Input;

const IDLE: u32 = 90;
/// How soon a right that is given shows, at the latest.
const AGAIN: Duration = Duration::from_secs(30);

/// Follows them until the engine is gone. Nobody has to allow it: without the right, which a RoleBinding to
/// `genkan-connector-secrets` gives, there are none.
pub async fn run(client: Client, namespace: String, engine: mpsc::Sender<Input>) {
    let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let config = watcher::Config::default()
        .labels(&format!("{}={}", AUTHORITY.0, AUTHORITY.1))
        .timeout(IDLE);
    let mut known: BTreeSet<String> = BTreeSet::new();
    loop {
        // Asked first: a watch that is refused is an error in everybody's log.
        if !may_watch(&client, &namespace).await {
            if engine.is_closed() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        let mut events = std::pin::pin!(watcher(api.clone(), config.clone()).default_backoff());
        let mut listed = BTreeSet::new();
        loop {
            let mut changes = Vec::new();
            let gone = |name: String| {
                Change::Delete(
                    Kind::Watched(Watched::Secret),
                    (namespace.clone(), kept_as(&name)),
                )
            };
            match events.try_next().await {
                Ok(Some(watcher::Event::Init)) => listed.clear(),
                Ok(Some(watcher::Event::InitApply(secret) | watcher::Event::Apply(secret))) => {
                    let name = secret.metadata.name.clone().unwrap_or_default();
                    changes.extend(read(secret));
                    listed.insert(name.clone());
                    known.insert(name);
                }
                Ok(Some(watcher::Event::InitDone)) => {
                    let lost: Vec<String> = known.difference(&listed).cloned().collect();
                    known = std::mem::take(&mut listed);
                    changes.extend(lost.into_iter().map(gone));
                }
                Ok(Some(watcher::Event::Delete(secret))) => {
                    let name = secret.metadata.name.unwrap_or_default();
                    known.remove(&name);
                    changes.push(gone(name));
                }
                Ok(None) => break,
                // Whoever takes the right away wants that they are trusted no more.
                Err(error) if super::is_forbidden(&error) => {
                    let lost = std::mem::take(&mut known);
                    changes.extend(lost.into_iter().map(gone));
                    if !changes.is_empty() && engine.send(Input::Changes(changes)).await.is_err() {
                        return;
                    }
                    break;
                }
                Err(error) => debug!(namespace, %error, "authorities cannot be watched now; trying again"),
            }
            if !changes.is_empty() && engine.send(Input::Changes(changes)).await.is_err() {
                return;
            }
        }
        if engine.is_closed() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Apart from the same Secret as a Connector may name it, which comes and goes by itself: no Secret has such a name.
fn kept_as(name: &str) -> String {
    format!("#{name}")
}

fn read(secret: Secret) -> Option<Change> {
    let (name, value) = (secret.metadata.name.clone(), serde_json::to_value(secret).ok()?);
    let Ok(Object::Secret(mut held)) = Object::read(Kind::Watched(Watched::Secret), value) else {
        return None;
    };
    match &held.state {
        SecretState::Found { secret, .. } => {
            if let Err(problem) = certificates_of(secret) {
                warn!(
                    name,
                    problem, "a Secret with authorities for all Connectors is not used"
                );
            }
        }
        SecretState::Missing | SecretState::NotPermitted => {}
    }
    held.name = kept_as(&held.name);
    Some(Change::Apply(Box::new(Object::Secret(held))))
}
