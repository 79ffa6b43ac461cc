//! How much of an object is sent: all of it, a stub in its place, or nothing. Sizes are verdicts.
//!
//! A stub is what keeps the match of an object that is refused (503 instead of somebody else's backend). It has a claim of
//! its own on the budget, which comes before those of all that is larger; the rest of the object has a second one.

use std::collections::BTreeSet;

use genkan_crds::condition::reason;
use genkan_proto::codec;
use genkan_routing::model::{Action, Blob, BlobKey, EndpointSet, ObjectKey, Role, Route, SetKey};

use super::budget::{Budget, Claim, Place};
use super::bundles::{Bundles, Owned};
use super::{Compiled, unavailable};
use crate::verdict::{Backend, Finding};

/// Bytes of one object, or of the endpoints of one port of a Service, as they are sent.
pub const MAX_OBJECT: usize = 1 << 20;
/// Bytes of all of them, before compression, if nothing else is said.
pub const DEFAULT_BUDGET: usize = 64 << 20;
/// What even the smallest one counts: tables, metrics and status cost more than its bytes.
const LEAST: usize = 1024;
/// Tag and length in front of each resource of a snapshot.
const FRAMING: usize = 5;

/// What claims room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Stub(ObjectKey),
    Rest(ObjectKey),
    Set(SetKey),
    /// The CA bundle that this object owns, for all who use it.
    Bundle(ObjectKey),
}

/// Who has room in the snapshot.
#[derive(Debug)]
pub struct Room(Budget<Part>);

/// The bytes of an object that is sent.
struct Sizes {
    /// With its CA bundle.
    whole: usize,
    /// Without what it may share with others.
    own: usize,
    stub: usize,
}

// === impl Room ===

impl Room {
    /// `budget` in bytes.
    pub fn new(budget: usize) -> Self {
        Self(Budget::new(budget))
    }

    /// Takes in what changed, and says what stands elsewhere than before.
    pub fn settle(&mut self, changes: Vec<(Part, Option<Claim>)>) -> BTreeSet<Part> {
        self.0.settle(changes)
    }

    /// Bytes that count of what is sent.
    pub fn used(&self) -> usize {
        self.0.used()
    }

    /// How many objects and sets have no room, or not for all of them.
    pub fn refused(&self) -> usize {
        self.0.refused()
    }

    /// What an object claims; nothing if it is sent to nobody anyway.
    pub(super) fn claims(
        &self,
        key: &ObjectKey,
        compiled: Option<&Compiled>,
        created: i64,
    ) -> [(Part, Option<Claim>); 2] {
        let sizes = compiled.and_then(|compiled| self.sizes(compiled));
        let claim = |size, weight, free_to_grow| Claim {
            size,
            weight,
            created,
            free_to_grow,
        };
        let weight = |size: usize| size.max(LEAST);
        let stub = sizes.as_ref().filter(|s| s.stub <= MAX_OBJECT);
        let rest = stub.filter(|s| s.stub < s.own && s.whole <= MAX_OBJECT);
        let stub = stub.map(|s| claim(s.stub, weight(s.stub), true));
        let rest = rest.map(|s| claim(s.own, weight(s.own) - weight(s.stub), false));
        [(Part::Stub(key.clone()), stub), (Part::Rest(key.clone()), rest)]
    }

    /// What the endpoints of a port claim. They follow Pods that come and go, not an author: their growth is never held.
    pub fn set_claim(&self, key: &SetKey, set: Option<&EndpointSet>) -> (Part, Option<Claim>) {
        let size = set.map(|set| codec::endpoints_len(key, set) + FRAMING);
        let claim = size.filter(|size| *size <= MAX_OBJECT).map(|size| Claim {
            size,
            weight: size.max(LEAST),
            created: i64::MIN,
            free_to_grow: true,
        });
        (Part::Set(key.clone()), claim)
    }

    /// The CA bundle for which an object needs room; none if the object is refused with it.
    pub(super) fn bundle(&self, compiled: &Compiled) -> Option<(BlobKey, Blob)> {
        let sizes = self.sizes(compiled)?;
        bundle_of(compiled).filter(|_| sizes.whole <= MAX_OBJECT).cloned()
    }

    /// What the owner of a CA bundle claims for it. One that others use as well may displace what is larger, as if it were
    /// new: they did not grow.
    pub(super) fn bundle_claim(&self, owner: ObjectKey, owned: Option<Owned<'_>>) -> (Part, Option<Claim>) {
        let claim = owned.map(|owned| {
            let size = codec::blob_len(&owned.key, owned.blob) + FRAMING;
            Claim {
                size,
                weight: size.max(LEAST),
                created: owned.created,
                free_to_grow: owned.is_shared,
            }
        });
        (Part::Bundle(owner), claim)
    }

    /// Has the CA bundle of this owner room?
    pub fn takes_bundle(&self, owner: &ObjectKey) -> bool {
        self.0.is_inside(&Part::Bundle(owner.clone()))
    }

    /// Makes of an object what there is room for.
    pub(super) fn fit(&self, key: &ObjectKey, compiled: &mut Compiled, bundles: &Bundles) {
        let Some(Sizes { whole, own, stub }) = self.sizes(compiled) else {
            return;
        };
        let place = |part| self.0.place(&part).unwrap_or(Place::Outside);
        if place(Part::Stub(key.clone())) != Place::Inside {
            compiled.verdict.accepted = if stub > MAX_OBJECT {
                over(stub)
            } else {
                self.no_room(whole)
            };
            compiled.verdict.sent = false;
            compiled.verdict.backend = Backend::None;
            compiled.route = None;
            return;
        }
        let refused = match place(Part::Rest(key.clone())) {
            _ if whole > MAX_OBJECT => Some(over(whole)),
            _ if own <= stub => self.bundle_finding(key, compiled, bundles, whole),
            Place::Inside => self.bundle_finding(key, compiled, bundles, whole),
            Place::Outside => Some(self.no_room(whole)),
            Place::Held => Some(self.grown(whole)),
        };
        let set = sets(compiled).find_map(|set| self.set_finding(set));
        let finding = if let Some(finding) = refused {
            compiled.verdict.accepted = finding.clone();
            finding
        } else if let Some(finding) = set {
            compiled.verdict.resolved = finding.clone();
            finding
        } else {
            return;
        };
        compiled.verdict.backend = Backend::None;
        compiled.route = compiled.route.as_ref().map(|route| stub_of(route, &finding));
    }

    /// Has it room?
    pub fn takes(&self, set: &SetKey) -> bool {
        self.0.is_inside(&Part::Set(set.clone()))
    }

    fn sizes(&self, compiled: &Compiled) -> Option<Sizes> {
        let route = compiled.route.as_ref()?;
        let own = framed(route);
        if route.upstream().is_none() {
            return Some(Sizes {
                whole: own,
                own,
                stub: own,
            });
        }
        let bundle = bundle_of(compiled).map(|(key, blob)| codec::blob_len(key, blob) + FRAMING);
        let whole = own + bundle.unwrap_or(0);
        let set = sets(compiled).max_by_key(|set| set.namespace.len() + set.service.len());
        let reasons = [
            Some(over(whole)),
            Some(self.no_room(whole)),
            Some(self.grown(whole)),
        ]
        .into_iter()
        .chain([set.map(large_set), set.map(|set| self.no_room_for(set))]);
        let longest = reasons.flatten().max_by_key(|finding| finding.message.len())?;
        let stub = framed(&stub_of(route, &longest));
        // What may become the stub counts as much as one from the beginning.
        let (whole, own) = (whole.max(stub), own.max(stub));
        Some(Sizes { whole, own, stub })
    }

    /// Only its owner can have grown: to all others the bundle came as it is.
    fn bundle_finding(
        &self,
        key: &ObjectKey,
        compiled: &Compiled,
        bundles: &Bundles,
        whole: usize,
    ) -> Option<Finding> {
        let (bundle, _) = bundle_of(compiled)?;
        let owner = bundles.owner(bundle)?;
        match self.0.place(&Part::Bundle(owner.clone())) {
            Some(Place::Inside) => None,
            Some(Place::Held) if owner == key => Some(self.grown(whole)),
            Some(Place::Held | Place::Outside) | None => Some(self.no_room(whole)),
        }
    }

    fn set_finding(&self, set: &SetKey) -> Option<Finding> {
        match self.0.place(&Part::Set(set.clone())) {
            Some(Place::Inside) => None,
            Some(_) => Some(self.no_room_for(set)),
            None => Some(large_set(set)),
        }
    }

    fn no_room(&self, size: usize) -> Finding {
        let budget = self.0.limit();
        let message = format!(
            "its {size} bytes have no room beside the smaller and older objects in the {budget} bytes of \
             --snapshot-budget; make it smaller (caBundle, directives), remove objects, or raise the budget"
        );
        Finding::no(reason::TOO_LARGE, message)
    }

    fn grown(&self, size: usize) -> Finding {
        let budget = self.0.limit();
        let message = format!(
            "it has grown to {size} bytes, which have no room in the {budget} bytes of --snapshot-budget beside the \
             objects that were there; make it smaller again, remove objects, or raise the budget"
        );
        Finding::no(reason::TOO_LARGE, message)
    }

    fn no_room_for(&self, set: &SetKey) -> Finding {
        let SetKey {
            namespace,
            service: name,
            ..
        } = set;
        let budget = self.0.limit();
        let message = format!(
            "the endpoints of Service {namespace}/{name} have no room beside smaller objects in the {budget} bytes of \
             --snapshot-budget; remove objects, or raise the budget"
        );
        Finding::no(reason::TOO_LARGE, message)
    }
}

fn over(size: usize) -> Finding {
    let message = format!(
        "it has {size} bytes, and one object may have {MAX_OBJECT}; make it smaller (caBundle, directives, matcher)"
    );
    Finding::no(reason::TOO_LARGE, message)
}

fn large_set(set: &SetKey) -> Finding {
    let SetKey {
        namespace,
        service: name,
        ..
    } = set;
    let message = format!(
        "the endpoints of Service {namespace}/{name} have more than the {MAX_OBJECT} bytes that those of one port may \
         have, which is about 40000 endpoints; spread them over several Services"
    );
    Finding::no(reason::TOO_LARGE, message)
}

/// The endpoints that it leads to.
fn sets(compiled: &Compiled) -> impl Iterator<Item = &SetKey> {
    compiled.needs.iter().filter_map(|needs| needs.set.as_ref())
}

/// Of one that is forwarded: a stub trusts nobody.
fn bundle_of(compiled: &Compiled) -> Option<&(BlobKey, Blob)> {
    let key = compiled.route.as_ref()?.bundle()?;
    compiled.bundle.as_ref().filter(|(own, _)| *own == key)
}

fn framed(route: &Route) -> usize {
    codec::route_len(route) + FRAMING
}

/// The match of an object, which answers with what is wrong.
fn stub_of(route: &Route, finding: &Finding) -> Route {
    Route {
        object: route.object.clone(),
        matcher: route.matcher.clone(),
        directives: None,
        action: Action::Unavailable(unavailable(finding)),
        forward_authorization: false,
        secrets: Vec::new(),
        role: Role::None,
        policies: None,
    }
}
