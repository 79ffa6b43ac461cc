use std::collections::{BTreeMap, BTreeSet, HashMap};

use genkan_routing::directives::{Directives, MOST_STATES};
use genkan_routing::model::ObjectKey;

use super::Compiler;
use crate::index::Index;
use crate::object::Record;

/// Who may have how large regular expressions: every data plane holds those of all objects. Judged by what the objects
/// say, the oldest first, so that every operator comes to the same end and no newcomer takes the place of another.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    /// By age, then name: those that want more than every object may have.
    large: BTreeMap<(i64, ObjectKey), BTreeMap<String, u64>>,
    created: HashMap<ObjectKey, i64>,
    refused: BTreeMap<ObjectKey, Refusal>,
}

/// What an object wants, and what the older ones have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    wanted: u64,
    left: u64,
}

/// States, as they are counted for the limit of one object. What one object has up to this counts for nobody.
const FREE: u64 = 512;
/// Of all objects together, beyond what is free.
const TOTAL: u64 = 16 * MOST_STATES;

// === impl Compiler ===

impl Compiler {
    /// Renews what an object wants. Returns every object that may have got its room by that, or lost it.
    pub(super) fn weigh(&mut self, index: &Index, key: &ObjectKey) -> BTreeSet<ObjectKey> {
        let record = index.published.get(key).filter(|record| !record.console);
        let wanted = record.and_then(|record| Some((record.created, wanted(record)?)));
        self.expressions.enter(key, wanted)
    }
}

/// The expressions with their sizes; `None` where they are few, or no rule of the object is valid anyway.
fn wanted(record: &Record) -> Option<BTreeMap<String, u64>> {
    let written = record.spec.as_ref().ok()?.directives.as_ref()?;
    let rules = Some(written).filter(|written| !written.path_regexp.is_empty())?;
    let directives = Directives::compile(rules).ok()?;
    let expressions = directives.expressions();
    let sizes = expressions
        .into_iter()
        .map(|(text, size)| (text.to_owned(), size));
    Some(sizes.collect()).filter(|sizes: &BTreeMap<String, u64>| sizes.values().sum::<u64>() > FREE)
}

// === impl Expressions ===

impl Expressions {
    /// Why an object gets no room.
    pub(super) fn refusal(&self, key: &ObjectKey) -> Option<Refusal> {
        self.refused.get(key).copied()
    }

    /// Returns the other objects for which something changed.
    fn enter(
        &mut self,
        key: &ObjectKey,
        wanted: Option<(i64, BTreeMap<String, u64>)>,
    ) -> BTreeSet<ObjectKey> {
        let old = self.created.remove(key);
        let old = old.and_then(|created| self.large.remove(&(created, key.clone())));
        if old.is_none() && wanted.is_none() {
            return BTreeSet::new();
        }
        if let Some((created, sizes)) = wanted {
            self.created.insert(key.clone(), created);
            self.large.insert((created, key.clone()), sizes);
        }
        let now = self.judge();
        let before = std::mem::replace(&mut self.refused, now);
        let now = &self.refused;
        let keys = before.keys().chain(now.keys());
        let changed = keys.filter(|other| *other != key && before.get(*other) != now.get(*other));
        changed.cloned().collect()
    }

    fn judge(&self) -> BTreeMap<ObjectKey, Refusal> {
        let (mut held, mut left) = (BTreeSet::new(), TOTAL);
        let mut refused = BTreeMap::new();
        for ((_, key), sizes) in &self.large {
            // Equal expressions are held once, whoever wrote them.
            let new = sizes.iter().filter(|(text, _)| !held.contains(*text));
            let wanted = new.map(|(_, size)| size).sum::<u64>().saturating_sub(FREE);
            if wanted > left {
                refused.insert(key.clone(), Refusal { wanted, left });
                continue;
            }
            left -= wanted;
            held.extend(sizes.keys());
        }
        refused
    }
}

// === impl Refusal ===

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { wanted, left } = self;
        write!(
            f,
            "spec.directives.pathRegexp: its expressions compile to up to {wanted} states more than the {FREE} that are \
             free for every object, but older objects leave only {left} of {TOTAL}; repeat less, write (?:...) for groups \
             that no replacement names, or take expressions out of older objects"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_key(name: &str) -> ObjectKey {
        ObjectKey::reverse_proxy(name)
    }

    fn mk_sizes(name: &str, size: u64) -> BTreeMap<String, u64> {
        BTreeMap::from([(format!("expression of {name}"), size)])
    }

    #[test]
    fn a_newcomer_displaces_nobody_and_gets_the_room_of_who_goes() {
        let mut expressions = Expressions::default();
        for (age, name) in ["a", "b"].into_iter().enumerate() {
            let wanted = (age as i64, mk_sizes(name, TOTAL / 2 + FREE));
            assert!(expressions.enter(&mk_key(name), Some(wanted)).is_empty());
        }
        expressions.enter(&mk_key("c"), Some((2, mk_sizes("c", FREE + 1))));
        assert_eq!(
            expressions.refusal(&mk_key("c")),
            Some(Refusal { wanted: 1, left: 0 })
        );
        assert!(expressions.refusal(&mk_key("a")).is_none() && expressions.refusal(&mk_key("b")).is_none());
        assert_eq!(
            expressions.enter(&mk_key("a"), None),
            BTreeSet::from([mk_key("c")])
        );
        assert_eq!(expressions.refusal(&mk_key("c")), None);
        assert!(expressions.enter(&mk_key("d"), None).is_empty());
    }

    #[test]
    fn equal_expressions_are_counted_once_in_whatever_order_they_come() {
        let all = [("a", 0, "x"), ("b", 1, "x"), ("c", 2, "y"), ("d", 3, "z")];
        let enter = |order: &[usize]| {
            let mut expressions = Expressions::default();
            for (name, created, text) in order.iter().map(|at| all[*at]) {
                expressions.enter(&mk_key(name), Some((created, mk_sizes(text, TOTAL / 2 + FREE))));
            }
            expressions.refused
        };
        let refused = enter(&[0, 1, 2, 3]);
        assert_eq!(refused.keys().collect::<Vec<_>>(), [&mk_key("d")]);
        for order in [[3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
            assert_eq!(enter(&order), refused, "{order:?}");
        }
    }
}
