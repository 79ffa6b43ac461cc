use genkan_routing::answer::reason;
use serde::Deserialize;

use super::status_of;
use crate::answer::{Cause, PolicyAnswer};
use crate::condition::Condition;
use crate::exchange::Exchange;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};
use crate::template::Template;

/// Rules that have to hold, all of which are looked at.
#[derive(Debug)]
pub(crate) struct Check {
    rules: Box<[(Condition, Template)]>,
    status: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    rules: Vec<RuleWith>,
    status: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleWith {
    cel: Option<String>,
    jsonata: Option<String>,
    #[serde(default)]
    message: String,
}

// === impl Check ===

impl Check {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let rules = with.rules.iter().enumerate().map(|(index, rule)| {
            let place = format!("with.rules[{index}]");
            let expr = match (&rule.cel, &rule.jsonata) {
                (Some(cel), None) => Condition::Cel(site.expr(&format!("{place}.cel"), cel)?),
                (None, Some(jsonata)) => {
                    Condition::Jsonata(site.jsonata(&format!("{place}.jsonata"), jsonata)?)
                }
                (Some(_), Some(_)) | (None, None) => {
                    return Err(Fault::new(&place, "it needs one of cel and jsonata"));
                }
            };
            Ok((expr, site.template(&format!("{place}.message"), &rule.message)?))
        });
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            status: status_of("with.status", with.status.unwrap_or(422))?,
        })
    }
}

impl Act for Check {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        let mut causes = Vec::new();
        for (rule, message) in &self.rules {
            if !rule.truth(exchange, moment.now)? {
                causes.push(Cause {
                    field: String::new(),
                    message: message.render(exchange, moment.now)?,
                });
            }
        }
        if causes.is_empty() {
            return Ok(());
        }
        let messages: Vec<_> = causes.iter().map(|cause| cause.message.as_str()).collect();
        let text = messages.join("; ");
        let mut answer = PolicyAnswer::refused(self.status, reason::CHECK_FAILED, text);
        answer.causes = causes;
        Err(answer.into())
    }
}
