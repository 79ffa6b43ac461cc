//! One object, followed by a watch of its name: nobody else's is read, nor asked for.

use std::fmt::Debug;
use std::time::Duration;

use futures::TryStreamExt;
use genkan_compile::index::Change;
use genkan_compile::object::{Key, Object};
use kube::core::NamespaceResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use super::is_forbidden;
use crate::input::Input;

/// A kind that other objects name.
pub(super) trait Named:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static
{
    /// What is known of one.
    type State: Clone + PartialEq + Send;
    const MISSING: Self::State;
    const NOT_PERMITTED: Self::State;

    fn state(self) -> Self::State;
    fn object(key: &Key, state: Self::State) -> Object;
}

/// A task ends with whoever wanted it.
pub(super) struct Guard(pub(super) AbortHandle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A watch that is silent for so many seconds is begun again.
const IDLE: u32 = 90;
/// How soon a right that is given shows, at the latest.
const AGAIN: Duration = Duration::from_secs(5);

/// Follows it until the engine is gone.
pub(super) async fn follow<K: Named>(client: Client, key: Key, engine: mpsc::Sender<Input>) {
    let api: Api<K> = Api::namespaced(client, &key.0);
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={}", key.1))
        .timeout(IDLE);
    let kind = K::kind(&());
    let mut told = None;
    loop {
        let mut events = std::pin::pin!(watcher(api.clone(), config.clone()).default_backoff());
        let mut listed: Option<K> = None;
        loop {
            let state = match events.try_next().await {
                Ok(Some(watcher::Event::Init)) => {
                    listed = None;
                    continue;
                }
                Ok(Some(watcher::Event::InitApply(object))) => {
                    listed = Some(object);
                    continue;
                }
                Ok(Some(watcher::Event::InitDone)) => listed.take().map_or(K::MISSING, K::state),
                Ok(Some(watcher::Event::Apply(object))) => object.state(),
                Ok(Some(watcher::Event::Delete(_))) => K::MISSING,
                Ok(None) => break,
                // A right that is lost takes the content away: whoever took it away wants that.
                Err(error) if is_forbidden(&error) => K::NOT_PERMITTED,
                Err(error) => {
                    debug!(%kind, namespace = key.0, name = key.1, %error, "it cannot be watched now; trying again");
                    continue;
                }
            };
            let is_refused = state == K::NOT_PERMITTED;
            if told.as_ref() != Some(&state) {
                if is_refused {
                    warn!(
                        %kind,
                        namespace = key.0,
                        name = key.1,
                        "the operator may not read what another object names; give it the right"
                    );
                }
                told = Some(state.clone());
                if tell::<K>(&engine, &key, state).await.is_none() {
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

/// `None`: the engine is gone.
pub(super) async fn tell<K: Named>(engine: &mpsc::Sender<Input>, key: &Key, state: K::State) -> Option<()> {
    let change = Change::Apply(Box::new(K::object(key, state)));
    engine.send(Input::Changes(vec![change])).await.ok()
}
