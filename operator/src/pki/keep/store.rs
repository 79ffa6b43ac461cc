use std::collections::BTreeMap;
use std::time::Duration;

use genkan_compile::sentence::sentence;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use tracing::info;

use super::form::{MARK, NOTE, Stored};

/// For one answer of the API server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The Secrets and ConfigMaps of one namespace.
#[derive(Clone)]
pub(super) struct Store {
    namespace: String,
    secrets: Api<Secret>,
    config_maps: Api<ConfigMap>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("{what} cannot be {done} now: {why}")]
    Api {
        what: String,
        done: &'static str,
        why: String,
    },
}

// === impl Store ===

impl Store {
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            secrets: Api::namespaced(client.clone(), namespace),
            config_maps: Api::namespaced(client, namespace),
        }
    }

    /// With its namespace, for people.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace)
    }

    pub async fn secret(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        let what = || format!("Secret {}", self.name(name));
        let found = answer(what, "read", self.secrets.get_opt(name)).await?;
        Ok(found.flatten().map(Stored::new))
    }

    /// Writes a Secret in place of what was found. That another was faster is no error: whoever calls reads again.
    pub async fn put(
        &self,
        name: &str,
        kind: &str,
        data: BTreeMap<String, ByteString>,
        found: Option<&Stored>,
    ) -> Result<(), StoreError> {
        let what = || format!("Secret {}", self.name(name));
        let params = PostParams::default();
        let secret = Secret {
            metadata: metadata(name, found.and_then(|f| f.secret.resource_version())),
            type_: Some(kind.to_owned()),
            data: Some(data),
            ..Secret::default()
        };
        let put = match found {
            None => answer(what, "created", self.secrets.create(&params, &secret)).await?,
            Some(_) => answer(what, "written", self.secrets.replace(name, &params, &secret)).await?,
        };
        if put.is_some() {
            info!(secret = %self.name(name), "written");
        }
        Ok(())
    }

    pub async fn config_map(&self, name: &str) -> Result<Option<ConfigMap>, StoreError> {
        let what = || format!("ConfigMap {}", self.name(name));
        Ok(answer(what, "read", self.config_maps.get_opt(name))
            .await?
            .flatten())
    }

    /// Writes a ConfigMap in place of what was found, if its keys or the note differ from these; other keys are nobody's
    /// business. False if another was faster.
    pub async fn publish(
        &self,
        name: &str,
        found: Option<ConfigMap>,
        data: &BTreeMap<String, String>,
        note: &str,
    ) -> Result<bool, StoreError> {
        let what = || format!("ConfigMap {}", self.name(name));
        let params = PostParams::default();
        let put = match found {
            None => {
                let mut metadata = metadata(name, None);
                metadata.annotations = Some([(NOTE.to_owned(), note.to_owned())].into());
                let map = ConfigMap {
                    metadata,
                    data: Some(data.clone()),
                    ..ConfigMap::default()
                };
                answer(what, "created", self.config_maps.create(&params, &map)).await?
            }
            Some(mut map) => {
                let held = map.data.get_or_insert_default();
                let is_noted = map.metadata.annotations.as_ref().and_then(|all| all.get(NOTE));
                if data.iter().all(|(key, value)| held.get(key) == Some(value))
                    && is_noted.is_some_and(|noted| noted == note)
                {
                    return Ok(true);
                }
                held.extend(data.clone());
                map.metadata.managed_fields = None;
                map.annotations_mut().insert(NOTE.to_owned(), note.to_owned());
                answer(what, "written", self.config_maps.replace(name, &params, &map)).await?
            }
        };
        if put.is_some() {
            info!(config_map = %self.name(name), "written");
        }
        Ok(put.is_some())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("namespace", &self.namespace)
            .finish()
    }
}

/// `None` if another writer was faster, or the object has gone in between.
async fn answer<T>(
    what: impl Fn() -> String,
    done: &'static str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<Option<T>, StoreError> {
    let refused = |why: String| StoreError::Api {
        what: what(),
        done,
        why,
    };
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Ok(None),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 && done == "written" => Ok(None),
        Ok(Err(error)) => Err(refused(sentence(&error))),
        Err(_) => Err(refused(format!(
            "the API server did not answer within {TIMEOUT:?}"
        ))),
    }
}

fn metadata(name: &str, resource_version: Option<String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some([(MARK.0.to_owned(), MARK.1.to_owned())].into()),
        resource_version,
        ..ObjectMeta::default()
    }
}
