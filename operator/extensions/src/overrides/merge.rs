use std::collections::BTreeMap;

use genkan_routing::model::policy::{Override, Select};
use serde_json::{Map, Value};

use crate::glob;

use super::LABELS;

/// A published object, as far as it can be selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// `ReverseProxy`, `APIService` or `Connector`.
    pub kind: String,
    /// `NAMESPACE/NAME` of a Connector.
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// An override, and its place among those that are as broad.
#[derive(Clone, Copy, Debug)]
pub struct Ranked<'a> {
    pub order: i32,
    /// Of the entry.
    pub name: &'a str,
    pub settings: &'a Override,
}

/// Whether an object is meant.
pub fn selects(select: &Select, object: &Object) -> bool {
    let kind = select.kinds.is_empty() || select.kinds.contains(&object.kind);
    let any = |name: &String| glob::matches(name, &object.name);
    let name = select.names.is_empty() || select.names.iter().any(any);
    let has = |(label, pattern): (&String, &String)| {
        let value = object.labels.get(label);
        value.is_some_and(|value| glob::matches(pattern, value))
    };
    kind && name && select.labels.iter().all(has)
}

/// The settings of an object: from broad to narrow, then by order and name; the last word on a key stands.
pub fn effective<'a>(overrides: impl IntoIterator<Item = Ranked<'a>>, object: &Object) -> Map<String, Value> {
    let mut chosen: Vec<_> = overrides
        .into_iter()
        .filter(|ranked| selects(&ranked.settings.select, object))
        .collect();
    chosen.sort_by_key(|ranked| (breadth(&ranked.settings.select), ranked.order, ranked.name));
    let mut settings = Map::new();
    for Ranked { settings: one, .. } in chosen {
        if one.exclusive {
            settings.clear();
        }
        for key in &one.reset {
            reset(&mut settings, key);
        }
        for (key, value) in &one.settings {
            merge(&mut settings, key, value);
        }
    }
    settings.retain(|_, value| value.as_object().is_none_or(|members| !members.is_empty()));
    settings
}

/// 0 is everything, 4 is objects by name.
pub(super) fn breadth(select: &Select) -> u8 {
    let is_named = select.names.iter().any(|name| name != "*");
    let [organization, catalog, product] = LABELS.map(|label| select.labels.contains_key(label));
    match (is_named, product, catalog, organization) {
        (true, ..) => 4,
        (_, true, ..) => 3,
        (_, _, true, _) => 2,
        (_, _, _, true) => 1,
        _ => 0,
    }
}

/// `KEY`, or `KEY/MEMBER`.
fn reset(settings: &mut Map<String, Value>, key: &str) {
    match key.split_once('/') {
        Some((key, member)) => {
            let members = settings.get_mut(key).and_then(Value::as_object_mut);
            if let Some(members) = members {
                members.remove(member);
            }
        }
        None => {
            settings.remove(key);
        }
    }
}

fn merge(settings: &mut Map<String, Value>, key: &str, value: &Value) {
    let before = settings.get_mut(key).and_then(Value::as_object_mut);
    match (before, value.as_object()) {
        (Some(before), Some(members)) => {
            let members = members.iter().map(|(name, value)| (name.clone(), value.clone()));
            before.extend(members);
        }
        _ => {
            settings.insert(key.to_owned(), value.clone());
        }
    }
}
