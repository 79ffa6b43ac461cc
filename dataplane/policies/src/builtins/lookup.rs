use genkan_routing::answer::reason;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::exchange::Exchange;
use crate::json;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};
use crate::template::Template;

/// A member of a file becomes a variable.
#[derive(Debug)]
pub(crate) struct Lookup {
    table: Map<String, Value>,
    key: Template,
    into: String,
    default: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    file: String,
    key: String,
    into: String,
    /// `null` is a value.
    #[serde(default, deserialize_with = "present")]
    default: Option<Value>,
}

fn present<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(reader).map(Some)
}

// === impl Lookup ===

impl Lookup {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let read = json::read(site.file("with.file", &with.file)?);
        let read = read.map_err(|error| Fault::new("with.file", format!("{}: {error}", with.file)))?;
        let Value::Object(table) = read else {
            return Err(Fault::new(
                "with.file",
                format!("{} is no JSON object", with.file),
            ));
        };
        Ok(Self {
            table,
            key: site.template("with.key", &with.key)?,
            into: with.into,
            default: with.default,
        })
    }
}

impl Act for Lookup {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        let key = self.key.render(exchange, moment.now)?;
        let Some(value) = self.table.get(&key).or(self.default.as_ref()) else {
            return Err(Stop::error_of(
                500,
                reason::ENRICHMENT_FAILED,
                "nothing stands under the key",
            ));
        };
        exchange.state.vars.insert(self.into.clone(), value.clone());
        Ok(())
    }
}
