//! The CA bundles of all objects: equal ones are sent once, for as long as an object needs them.

use std::collections::{BTreeMap, BTreeSet};

use genkan_routing::model::{Blob, BlobKey, ObjectKey};

/// Who uses which bundle.
#[derive(Debug, Default)]
pub struct Bundles {
    uses: BTreeMap<ObjectKey, (BlobKey, i64)>,
    bundles: BTreeMap<BlobKey, Bundle>,
}

#[derive(Debug)]
struct Bundle {
    blob: Blob,
    /// With their age. The first, its owner, claims room for it.
    users: BTreeSet<(i64, ObjectKey)>,
    is_sent: bool,
}

/// What one compile changed.
#[derive(Debug, Default)]
pub struct Touched {
    bundles: BTreeSet<BlobKey>,
    /// Owners of these before.
    owners: BTreeSet<ObjectKey>,
}

/// What an owner claims room for.
#[derive(Debug)]
pub struct Owned<'b> {
    pub key: BlobKey,
    pub blob: &'b Blob,
    pub created: i64,
    pub is_shared: bool,
}

// === impl Bundles ===

impl Bundles {
    /// Notes what an object uses now instead of what it used before. `created`: seconds since 1970.
    pub fn note(
        &mut self,
        object: &ObjectKey,
        created: i64,
        needs: Option<(BlobKey, Blob)>,
        touched: &mut Touched,
    ) {
        let now = needs.as_ref().map(|(key, _)| (*key, created));
        let before = self.uses.get(object).copied();
        if now == before {
            return;
        }
        if let Some((key, created)) = before
            && let Some(bundle) = self.bundles.get_mut(&key)
        {
            touched.note(key, bundle);
            bundle.users.remove(&(created, object.clone()));
            self.uses.remove(object);
        }
        if let Some((key, blob)) = needs {
            let bundle = self.bundles.entry(key).or_insert_with(|| Bundle {
                blob,
                users: BTreeSet::new(),
                is_sent: false,
            });
            touched.note(key, bundle);
            bundle.users.insert((created, object.clone()));
            self.uses.insert(object.clone(), (key, created));
        }
    }

    /// Everybody whose claim may be another one now, with what it owns.
    pub fn owners(&self, touched: &Touched) -> Vec<(ObjectKey, Option<Owned<'_>>)> {
        let now = touched.bundles.iter().filter_map(|key| self.owner(key));
        let all: BTreeSet<&ObjectKey> = now.chain(&touched.owners).collect();
        all.into_iter()
            .map(|owner| (owner.clone(), self.owned(owner)))
            .collect()
    }

    /// Who claims room for a bundle; `None` if nobody uses it.
    pub fn owner(&self, key: &BlobKey) -> Option<&ObjectKey> {
        let (_, owner) = self.bundles.get(key)?.users.first()?;
        Some(owner)
    }

    /// The bundle that an object claims room for.
    pub fn owned(&self, object: &ObjectKey) -> Option<Owned<'_>> {
        let (key, created) = self.uses.get(object)?;
        let bundle = self.bundles.get(key)?;
        let (_, owner) = bundle.users.first()?;
        (owner == object).then_some(Owned {
            key: *key,
            blob: &bundle.blob,
            created: *created,
            is_shared: bundle.users.len() > 1,
        })
    }

    /// Of what was touched, and of what these owners own: what is sent now and was not, with its content, or the other way
    /// round. Whoever uses it is compiled again.
    pub fn turn(
        &mut self,
        touched: Touched,
        owners: &[ObjectKey],
        has_room: impl Fn(&ObjectKey) -> bool,
    ) -> Vec<(BlobKey, Option<Blob>)> {
        let mut concerned = touched.bundles;
        concerned.extend(owners.iter().filter_map(|owner| Some(self.owned(owner)?.key)));
        let mut turned = Vec::new();
        for key in concerned {
            let is_sent = self.owner(&key).is_some_and(&has_room);
            let Some(bundle) = self.bundles.get_mut(&key) else {
                continue;
            };
            if bundle.is_sent != is_sent {
                bundle.is_sent = is_sent;
                turned.push((key, is_sent.then(|| bundle.blob.clone())));
            }
            if bundle.users.is_empty() {
                self.bundles.remove(&key);
            }
        }
        turned
    }

    /// Whether an object needs a bundle that is not sent.
    pub fn is_refused_to(&self, object: &ObjectKey) -> bool {
        let bundle = self.uses.get(object).and_then(|(key, _)| self.bundles.get(key));
        bundle.is_some_and(|bundle| !bundle.is_sent)
    }

    pub fn users(&self, key: &BlobKey) -> impl Iterator<Item = &ObjectKey> {
        let users = self.bundles.get(key).map(|bundle| &bundle.users);
        users.into_iter().flatten().map(|(_, user)| user)
    }
}

// === impl Touched ===

impl Touched {
    fn note(&mut self, key: BlobKey, bundle: &Bundle) {
        self.bundles.insert(key);
        self.owners
            .extend(bundle.users.first().map(|(_, owner)| owner.clone()));
    }
}
