//! In which order entries are applied; never in which they run.

use std::collections::{BTreeMap, BTreeSet};

use crate::kind::EntryType;
use crate::refusal::{Reason, Refused};

/// An entry, as far as its place is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    pub name: &'a str,
    pub kind: EntryType,
    /// `None`: ten times its position.
    pub order: Option<i32>,
    pub depends_on: &'a [String],
}

/// Names in the order of applying: what others depend on first; among the free ones by class, order and name.
///
/// # Errors
///
/// `Invalid`: a name stands there twice, or dependencies lead nowhere or back.
pub fn order(entries: &[Placed<'_>]) -> Result<Vec<String>, Refused> {
    let mut places = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if places.insert(entry.name, index).is_some() {
            return Err(invalid(format!("{} appears twice", entry.name)));
        }
    }
    let mut needed = vec![BTreeSet::new(); entries.len()];
    for (index, entry) in entries.iter().enumerate() {
        for other in entry.depends_on {
            let name = entry.name;
            let Some(on) = places.get(other.as_str()) else {
                let message = format!("{name} depends on {other}, which is not there");
                return Err(invalid(message));
            };
            if *on == index {
                return Err(invalid(format!("{name} depends on itself")));
            }
            needed[index].insert(*on);
        }
    }
    let rank = |index: usize| {
        let entry = &entries[index];
        let position = i32::try_from(index + 1).unwrap_or(i32::MAX);
        let order = entry.order.unwrap_or(position.saturating_mul(10));
        (entry.kind.class(), order, entry.name, index)
    };
    let mut waiting = needed.clone();
    let mut free: BTreeSet<_> = (0..entries.len())
        .filter(|index| waiting[*index].is_empty())
        .map(rank)
        .collect();
    let mut names = Vec::new();
    while let Some((_, _, name, done)) = free.pop_first() {
        names.push(name.to_owned());
        for (index, on) in waiting.iter_mut().enumerate() {
            if on.remove(&done) && on.is_empty() {
                free.insert(rank(index));
            }
        }
    }
    if names.len() == entries.len() {
        return Ok(names);
    }
    let ring = ring(&needed, entries);
    Err(invalid(format!("{} depend on one another", ring.join(", "))))
}

/// The names of the first ring: those that the first of them reaches and is reached by.
fn ring<'a>(needed: &[BTreeSet<usize>], entries: &[Placed<'a>]) -> Vec<&'a str> {
    let reached: Vec<_> = (0..entries.len()).map(|from| reach(needed, from)).collect();
    let first = (0..entries.len()).find(|index| reached[*index].contains(index));
    let Some(first) = first else {
        return Vec::new();
    };
    let members = reached[first]
        .iter()
        .filter(|other| reached[**other].contains(&first));
    let mut names: Vec<_> = members.map(|index| entries[*index].name).collect();
    names.sort_unstable();
    names
}

fn reach(needed: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for next in &needed[at] {
            if found.insert(*next) {
                open.push(*next);
            }
        }
    }
    found
}

fn invalid(message: String) -> Refused {
    Reason::Invalid.refuse(format!("entries: {message}"))
}
