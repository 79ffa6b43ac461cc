use serde::Deserialize;
use serde_json::Value;

use super::log::{LogRule, Part, redacted};
use crate::exchange::Exchange;
use crate::jsonata;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};

/// What fields of the access line may not show.
#[derive(Debug)]
pub(crate) struct Redact {
    rules: Box<[LogRule]>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    rules: Vec<RuleWith>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleWith {
    pointer: Option<String>,
    jsonata: Option<String>,
    #[serde(default)]
    action: Action,
    with: Option<String>,
    #[serde(default = "everywhere", rename = "in")]
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Action {
    #[default]
    Mask,
    Remove,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Place {
    /// In the words of DataPower: `all`, and the bodies of one side.
    #[serde(alias = "all", alias = "request", alias = "response")]
    Body,
    Log,
}

fn everywhere() -> Vec<Place> {
    vec![Place::Body, Place::Log]
}

fn by_pointer(field: &str, pointer: &str) -> Result<Vec<Part>, Fault> {
    let Some(rest) = pointer.strip_prefix('/') else {
        let text = format!("{pointer:?} is no JSON pointer to a field, such as /card");
        return Err(Fault::new(field, text));
    };
    let names = rest
        .split('/')
        .map(|name| name.replace("~1", "/").replace("~0", "~"));
    Ok(names
        .map(|name| if name == "*" { Part::Each } else { Part::Name(name) })
        .collect())
}

// === impl Redact ===

impl Redact {
    pub(crate) fn compile(with: With, _: &Site<'_>) -> Result<Self, Fault> {
        let rules = with.rules.iter().enumerate().map(|(index, rule)| {
            let place = format!("with.rules[{index}]");
            if rule.places.iter().any(|place| *place != Place::Log) {
                return Err(Fault {
                    field: place,
                    ..Fault::unsupported("bodies are not redacted by this version of genkan; write in: [log]")
                });
            }
            let path = match (&rule.pointer, &rule.jsonata) {
                (Some(pointer), None) => by_pointer(&format!("{place}.pointer"), pointer)?,
                (None, Some(jsonata)) => {
                    let path = jsonata::path(jsonata);
                    path.map_err(|error| Fault::new(&format!("{place}.jsonata"), error))?
                }
                (Some(_), Some(_)) | (None, None) => {
                    return Err(Fault::new(&place, "it needs one of pointer and jsonata"));
                }
            };
            Ok(LogRule {
                path: path.into(),
                with: match rule.action {
                    Action::Mask => Some(rule.with.as_deref().unwrap_or("***").into()),
                    Action::Remove => None,
                },
            })
        });
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

impl Act for Redact {
    /// Of fields that are there already, and of those that come.
    fn act(&self, exchange: &mut Exchange<'_>, _: Moment) -> Result<(), Stop> {
        exchange.state.redactions.extend(self.rules.iter().cloned());
        exchange.state.log.retain_mut(|(name, text)| {
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
            match redacted(name, value.clone(), &self.rules) {
                None => false,
                Some(Value::String(redacted)) => {
                    *text = redacted;
                    true
                }
                Some(redacted) => {
                    if redacted != value {
                        *text = redacted.to_string();
                    }
                    true
                }
            }
        });
        Ok(())
    }
}
