use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::exchange::Exchange;
use crate::expr::Expr;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};

/// Fields for the access line.
#[derive(Debug)]
pub(crate) struct Log {
    fields: Box<[(Arc<str>, Expr)]>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default)]
    content: Content,
    /// Lines of errors say the same as others.
    #[serde(default, rename = "errorContent")]
    _error_content: Content,
}

/// How much is written, in the words of DataPower. Bodies never are, whichever of them it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Content {
    None,
    #[default]
    Activity,
    Header,
    Payload,
    GatherOnly,
}

/// What a field of the log may not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRule {
    /// The field, and the path inside of a value that is JSON.
    pub(crate) path: Arc<[Part]>,
    /// `None`: it is removed.
    pub(crate) with: Option<Arc<str>>,
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A member, or an item by its number.
    Name(String),
    /// A member, also of each item of a list.
    Member(String),
    /// Every member or item.
    Each,
    /// Whatever is below, and what is here.
    Below,
}

/// Bytes of a field at most.
const LONGEST: usize = 1 << 10;

// === impl Log ===

impl Log {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let is_silent = with.content == Content::None;
        let fields = with.fields.iter().filter(|_| !is_silent).map(|(name, text)| {
            let field = format!("with.fields.{name}");
            Ok((name.as_str().into(), site.expr(&field, text)?))
        });
        Ok(Self {
            fields: fields.collect::<Result<_, Fault>>()?,
        })
    }
}

impl Act for Log {
    /// What has no value is left out: a line of the log is no reason to refuse a request.
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        for (name, expr) in &self.fields {
            let Ok(value) = expr.json(exchange, moment.now) else {
                continue;
            };
            let Some(value) = redacted(name, value, &exchange.state.redactions) else {
                continue;
            };
            if value.is_null() {
                continue;
            }
            let mut text = plain(value);
            let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
            exchange.state.log.push((Arc::clone(name), text));
        }
        Ok(())
    }
}

/// A text as it is, anything else as JSON.
pub(crate) fn plain(value: Value) -> String {
    if let Value::String(text) = value {
        text
    } else {
        value.to_string()
    }
}

/// `None`: nothing of it may be shown.
pub(crate) fn redacted(name: &str, value: Value, rules: &[LogRule]) -> Option<Value> {
    let mut value = value;
    for rule in rules {
        let mut path = &*rule.path;
        if let [Part::Below, rest @ ..] = path {
            hide(&mut value, path, rule.with.as_deref());
            path = rest;
        }
        let Some((first, rest)) = path.split_first() else {
            continue;
        };
        if !first.is_member(name) {
            continue;
        }
        if rest.is_empty() {
            value = Value::String(rule.with.as_ref()?.to_string());
        } else {
            hide(&mut value, rest, rule.with.as_deref());
        }
    }
    Some(value)
}

/// Masks or removes what a path leads to.
fn hide(value: &mut Value, path: &[Part], with: Option<&str>) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if *first == Part::Below {
        hide(value, rest, with);
    }
    match value {
        Value::Object(members) => {
            if rest.is_empty() {
                match with {
                    None => members.retain(|name, _| !first.is_member(name)),
                    Some(with) => members
                        .iter_mut()
                        .filter(|(name, _)| first.is_member(name))
                        .for_each(|(_, value)| *value = with.into()),
                }
                return;
            }
            let meant = members.iter_mut().filter(|(name, _)| first.is_member(name));
            meant.for_each(|(_, value)| hide(value, first.below(path, rest), with));
        }
        Value::Array(items) => {
            if let Part::Member(_) = first {
                items.iter_mut().for_each(|item| hide(item, path, with));
                return;
            }
            if rest.is_empty() && with.is_none() {
                let mut index = 0;
                items.retain(|_| {
                    index += 1;
                    !first.is_item(index - 1)
                });
                return;
            }
            let meant = items
                .iter_mut()
                .enumerate()
                .filter(|(index, _)| first.is_item(*index));
            meant.for_each(|(_, item)| match with {
                Some(with) if rest.is_empty() => *item = with.into(),
                Some(_) | None => hide(item, first.below(path, rest), with),
            });
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

// === impl Part ===

impl Part {
    fn is_member(&self, name: &str) -> bool {
        match self {
            Self::Name(known) | Self::Member(known) => known == name,
            Self::Each | Self::Below => true,
        }
    }

    fn is_item(&self, index: usize) -> bool {
        match self {
            Self::Name(known) => *known == index.to_string(),
            Self::Member(_) => false,
            Self::Each | Self::Below => true,
        }
    }

    /// What is looked for one level below.
    fn below<'p>(&self, path: &'p [Self], rest: &'p [Self]) -> &'p [Self] {
        if *self == Self::Below { path } else { rest }
    }
}
