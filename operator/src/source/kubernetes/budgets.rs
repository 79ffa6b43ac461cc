//! PodDisruptionBudgets of the namespace of the data plane: whether one of its Pods may be taken.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tracing::warn;

use super::is_forbidden;
use crate::budgets::{Budget, Budgets};
use crate::input::Input;

/// A watch that is silent for so many seconds is begun again.
const IDLE: u32 = 90;
/// How soon a right that is given shows, at the latest.
const AGAIN: Duration = Duration::from_secs(5);

/// Follows them until the engine is gone. What is known stays known while the API server is away.
pub async fn run(client: Client, namespace: String, engine: mpsc::Sender<Input>) {
    let api: Api<PodDisruptionBudget> = Api::namespaced(client, &namespace);
    let mut told = Budgets::Unknown;
    loop {
        let config = watcher::Config::default().timeout(IDLE);
        let mut events = std::pin::pin!(watcher(api.clone(), config).default_backoff());
        let mut known: BTreeMap<String, Budget> = BTreeMap::new();
        let mut is_listed = false;
        loop {
            match events.try_next().await {
                Ok(Some(watcher::Event::Init)) => {
                    known.clear();
                    is_listed = false;
                }
                Ok(Some(watcher::Event::InitApply(budget) | watcher::Event::Apply(budget))) => {
                    let budget = Budget::of(budget);
                    known.insert(budget.name.clone(), budget);
                }
                Ok(Some(watcher::Event::InitDone)) => is_listed = true,
                Ok(Some(watcher::Event::Delete(budget))) => {
                    known.remove(&budget.metadata.name.unwrap_or_default());
                }
                Ok(None) => break,
                Err(error) if is_forbidden(&error) => {
                    let refused = Budgets::NotPermitted(namespace.clone());
                    if told != refused {
                        warn!(
                            namespace,
                            "PodDisruptionBudgets may not be listed; no data plane is taken for a roll-out"
                        );
                        told = refused;
                        if engine.send(Input::Budgets(told.clone())).await.is_err() {
                            return;
                        }
                    }
                    break;
                }
                Err(error) => {
                    warn!(namespace, %error, "PodDisruptionBudgets cannot be watched now; trying again");
                    continue;
                }
            }
            let now = Budgets::Known(known.values().cloned().collect());
            if is_listed && told != now {
                told = now;
                if engine.send(Input::Budgets(told.clone())).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
