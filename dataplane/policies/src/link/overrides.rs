//! Settings of overrides, merged from broad to narrow.

use std::collections::BTreeMap;

use genkan_routing::model::policy::Select;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::select::selects;
use crate::world::{NamedOverride, ObjectFacts, World};

/// What holds for an object.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) limits: BTreeMap<String, NamedLimit>,
    /// Bytes of a body that policies read.
    pub(crate) body_bytes: Option<u64>,
    /// What `filter` says of JSON where the step does not, by its members.
    pub(crate) json: Map<String, Value>,
}

/// A limit that steps name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NamedLimit {
    pub(crate) kind: LimitKind,
    pub(crate) requests: Option<u64>,
    pub(crate) per: Option<String>,
    pub(crate) count: Option<u64>,
    pub(crate) hard: Option<bool>,
    pub(crate) key: Option<String>,
    pub(crate) weight: Option<String>,
    pub(crate) status: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LimitKind {
    #[default]
    Rate,
    Burst,
    Count,
}

/// Settings, and the members of `filter` that they stand for.
const PARSE: [(&str, &str); 6] = [
    ("depth", "maxDepth"),
    ("width", "maxMembers"),
    ("width", "maxItems"),
    ("nameLength", "maxNameLength"),
    ("valueLength", "maxStringLength"),
    ("numberLength", "maxNumberLength"),
];

const ORGANIZATION: &str = "gateway.genkan.io/organization";
pub(super) const CATALOG: &str = "gateway.genkan.io/catalog";
const PRODUCT: &str = "gateway.genkan.io/product";

// === impl Settings ===

impl Settings {
    pub(super) fn of(object: &ObjectFacts<'_>, world: &World) -> Self {
        let mut all: Vec<&NamedOverride> = world
            .overrides
            .iter()
            .filter(|named| selects(&named.settings.select, object))
            .collect();
        all.sort_by_key(|named| {
            let breadth = breadth(&named.settings.select);
            (breadth, named.order, &named.extension, &named.entry)
        });
        let mut merged = Map::new();
        for named in all {
            if named.settings.exclusive {
                merged.clear();
            }
            for key in &named.settings.reset {
                merged.remove(key);
            }
            merge(&mut merged, &named.settings.settings);
        }
        let limits = merged.get("limits").and_then(Value::as_object);
        let limits = limits.into_iter().flatten();
        let parse = merged.get("parse").and_then(Value::as_object);
        let body_bytes = parse.and_then(|parse| parse.get("bodyBytes"));
        let members = PARSE.iter().filter_map(|(name, member)| {
            let value = parse?.get(*name)?;
            Some(((*member).to_owned(), value.clone()))
        });
        Self {
            json: members.collect(),
            // What cannot be read was refused when the override was accepted.
            limits: limits
                .filter_map(|(name, limit)| Some((name.clone(), serde_json::from_value(limit.clone()).ok()?)))
                .collect(),
            body_bytes: body_bytes.and_then(Value::as_u64),
        }
    }
}

/// The narrower, the more it says.
fn breadth(select: &Select) -> u8 {
    let has = |label: &str| select.labels.contains_key(label);
    if !select.names.is_empty() {
        4
    } else if has(PRODUCT) {
        3
    } else if has(CATALOG) {
        2
    } else {
        u8::from(has(ORGANIZATION))
    }
}

/// The last word on a key counts; groups such as `limits` and `parse` are merged by their members.
fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => {
                into.extend(from.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}
