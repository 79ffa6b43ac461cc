//! The Secrets of one namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use genkan_compile::index::Change;
use genkan_compile::object::{Key, Kind, SecretState, Watched};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{may_watch, send};
use crate::input::Input;
use crate::source::kubernetes::is_forbidden;
use crate::source::kubernetes::named::{Guard, Named, follow, tell};
use crate::wanted::Wanted;

/// Follows what is named in a namespace.
pub(super) struct Space {
    client: Client,
    namespace: String,
    engine: mpsc::Sender<Input>,
    names: BTreeSet<String>,
    /// Those that are followed by themselves.
    singles: BTreeMap<String, Guard>,
    whole: Option<Whole>,
    /// When it is asked again whether the whole namespace may be watched.
    asked_again: Instant,
    /// Those that could not be read, to be tried again.
    again: BTreeSet<String>,
}

/// A watch of the namespace, without values.
struct Whole {
    events: Pin<Box<dyn futures::Stream<Item = Event> + Send>>,
    /// What a list has named so far.
    listed: BTreeSet<String>,
}

type Event = Result<watcher::Event<PartialObjectMeta<Secret>>, watcher::Error>;

/// So many are followed one by one.
const MOST_SINGLE: usize = 50;
/// A no is taken for so long.
const ASK_AGAIN: Duration = Duration::from_secs(60);
const IDLE: u32 = 90;
/// Before another try to read what could not be read.
const PAUSE: Duration = Duration::from_secs(1);
/// Reads at once.
const AT_ONCE: usize = 8;

// === impl Space ===

impl Space {
    pub(super) fn new(client: Client, namespace: String, engine: mpsc::Sender<Input>) -> Self {
        Self {
            client,
            namespace,
            engine,
            names: BTreeSet::new(),
            singles: BTreeMap::new(),
            whole: None,
            asked_again: Instant::now(),
            again: BTreeSet::new(),
        }
    }

    /// Goes on until it is dropped, or the engine is gone.
    pub(super) async fn run(mut self, named: Arc<Wanted>) {
        loop {
            let done = tokio::select! {
                changes = named.next() => self.name(changes).await,
                event = next(self.whole.as_mut()) => self.take(event).await,
                () = tokio::time::sleep(PAUSE), if !self.again.is_empty() => {
                    let again = std::mem::take(&mut self.again);
                    self.read(again).await
                }
            };
            if done.is_none() {
                return;
            }
        }
    }

    fn key(&self, name: &str) -> Key {
        (self.namespace.clone(), name.to_owned())
    }

    async fn name(&mut self, changes: BTreeMap<Key, bool>) -> Option<()> {
        let mut new = BTreeSet::new();
        for ((_, name), is_wanted) in changes {
            if is_wanted && self.names.insert(name.clone()) {
                new.insert(name);
            } else if !is_wanted && self.names.remove(&name) {
                new.remove(&name);
                self.again.remove(&name);
                self.singles.remove(&name);
                let gone = Change::Delete(Kind::Watched(Watched::Secret), self.key(&name));
                send(&self.engine, gone).await?;
            }
        }
        if self.names.is_empty() {
            self.whole = None;
        }
        if self.whole.is_some() {
            return self.read(new).await;
        }
        let is_due = self.names.len() > MOST_SINGLE && self.asked_again <= Instant::now();
        if is_due && self.may_watch_all().await {
            info!(
                namespace = self.namespace,
                secrets = self.names.len(),
                "many Secrets are named: the namespace is watched, without values"
            );
            self.whole = Some(Whole::new(self.client.clone(), &self.namespace));
            // The list that comes first names them.
            return Some(());
        }
        self.follow(new);
        Some(())
    }

    /// Each by itself.
    fn follow(&mut self, names: BTreeSet<String>) {
        for name in names {
            let following = follow::<Secret>(self.client.clone(), self.key(&name), self.engine.clone());
            let guard = Guard(tokio::spawn(following).abort_handle());
            self.singles.insert(name, guard);
        }
    }

    async fn may_watch_all(&mut self) -> bool {
        self.asked_again = Instant::now() + ASK_AGAIN;
        may_watch(&self.client, &self.namespace).await
    }

    async fn take(&mut self, event: Event) -> Option<()> {
        let Some(whole) = &mut self.whole else {
            return Some(());
        };
        let name = |secret: PartialObjectMeta<Secret>| secret.metadata.name.unwrap_or_default();
        match event {
            Ok(watcher::Event::Init) => whole.listed.clear(),
            Ok(watcher::Event::InitApply(secret)) => {
                whole.listed.insert(name(secret));
            }
            Ok(watcher::Event::InitDone) => {
                let listed = std::mem::take(&mut whole.listed);
                for missing in self.names.difference(&listed) {
                    tell::<Secret>(&self.engine, &self.key(missing), SecretState::Missing).await?;
                }
                let there = self.names.intersection(&listed).cloned().collect();
                self.read(there).await?;
                // From here on the one watch does what these did.
                self.singles.clear();
            }
            Ok(watcher::Event::Apply(secret)) => {
                let name = name(secret);
                if self.names.contains(&name) {
                    self.read([name].into()).await?;
                }
            }
            Ok(watcher::Event::Delete(secret)) => {
                let name = name(secret);
                if self.names.contains(&name) {
                    tell::<Secret>(&self.engine, &self.key(&name), SecretState::Missing).await?;
                }
            }
            // The right to the whole is gone: each says by itself whether it may still be read.
            Err(error) if is_forbidden(&error) => {
                warn!(
                    namespace = self.namespace,
                    "the namespace may not be watched any more: its Secrets are followed one by one"
                );
                self.whole = None;
                self.asked_again = Instant::now() + ASK_AGAIN;
                self.follow(self.names.clone());
            }
            Err(error) => {
                debug!(namespace = self.namespace, %error, "Secrets cannot be watched now; trying again");
            }
        }
        Some(())
    }

    /// Reads what is named, and says what it holds.
    async fn read(&mut self, names: BTreeSet<String>) -> Option<()> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let reading = futures::stream::iter(names).map(|name| {
            let api = &api;
            async move { (api.get_opt(&name).await, name) }
        });
        let mut reading: BoxStream<'_, _> = reading.buffer_unordered(AT_ONCE).boxed();
        while let Some((answer, name)) = reading.next().await {
            let state = match answer {
                Ok(Some(secret)) => secret.state(),
                Ok(None) => SecretState::Missing,
                Err(kube::Error::Api(status)) if status.code == 403 => SecretState::NotPermitted,
                Err(error) => {
                    debug!(namespace = self.namespace, name, %error, "Secret cannot be read now; trying again");
                    self.again.insert(name);
                    continue;
                }
            };
            let key = (self.namespace.clone(), name);
            tell::<Secret>(&self.engine, &key, state).await?;
        }
        Some(())
    }
}

// === impl Whole ===

impl Whole {
    fn new(client: Client, namespace: &str) -> Self {
        let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client, namespace);
        let config = watcher::Config::default().timeout(IDLE);
        Self {
            events: watcher(api, config).default_backoff().boxed(),
            listed: BTreeSet::new(),
        }
    }
}

/// Waits for ever where nothing is watched.
async fn next(whole: Option<&mut Whole>) -> Event {
    let event = match whole {
        Some(whole) => whole.events.next().await,
        None => None,
    };
    match event {
        Some(event) => event,
        None => std::future::pending().await,
    }
}
