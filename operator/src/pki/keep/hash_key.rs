use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use tokio::sync::mpsc;
use tracing::warn;

use super::store::{Store, StoreError};
use crate::input::Input;
use crate::snapshot::HashKey;

/// The key in the data of the Secret.
const DATA: &str = "key";

/// The key under which secrets are hashed, in a Secret of the operator: kept, so that a restart names everything as before.
#[derive(Debug)]
pub(super) struct ManagedHashKey {
    secret: String,
    engine: mpsc::Sender<Input>,
    used: Option<HashKey>,
    told: String,
}

#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("Secret {0} was given to the operator, and its key {DATA:?} has not {length} bytes", length = HashKey::LENGTH)]
    Given(String),
    #[error("Secret {0} is written by others again and again; is there one operator in its namespace?")]
    Contended(String),
}

// === impl ManagedHashKey ===

impl ManagedHashKey {
    pub fn new(secret: String, engine: mpsc::Sender<Input>) -> Self {
        Self {
            secret,
            engine,
            used: None,
            told: String::new(),
        }
    }

    /// Once around. Until it succeeds another key is used, which nobody remembers.
    pub async fn look(&mut self, store: &Store) {
        let text = match self.find(store).await {
            Ok(()) => String::new(),
            Err(error) => format!("{error}; secrets are hashed under another key meanwhile"),
        };
        if text != self.told {
            if !text.is_empty() {
                warn!(secret = %self.secret, "{text}");
            }
            self.told = text;
        }
    }

    async fn find(&mut self, store: &Store) -> Result<(), KeyError> {
        let name = self.secret.clone();
        for _ in 0..5 {
            let stored = store.secret(&name).await?;
            let data = stored.as_ref().and_then(|stored| stored.secret.data.as_ref());
            if let Some(key) = data.and_then(|data| HashKey::read(&data.get(DATA)?.0)) {
                if self.used.as_ref() != Some(&key) {
                    // The engine ends only with the process.
                    let _ = self.engine.send(Input::HashKey(key.clone())).await;
                    self.used = Some(key);
                }
                return Ok(());
            }
            if stored.as_ref().is_some_and(|stored| !stored.is_ours) {
                return Err(KeyError::Given(store.name(&name)));
            }
            // One that was deleted is put back: a new one would have every secret sent again.
            let key = self.used.clone().unwrap_or_else(HashKey::random);
            let data = BTreeMap::from([(DATA.to_owned(), ByteString(key.bytes().to_vec()))]);
            // Another replica may be faster: which key it is, is read again.
            store.put(&name, "Opaque", data, stored.as_ref()).await?;
        }
        Err(KeyError::Contended(store.name(&name)))
    }
}
