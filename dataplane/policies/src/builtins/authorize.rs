use genkan_routing::answer::reason;
use serde::Deserialize;

use crate::answer::PolicyAnswer;
use crate::exchange::Exchange;
use crate::expr::Expr;
use crate::link::{Fault, Site};
use crate::rego::Rego;
use crate::step::{Act, Moment, Stop};
use crate::template::Template;

/// Whether it is allowed.
#[derive(Debug)]
pub(crate) struct Authorize {
    rule: Rule,
    message: Option<Template>,
}

#[derive(Debug)]
enum Rule {
    Cel(Expr),
    Rego(Box<Rego>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    cel: Option<String>,
    rego: Option<String>,
    file: Option<String>,
    query: Option<String>,
    message: Option<String>,
}

// === impl Authorize ===

impl Authorize {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let rego = |field: &str, text: &str| {
            let query = with.query.as_deref();
            let query = query.ok_or_else(|| Fault::new("with.query", "it is missing"))?;
            let rego = Rego::compile(text, query).map_err(|error| Fault::new(field, error))?;
            Ok(Rule::Rego(Box::new(rego)))
        };
        let rule = match (&with.cel, &with.rego, &with.file) {
            (Some(cel), None, None) => Rule::Cel(site.expr("with.cel", cel)?),
            (None, Some(text), None) => rego("with.rego", text)?,
            (None, None, Some(path)) => {
                let text = std::str::from_utf8(site.file("with.file", path)?);
                rego(
                    "with.file",
                    text.map_err(|_| Fault::new("with.file", "it is no text"))?,
                )?
            }
            _ => return Err(Fault::new("with", "it needs one of cel, rego and file")),
        };
        let message = with.message.as_deref();
        Ok(Self {
            rule,
            message: message
                .map(|text| site.template("with.message", text))
                .transpose()?,
        })
    }
}

impl Act for Authorize {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        let is_allowed = match &self.rule {
            Rule::Cel(expr) => expr.truth(exchange, moment.now)?,
            Rule::Rego(rego) => rego.truth(exchange)?,
        };
        if is_allowed {
            return Ok(());
        }
        let message = match &self.message {
            Some(message) => message.render(exchange, moment.now)?,
            None => "a policy of this object does not allow it".to_owned(),
        };
        Err(PolicyAnswer::refused(403, reason::POLICY_DENIED, message).into())
    }
}
