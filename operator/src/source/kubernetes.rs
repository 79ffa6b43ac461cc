//! One watch for each kind, all feeding the engine.

pub mod authorities;
pub mod budgets;
pub mod flags;
pub mod maps;
mod named;
pub mod secrets;

use std::collections::HashSet;
use std::time::Duration;

use futures::TryStreamExt;
use genkan_compile::index::Change;
use genkan_compile::kinds;
use genkan_compile::object::{Kind, Object, Watched, key_of};
use genkan_compile::sentence::sentence;
use genkan_tools::resource;
use kube::api::{DynamicObject, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::input::{Absence, Input};

/// How often a kind that the API server does not know is asked for again.
const ABSENT: Duration = Duration::from_secs(1);
/// A watch that is silent for longer is begun again.
const IDLE: u32 = 90;
const PAGE: u32 = 200;
const FORBIDDEN: u16 = 403;
/// A watch that is refused is begun again more often than this; one that is taken says nothing until an object changes.
const SILENT: Duration = Duration::from_secs(90);

/// Watches every kind until the engine is gone; Pods only in the namespace of the data-plane Service.
pub async fn run(client: Client, dataplane_namespace: String, engine: mpsc::Sender<Input>) {
    let mut watches = JoinSet::new();
    for kind in Kind::all() {
        let namespace = match kind {
            Kind::Watched(Watched::Pod) => dataplane_namespace.as_str(),
            Kind::Published(_)
            | Kind::Watched(
                Watched::Service | Watched::EndpointSlice | Watched::Secret | Watched::ConfigMap,
            ) => "",
        };
        let api = resource::api(&client, &resource::of(kind), namespace);
        watches.spawn(
            Watch {
                kind,
                api,
                engine: engine.clone(),
                told: HashSet::new(),
                absent: None,
                was_listed: false,
            }
            .run(),
        );
    }
    // None of them ends before the engine does.
    watches.join_next().await;
}

struct Watch {
    kind: Kind,
    api: Api<DynamicObject>,
    engine: mpsc::Sender<Input>,
    /// Sentences that were logged since the last success.
    told: HashSet<String>,
    /// Why nothing can be read, as the engine was told.
    absent: Option<Absence>,
    /// Its objects were known once.
    was_listed: bool,
}

// === impl Watch ===

impl Watch {
    async fn run(mut self) {
        while !self.engine.is_closed() {
            self.appear().await;
            self.follow().await;
        }
    }

    /// Without it everything else is served all the same.
    fn is_optional(&self) -> bool {
        self.kind
            .published()
            .is_some_and(|kind| kinds::of(kind).is_optional)
    }

    /// Only what a CRD defines can be unknown to an API server.
    fn may_be_absent(&self) -> bool {
        self.kind.published().is_some()
    }

    /// Returns when the API server knows the kind and lets it be listed. A kind that is not known has no objects; of one
    /// that may not be listed nothing is known, or what was known before.
    async fn appear(&mut self) {
        loop {
            let one = ListParams::default().limit(1);
            let found = match tokio::time::timeout(Duration::from_secs(5), self.api.list(&one)).await {
                Ok(found) => found.map(|_| ()),
                Err(_) => {
                    self.tell("the API server did not answer within 5 s".into());
                    tokio::time::sleep(ABSENT).await;
                    continue;
                }
            };
            match found {
                Ok(()) => {
                    self.told.clear();
                    self.lacks(None).await;
                    return;
                }
                Err(kube::Error::Api(e)) if e.code == 404 && self.may_be_absent() => {
                    if self.lacks(Some(Absence::Definition)).await {
                        self.send(Change::Reset(self.kind, Vec::new())).await;
                    }
                }
                Err(e) => {
                    if matches!(&e, kube::Error::Api(status) if status.code == FORBIDDEN) {
                        let is_new = self.lacks(Some(Absence::Right)).await;
                        // Of a kind that came later it keeps nobody else from being served.
                        if is_new && self.is_optional() && !self.was_listed {
                            self.send(Change::Reset(self.kind, Vec::new())).await;
                        }
                    }
                    self.tell(sentence(&e));
                }
            }
            tokio::time::sleep(ABSENT).await;
        }
    }

    /// Passes events on until the kind disappears.
    async fn follow(&mut self) {
        let config = watcher::Config::default().timeout(IDLE).page_size(PAGE);
        let mut events = std::pin::pin!(watcher(self.api.clone(), config).default_backoff());
        let mut listed = None;
        loop {
            let next = match self.absent {
                None => events.try_next().await,
                Some(_) => match tokio::time::timeout(SILENT, events.try_next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.lacks(None).await;
                        continue;
                    }
                },
            };
            match next {
                Ok(Some(event)) => {
                    self.told.clear();
                    if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                        self.lacks(None).await;
                    }
                    match event {
                        watcher::Event::Init => listed = Some(Vec::new()),
                        watcher::Event::InitApply(object) => {
                            listed.get_or_insert_with(Vec::new).extend(self.read(object));
                        }
                        watcher::Event::InitDone => {
                            self.was_listed = true;
                            self.send(Change::Reset(self.kind, listed.take().unwrap_or_default()))
                                .await;
                        }
                        watcher::Event::Apply(object) => {
                            if let Some(object) = self.read(object) {
                                self.send(Change::Apply(Box::new(object))).await;
                            }
                        }
                        watcher::Event::Delete(object) => {
                            let key = key_of(&value(object));
                            self.send(Change::Delete(self.kind, key)).await;
                        }
                    }
                }
                Ok(None) => return,
                Err(e) => {
                    if self.may_be_absent() && is_absent(&e) {
                        return;
                    }
                    if is_forbidden(&e) {
                        self.lacks(Some(Absence::Right)).await;
                    }
                    self.tell(match &e {
                        watcher::Error::InitialListFailed(e)
                        | watcher::Error::WatchStartFailed(e)
                        | watcher::Error::WatchFailed(e) => sentence(e),
                        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => e.to_string(),
                    });
                }
            }
            if self.engine.is_closed() {
                return;
            }
        }
    }

    /// One object that cannot be read is told and left out; it does not end the watch.
    fn read(&self, object: DynamicObject) -> Option<Object> {
        match Object::read(self.kind, value(object)) {
            Ok(object) => Some(object),
            Err(e) => {
                warn!(kind = self.kind.name(), error = %e, "object left out");
                None
            }
        }
    }

    async fn send(&self, change: Change) {
        // The engine ends only with the process.
        let _ = self.engine.send(Input::Changes(vec![change])).await;
    }

    /// Says why nothing can be read, or that it can be again. True if that is new.
    async fn lacks(&mut self, absence: Option<Absence>) -> bool {
        if std::mem::replace(&mut self.absent, absence) == absence {
            return false;
        }
        let kind = self.kind.name();
        match absence {
            Some(absence) => warn!(kind, "{absence}"),
            None => info!(kind, "the kind can be read again"),
        }
        // The engine ends only with the process.
        let _ = self.engine.send(Input::Absent(self.kind, absence)).await;
        true
    }

    /// Logs a sentence once until the next success.
    fn tell(&mut self, sentence: String) {
        if self.told.insert(sentence.clone()) {
            warn!(kind = self.kind.name(), error = %sentence, "cannot be watched now; trying again");
        }
    }
}

fn value(object: DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        // Of who wrote which field only the name of the last is of interest.
        let managers = metadata.remove("managedFields").unwrap_or_default();
        metadata.insert("manager".to_owned(), last_manager(&managers).into());
    }
    value
}

/// Who wrote something else than the status last; empty if nobody says.
fn last_manager(managers: &Value) -> &str {
    let all = managers.as_array().into_iter().flatten();
    let writers = all.filter(|one| one["subresource"].as_str().is_none_or(str::is_empty));
    let last = writers.max_by_key(|one| one["time"].as_str());
    last.and_then(|one| one["manager"].as_str()).unwrap_or_default()
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let error = match error {
        watcher::Error::InitialListFailed(e)
        | watcher::Error::WatchStartFailed(e)
        | watcher::Error::WatchFailed(e) => e,
        watcher::Error::WatchError(status) => return status.code == FORBIDDEN,
        watcher::Error::NoResourceVersion => return false,
    };
    matches!(error, kube::Error::Api(status) if status.code == FORBIDDEN)
}

fn is_absent(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(e) | watcher::Error::WatchStartFailed(e)) = error else {
        return false;
    };
    matches!(e, kube::Error::Api(e) if e.code == 404)
}

#[cfg(test)]
mod tests;
