//! One Secret, followed by a watch of its name.

use std::time::Duration;

use futures::TryStreamExt;
use genkan_compile::object::{Key, SecretState};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::{found, tell};
use crate::input::Input;
use crate::source::kubernetes::is_forbidden;

/// A watch that is silent for longer is begun again.
const IDLE: u32 = 90;
/// How soon a right that is given shows, at the latest.
const AGAIN: Duration = Duration::from_secs(5);

pub(super) async fn follow(client: Client, key: Key, engine: mpsc::Sender<Input>) {
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
                Err(error) if is_forbidden(&error) => SecretState::NotPermitted,
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
                told = Some(state.clone());
                if tell(&engine, &key, state).await.is_none() {
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
