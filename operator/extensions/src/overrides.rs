//! Settings of objects: those of a `gwd_extension`, and what is effective for one object.

mod command;
mod limit;
mod merge;
mod scope;

use genkan_routing::model::policy::{Override, Select};
use serde::Serialize;
use serde_json::{Map, Value};

pub use merge::{Object, Ranked, effective, selects};

use crate::kind::OnUnsupported;
use crate::refusal::{Reason, Refused};
use crate::tree::{Node, json};
use command::Mapping;
use scope::Scope;

/// Labels by which objects belong to an organization, a catalog and a product.
pub const LABELS: [&str; 3] = [
    "gateway.genkan.io/organization",
    "gateway.genkan.io/catalog",
    "gateway.genkan.io/product",
];

/// What overrides become.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Converted {
    /// In the order of the file; `effective` puts them from broad to narrow.
    pub overrides: Vec<Override>,
    /// What was left out.
    pub unsupported: Vec<Unsupported>,
}

/// Something of the file that has no counterpart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unsupported {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    pub message: String,
}

/// Reads the overrides of a file.
///
/// # Errors
///
/// `OverrideInvalid`; or `Unsupported`, unless that is to be skipped.
pub fn read(file: &str, text: &[u8], on: OnUnsupported) -> Result<Converted, Refused> {
    let document = json::read(text).map_err(|fault| Reason::OverrideInvalid.refuse(fault.sentence(file)))?;
    let members = document.as_map().ok_or_else(|| invalid("not an object"))?;
    let mut converted = Converted::default();
    let mut unsupported = |found: Unsupported| match on {
        OnUnsupported::Reject => Err(Reason::Unsupported.refuse(found.sentence())),
        OnUnsupported::Skip => {
            converted.unsupported.push(found);
            Ok(())
        }
    };
    for (name, node) in members {
        let why = command::not_converted(name);
        let mapping = Mapping::named(name);
        if why.is_none() && mapping.is_none() {
            return Err(invalid(&format!("object {name} is unknown")));
        }
        if node.as_map().is_none() {
            return Err(invalid(&format!("{name} is not an object")));
        }
        if let Some(why) = why
            && !says_nothing(node)
        {
            unsupported(Unsupported {
                path: name.clone(),
                command: None,
                message: why.to_owned(),
            })?;
        }
        let Some(mapping) = mapping else {
            continue;
        };
        let scopes = scope::all(name, node).map_err(|message| invalid(&message))?;
        let mut settled = Vec::new();
        for scope in scopes {
            let mut settings = Map::new();
            for (sub, commands) in &scope.commands {
                let path = format!("{}/{sub}", scope.path);
                for text in commands {
                    if let Err(message) = mapping.apply(sub, text, &mut settings) {
                        unsupported(Unsupported {
                            path: path.clone(),
                            command: Some(text.clone()),
                            message,
                        })?;
                    }
                }
            }
            settled.push((scope, settings));
        }
        for (scope, settings) in &settled {
            let reset = dropped(mapping, scope, &settled);
            if !settings.is_empty() || !reset.is_empty() {
                converted.overrides.push(Override {
                    select: scope.select.clone(),
                    exclusive: false,
                    reset,
                    settings: settings.clone(),
                });
            }
        }
    }
    Ok(converted)
}

/// What broader scopes of one mapping set, and this one drops. Scopes drop what is of their mapping alone: that is named.
fn dropped(mapping: Mapping, scope: &Scope, all: &[(Scope, Map<String, Value>)]) -> Vec<String> {
    let is_emptied = |(sub, commands): &(String, Vec<String>)| commands.is_empty() && mapping.has(sub);
    if !scope.exclusive && !scope.commands.iter().any(is_emptied) {
        return Vec::new();
    }
    let broadness = merge::breadth(&scope.select);
    let broader = all
        .iter()
        .filter(|(other, _)| merge::breadth(&other.select) < broadness);
    let mut keys = Vec::new();
    for (key, value) in broader.flat_map(|(_, settings)| settings) {
        let members = value.as_object().into_iter().flatten();
        for (member, _) in members {
            let key = format!("{key}/{member}");
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

/// Whether all its commands only print.
fn says_nothing(node: &Node) -> bool {
    match node {
        Node::Null | Node::Bool(_) | Node::Number(_) => true,
        Node::Text(text) => command::is_echo(text),
        Node::List(items) => items.iter().all(says_nothing),
        Node::Map(members) => members.iter().all(|(_, node)| says_nothing(node)),
    }
}

fn invalid(message: &str) -> Refused {
    Reason::OverrideInvalid.refuse(format!("overrides: {message}"))
}

// === impl Unsupported ===

impl Unsupported {
    pub fn sentence(&self) -> String {
        let Self { path, message, .. } = self;
        match &self.command {
            Some(command) => format!("overrides: {path}: {command}: {message}"),
            None => format!("overrides: {path}: {message}"),
        }
    }
}

/// Selects objects by organization, catalog and product, each a glob.
fn by_labels(values: &[&str], name: Option<&str>) -> Select {
    let labels = LABELS.iter().zip(values);
    Select {
        kinds: Vec::new(),
        names: name.map(str::to_owned).into_iter().collect(),
        labels: labels
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect(),
    }
}
