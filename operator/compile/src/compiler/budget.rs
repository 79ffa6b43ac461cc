//! Who fits into the snapshot: accounts of sizes, and nothing of how a snapshot is encoded.
//!
//! Every claim has a rank: the smaller comes first, then the older, then the key. What is inside is always a beginning of
//! that order, so the outcome is the same in whatever order claims came. One thing alone is remembered: a claim that was
//! inside and grew until another would have had to leave for it is *held*, and considered after all others.

use std::collections::{BTreeMap, BTreeSet};

/// What one claim asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Bytes by which it is ranked.
    pub size: usize,
    /// Bytes that it adds to the whole.
    pub weight: usize,
    /// Seconds since 1970.
    pub created: i64,
    /// It may displace larger ones when it grows, as if it were new.
    pub free_to_grow: bool,
}

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Inside,
    /// Smaller ones, or older ones as large, fill the budget.
    Outside,
    /// It grew, and the budget is filled by those that were there.
    Held,
}

/// The accounts of one budget.
#[derive(Debug)]
pub struct Budget<K> {
    limit: usize,
    used: usize,
    claims: BTreeMap<K, (Claim, Place)>,
    inside: BTreeSet<Rank<K>>,
    outside: BTreeSet<Rank<K>>,
    held: BTreeSet<Rank<K>>,
    /// Where those that moved stood when the settlement began.
    moved: BTreeMap<K, Option<Place>>,
}

/// Size, age and key, by which the first comes in first.
type Rank<K> = (usize, i64, K);

/// Growth up to this part of the budget is never held: an ordinary edit of an ordinary object.
const SMALL: usize = 1 << 14;

// === impl Budget ===

impl<K: Ord + Clone> Budget<K> {
    /// `limit` in bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            claims: BTreeMap::new(),
            inside: BTreeSet::new(),
            outside: BTreeSet::new(),
            held: BTreeSet::new(),
            moved: BTreeMap::new(),
        }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes of all that is inside.
    pub fn used(&self) -> usize {
        self.used
    }

    /// How many claims are not inside.
    pub fn refused(&self) -> usize {
        self.outside.len() + self.held.len()
    }

    /// `None`: there is no such claim.
    pub fn place(&self, key: &K) -> Option<Place> {
        self.claims.get(key).map(|(_, place)| *place)
    }

    pub fn is_inside(&self, key: &K) -> bool {
        self.place(key) == Some(Place::Inside)
    }

    /// Takes in what changed (`None`: it is gone). Returns the keys that stand somewhere else than before, new ones and
    /// gone ones among them. The cost is that of the changes and of those who move for them.
    pub fn settle(&mut self, changes: impl IntoIterator<Item = (K, Option<Claim>)>) -> BTreeSet<K> {
        let mut grown = BTreeMap::new();
        for (key, claim) in changes {
            match (self.claims.get(&key).copied(), claim) {
                (Some((old, _)), Some(new)) if old == new => {}
                (Some((old, Place::Inside)), Some(new)) if self.may_be_held(&old, &new) => {
                    grown.insert((new.size, new.created, key), new);
                }
                (Some((old, Place::Held)), Some(new)) if self.stays_held(&old, &new) => {
                    self.take_out(&key);
                    self.stand(key, new, Place::Held);
                }
                (_, new) => {
                    self.take_out(&key);
                    if let Some(new) = new {
                        self.put_in(key, new);
                    }
                }
            }
        }
        self.balance();
        for ((.., key), claim) in grown {
            self.grow(key, claim);
        }
        while let Some((claim, key)) = self.first_held().filter(|(claim, _)| self.fits(claim)) {
            self.take_out(&key);
            self.put_in(key, claim);
            self.balance();
        }
        let moved = std::mem::take(&mut self.moved);
        let differs = |(key, before): (K, Option<Place>)| (self.place(&key) != before).then_some(key);
        moved.into_iter().filter_map(differs).collect()
    }

    fn may_be_held(&self, old: &Claim, new: &Claim) -> bool {
        new.weight > old.weight && self.stays_held(old, new)
    }

    /// Until it fits: who grows far and comes half the way back has still grown.
    fn stays_held(&self, old: &Claim, new: &Claim) -> bool {
        new.created == old.created && !new.free_to_grow && new.size > self.limit / SMALL
    }

    /// The old claim keeps its room until the new one is judged, lest another takes it meanwhile.
    fn grow(&mut self, key: K, claim: Claim) {
        let was_inside = self.is_inside(&key);
        self.take_out(&key);
        let rank = (claim.size, claim.created, key.clone());
        let displaces = !self.fits(&claim) && self.inside.last().is_some_and(|last| rank < *last);
        if was_inside && displaces {
            self.stand(key, claim, Place::Held);
        } else {
            self.put_in(key, claim);
        }
        self.balance();
    }

    fn fits(&self, claim: &Claim) -> bool {
        self.used.saturating_add(claim.weight) <= self.limit
    }

    fn first_held(&self) -> Option<(Claim, K)> {
        let (.., key) = self.held.first()?;
        Some((self.claims.get(key)?.0, key.clone()))
    }

    /// Gives it the place that its rank has now.
    fn put_in(&mut self, key: K, claim: Claim) {
        let rank = (claim.size, claim.created, key);
        let before_others = self.outside.first().is_none_or(|first| rank < *first);
        let place = if before_others {
            Place::Inside
        } else {
            Place::Outside
        };
        self.stand(rank.2, claim, place);
    }

    /// Moves the border to where the budget ends.
    fn balance(&mut self) {
        while self.used > self.limit
            && let Some((.., key)) = self.inside.last().cloned()
            && let Some(claim) = self.take_out(&key)
        {
            self.stand(key, claim, Place::Outside);
        }
        while let Some((.., key)) = self.outside.first()
            && let Some((claim, _)) = self.claims.get(key).copied()
            && self.fits(&claim)
        {
            let key = key.clone();
            self.take_out(&key);
            self.stand(key, claim, Place::Inside);
        }
    }

    fn stand(&mut self, key: K, claim: Claim, place: Place) {
        self.moved.entry(key.clone()).or_insert(None);
        if place == Place::Inside {
            self.used += claim.weight;
        }
        self.those(place).insert((claim.size, claim.created, key.clone()));
        self.claims.insert(key, (claim, place));
    }

    fn take_out(&mut self, key: &K) -> Option<Claim> {
        let (claim, place) = self.claims.remove(key)?;
        self.moved.entry(key.clone()).or_insert(Some(place));
        if place == Place::Inside {
            self.used -= claim.weight;
        }
        self.those(place)
            .remove(&(claim.size, claim.created, key.clone()));
        Some(claim)
    }

    fn those(&mut self, place: Place) -> &mut BTreeSet<Rank<K>> {
        match place {
            Place::Inside => &mut self.inside,
            Place::Outside => &mut self.outside,
            Place::Held => &mut self.held,
        }
    }
}

#[cfg(test)]
mod tests;
