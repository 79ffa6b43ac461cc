use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

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
    pub(crate) path: Arc<[String]>,
    /// `None`: it is removed.
    pub(crate) with: Option<Arc<str>>,
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
pub(crate) fn plain(value: serde_json::Value) -> String {
    if let serde_json::Value::String(text) = value {
        text
    } else {
        value.to_string()
    }
}

/// `None`: nothing of it may be shown.
pub(crate) fn redacted(name: &str, value: serde_json::Value, rules: &[LogRule]) -> Option<serde_json::Value> {
    let mut value = value;
    for rule in rules {
        let Some((first, rest)) = rule.path.split_first() else {
            continue;
        };
        if first != name && first != "*" {
            continue;
        }
        if rest.is_empty() {
            value = serde_json::Value::String(rule.with.as_ref()?.to_string());
        } else {
            hide(&mut value, rest, rule.with.as_deref());
        }
    }
    Some(value)
}

/// Masks or removes what a path leads to; `*` is every member or item.
fn hide(value: &mut serde_json::Value, path: &[String], with: Option<&str>) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    match value {
        serde_json::Value::Object(members) => {
            let is_meant = |name: &str| first == "*" || first == name;
            if rest.is_empty() {
                match with {
                    None => members.retain(|name, _| !is_meant(name)),
                    Some(with) => members
                        .iter_mut()
                        .filter(|(name, _)| is_meant(name))
                        .for_each(|(_, value)| *value = with.into()),
                }
                return;
            }
            let meant = members.iter_mut().filter(|(name, _)| is_meant(name));
            meant.for_each(|(_, value)| hide(value, rest, with));
        }
        serde_json::Value::Array(items) => {
            let is_meant = |index: usize| first == "*" || *first == index.to_string();
            if rest.is_empty() && with.is_none() {
                let mut index = 0;
                items.retain(|_| {
                    index += 1;
                    !is_meant(index - 1)
                });
                return;
            }
            let meant = items.iter_mut().enumerate().filter(|(index, _)| is_meant(*index));
            meant.for_each(|(_, item)| match with {
                Some(with) if rest.is_empty() => *item = with.into(),
                Some(_) | None => hide(item, rest, with),
            });
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}
