//! Revisions of gateway extensions, kept as Secrets of one namespace: a source may be gone when one is needed again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use genkan_compile::index::{Change, Remembered};
use genkan_extensions::revision::Revision;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tracing::{info, warn};

use crate::input::Input;

/// Type of the Secrets.
const TYPE: &str = "gateway.genkan.io/revision";
/// Annotations of each: whose it is, by name and by uid, which, how recent, and which part of how many.
const EXTENSION: &str = "gateway.genkan.io/extension";
const UID: &str = "gateway.genkan.io/extension-uid";
const REVISION: &str = "gateway.genkan.io/revision";
const PLACE: &str = "gateway.genkan.io/place";
const PARTS: &str = "gateway.genkan.io/parts";
/// The one key of each.
const KEY: &str = "part";
/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(5);

/// What is to be kept of each extension, the newest first; of each the last word counts.
#[derive(Debug, Default)]
pub struct Keeping {
    wanted: Mutex<BTreeMap<String, Remembered>>,
    some: Notify,
}

// === impl Keeping ===

impl Keeping {
    pub fn say(&self, extension: &str, history: Remembered) {
        self.wanted.lock().insert(extension.to_owned(), history);
        self.some.notify_one();
    }

    fn take(&self) -> BTreeMap<String, Remembered> {
        std::mem::take(&mut *self.wanted.lock())
    }
}

/// Reads what was kept, and keeps what is wanted until the engine is gone.
pub async fn run(client: Client, namespace: String, keeping: Arc<Keeping>, engine: mpsc::Sender<Input>) {
    let api: Api<Secret> = Api::namespaced(client, &namespace);
    let mut kept = loop {
        match list(&api).await {
            Ok(found) => break found,
            Err(error) => {
                warn!(namespace, %error, "revisions of GatewayExtensions cannot be read; none is deployed before that");
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    let remembered = remembered(&kept);
    let change = Change::Remembered(remembered);
    if engine.send(Input::Changes(vec![change])).await.is_err() {
        return;
    }
    while !engine.is_closed() {
        let wanted = keeping.take();
        if wanted.is_empty() {
            keeping.some.notified().await;
            continue;
        }
        for (extension, history) in wanted {
            if let Err(error) = keep(&api, &extension, &history, &mut kept).await {
                warn!(extension, %error, "revisions cannot be kept; trying again");
                let is_newer = keeping.wanted.lock().contains_key(&extension);
                if !is_newer {
                    keeping.wanted.lock().insert(extension, history);
                }
                tokio::time::sleep(AGAIN).await;
                keeping.some.notify_one();
            }
        }
    }
}

/// What is stored of one revision.
#[derive(Debug, Default)]
struct Stored {
    extension: String,
    uid: String,
    revision: String,
    place: u64,
    parts: usize,
    /// By their numbers: name of the Secret, and content.
    found: BTreeMap<usize, (String, Vec<u8>)>,
}

type Kept = BTreeMap<(String, String), Stored>;
/// Its place, of which object, and the revision.
type Found<'a> = (u64, &'a str, Arc<Revision>);

async fn list(api: &Api<Secret>) -> kube::Result<Kept> {
    let params = ListParams::default().fields(&format!("type={TYPE}"));
    let mut kept = Kept::new();
    for secret in api.list(&params).await?.items {
        let Some((key, at, stored)) = read(&secret) else {
            continue;
        };
        let entry = kept.entry(key).or_insert(Stored {
            found: BTreeMap::new(),
            ..stored
        });
        let content = secret.data.unwrap_or_default().remove(KEY).map(|part| part.0);
        let name = secret.metadata.name.unwrap_or_default();
        entry.found.insert(at, (name, content.unwrap_or_default()));
    }
    Ok(kept)
}

fn read(secret: &Secret) -> Option<((String, String), usize, Stored)> {
    let notes = secret.metadata.annotations.as_ref()?;
    let (extension, revision) = (notes.get(EXTENSION)?.clone(), notes.get(REVISION)?.clone());
    let (at, parts) = notes.get(PARTS)?.split_once('/')?;
    let stored = Stored {
        extension: extension.clone(),
        uid: notes.get(UID).cloned().unwrap_or_default(),
        revision: revision.clone(),
        place: notes.get(PLACE)?.parse().ok()?,
        parts: parts.parse().ok()?,
        found: BTreeMap::new(),
    };
    Some(((extension, revision), at.parse().ok()?, stored))
}

/// The revisions of each extension, the newest first; one that lacks a part is none.
fn remembered(kept: &Kept) -> BTreeMap<String, Remembered> {
    let mut all: BTreeMap<String, Vec<Found<'_>>> = BTreeMap::new();
    for stored in kept.values().filter(|stored| stored.found.len() == stored.parts) {
        let parts = stored.found.values().map(|(_, part)| part.as_slice());
        match Revision::unpack(parts) {
            Some(revision) if revision.id == stored.revision => {
                let revisions = all.entry(stored.extension.clone()).or_default();
                revisions.push((stored.place, stored.uid.as_str(), Arc::new(revision)));
            }
            Some(_) | None => warn!(
                revision = stored.revision,
                "a revision that was kept cannot be read"
            ),
        }
    }
    let newest_first = |mut revisions: Vec<Found<'_>>| {
        revisions.sort_by_key(|(place, ..)| std::cmp::Reverse(*place));
        let uid = revisions
            .first()
            .map(|(_, uid, _)| (*uid).to_owned())
            .unwrap_or_default();
        let of_same = revisions.into_iter().filter(|(_, of, _)| *of == uid);
        Remembered {
            revisions: of_same.map(|(.., revision)| revision).collect(),
            uid: uid.clone(),
        }
    };
    all.into_iter()
        .map(|(extension, revisions)| (extension, newest_first(revisions)))
        .collect()
}

async fn keep(
    api: &Api<Secret>,
    extension: &str,
    history: &Remembered,
    kept: &mut Kept,
) -> anyhow::Result<()> {
    let wanted: BTreeSet<&str> = history
        .revisions
        .iter()
        .map(|revision| revision.id.as_str())
        .collect();
    let highest = kept
        .values()
        .filter(|stored| stored.extension == extension)
        .map(|stored| stored.place)
        .max();
    let mut highest = highest.unwrap_or_default();
    // The oldest first: each stands behind the one before it.
    let mut last = 0;
    for revision in history.revisions.iter().rev() {
        let key = (extension.to_owned(), revision.id.clone());
        let stays = |stored: &&Stored| stored.place > last && stored.uid == history.uid;
        if let Some(stored) = kept.get(&key).filter(stays) {
            last = stored.place;
            continue;
        }
        highest += 1;
        last = highest;
        let stored = match kept.remove(&key) {
            Some(stored) => move_to(api, stored, &history.uid, last).await?,
            None => write(api, extension, &history.uid, revision, last).await?,
        };
        info!(extension, revision = revision.id, "a revision is kept");
        kept.insert(key, stored);
    }
    let gone: Vec<(String, String)> = kept
        .keys()
        .filter(|(of, id)| of == extension && !wanted.contains(id.as_str()))
        .cloned()
        .collect();
    for key in gone {
        let names = kept
            .get(&key)
            .into_iter()
            .flat_map(|stored| stored.found.values());
        for (name, _) in names {
            match api.delete(name, &DeleteParams::default()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error.into()),
            }
        }
        kept.remove(&key);
    }
    Ok(())
}

/// It is the newest again, or that of another object of the same name.
async fn move_to(api: &Api<Secret>, stored: Stored, uid: &str, place: u64) -> anyhow::Result<Stored> {
    for (name, _) in stored.found.values() {
        let mut secret = api.get(name).await?;
        let notes = secret.metadata.annotations.get_or_insert_default();
        notes.insert(PLACE.to_owned(), place.to_string());
        notes.insert(UID.to_owned(), uid.to_owned());
        api.replace(name, &PostParams::default(), &secret).await?;
    }
    Ok(Stored {
        uid: uid.to_owned(),
        place,
        ..stored
    })
}

async fn write(
    api: &Api<Secret>,
    extension: &str,
    uid: &str,
    revision: &Revision,
    place: u64,
) -> anyhow::Result<Stored> {
    let parts = revision.pack()?;
    let mut stored = Stored {
        extension: extension.to_owned(),
        uid: uid.to_owned(),
        revision: revision.id.clone(),
        place,
        parts: parts.len(),
        found: BTreeMap::new(),
    };
    for (at, part) in parts.iter().enumerate() {
        let name = format!("{}.{at}", revision.id);
        let notes = [
            (EXTENSION, extension.to_owned()),
            (UID, uid.to_owned()),
            (REVISION, revision.id.clone()),
            (PLACE, place.to_string()),
            (PARTS, format!("{at}/{}", parts.len())),
        ];
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                annotations: Some(notes.map(|(key, value)| (key.to_owned(), value)).into()),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.to_owned()),
            immutable: Some(true),
            data: Some([(KEY.to_owned(), ByteString(part.clone()))].into()),
            ..Secret::default()
        };
        match api.create(&PostParams::default(), &secret).await {
            // Of an attempt that broke off, or of another operator: its name says its content.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            created => drop(created?),
        }
        stored.found.insert(at, (name, Vec::new()));
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_come_back_from_their_parts_and_half_ones_do_not() {
        let revision = Revision::new("corp", Vec::new());
        let part = revision.pack().unwrap().remove(0);
        let stored = |place: u64, parts: usize, part: Vec<u8>| Stored {
            extension: "corp".into(),
            uid: "u".into(),
            revision: revision.id.clone(),
            place,
            parts,
            found: [(0, ("name".to_owned(), part))].into(),
        };
        let of = |stored: Stored| {
            let key = (stored.extension.clone(), stored.revision.clone());
            remembered(&[(key, stored)].into())
        };
        assert_eq!(
            of(stored(1, 1, part.clone()))["corp"],
            Remembered {
                uid: "u".into(),
                revisions: vec![Arc::new(revision.clone())],
            }
        );
        assert!(of(stored(1, 2, part)).is_empty());
        assert!(of(stored(1, 1, b"no".to_vec())).is_empty());
    }
}
