//! The Secrets that objects name: nobody else's value is read, nor asked for.
//!
//! Each is followed by a watch of its own name, which a Role with `resourceNames` is enough for. A namespace in which many
//! are named is watched once, where that is allowed: without values, and what changed is read by its name.

mod space;

use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_compile::index::Change;
use genkan_compile::object::{HeldSecret, Key, Kind, Object, SecretState, Watched};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::mpsc;

use super::named::{Guard, Named};
use crate::input::Input;
use crate::wanted::Wanted;
use space::Space;

/// Follows what is wanted until the engine is gone.
pub async fn run(client: Client, wanted: Arc<Wanted>, engine: mpsc::Sender<Input>) {
    let mut spaces: BTreeMap<String, (Arc<Wanted>, Guard)> = BTreeMap::new();
    while !engine.is_closed() {
        let mut news: BTreeMap<String, Vec<(Key, bool)>> = BTreeMap::new();
        for (key, is_wanted) in wanted.next().await {
            news.entry(key.0.clone()).or_default().push((key, is_wanted));
        }
        for (namespace, news) in news {
            let (named, _) = spaces.entry(namespace).or_insert_with_key(|namespace| {
                let named = Arc::default();
                let space = Space::new(client.clone(), namespace.clone(), engine.clone());
                let running = tokio::spawn(space.run(Arc::clone(&named)));
                (named, Guard(running.abort_handle()))
            });
            named.say(news);
        }
    }
}

/// Whether the Secrets of a namespace may be watched; not if nobody can say.
pub(super) async fn may_watch(client: &Client, namespace: &str) -> bool {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    for verb in ["list", "watch"] {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some(namespace.to_owned()),
                    resource: Some("secrets".to_owned()),
                    verb: Some(verb.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = api.create(&PostParams::default(), &review).await;
        let status = answer.ok().and_then(|review| review.status);
        if !status.is_some_and(|status| status.allowed) {
            return false;
        }
    }
    true
}

impl Named for Secret {
    type State = SecretState;
    const MISSING: SecretState = SecretState::Missing;
    const NOT_PERMITTED: SecretState = SecretState::NotPermitted;

    fn state(self) -> SecretState {
        let value = serde_json::to_value(self).unwrap_or_default();
        match Object::read(Kind::Watched(Watched::Secret), value) {
            Ok(Object::Secret(held)) => held.state,
            _ => SecretState::Missing,
        }
    }

    fn object(key: &Key, state: SecretState) -> Object {
        Object::Secret(HeldSecret {
            namespace: key.0.clone(),
            name: key.1.clone(),
            state,
        })
    }
}

async fn send(engine: &mpsc::Sender<Input>, change: Change) -> Option<()> {
    engine.send(Input::Changes(vec![change])).await.ok()
}
