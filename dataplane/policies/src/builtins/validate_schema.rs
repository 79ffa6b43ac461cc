use genkan_routing::answer::reason;
use genkan_routing::model::policy::Direction;
use serde::Deserialize;
use serde_json::Value;

use super::media::MediaTypes;
use crate::answer::PolicyAnswer;
use crate::exchange::Exchange;
use crate::failure::Event;
use crate::json;
use crate::link::{Fault, Site};
use crate::schema::Schema;
use crate::step::{Act, Moment, Stop};

/// The body has to follow a JSON Schema.
#[derive(Debug)]
pub(crate) struct ValidateSchema {
    schema: Schema,
    content_types: MediaTypes,
    max_errors: usize,
    expose_details: bool,
    max_bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    schema: Option<Value>,
    file: Option<String>,
    schema_from: Option<String>,
    #[allow(dead_code, reason = "it is taken with schemaFrom, which is refused")]
    openapi: Option<String>,
    #[serde(default)]
    content_types: Vec<String>,
    #[serde(default)]
    formats: bool,
    max_errors: Option<usize>,
    expose_details: Option<bool>,
    max_bytes: Option<u64>,
}

const MOST_ERRORS: usize = 10;
const MOST_BYTES: u64 = 1 << 20;

// === impl ValidateSchema ===

impl ValidateSchema {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        if site.on == Direction::Response {
            let text = "bodies of answers are not looked at by this version of genkan";
            return Err(Fault {
                field: "on".to_owned(),
                ..Fault::unsupported(text)
            });
        }
        let (field, schema) = match (&with.schema, &with.file, &with.schema_from) {
            (Some(schema), None, None) => ("with.schema", schema.clone()),
            (None, Some(path), None) => {
                let read = json::read(site.file("with.file", path)?);
                let read = read.map_err(|error| Fault::new("with.file", format!("{path}: {error}")));
                ("with.file", read?)
            }
            (None, None, Some(_)) => {
                return Err(Fault {
                    field: "with.schemaFrom".to_owned(),
                    ..Fault::unsupported("schemas of OpenAPI are not read by this version of genkan")
                });
            }
            _ => return Err(Fault::new("with", "it needs one of schema, file and schemaFrom")),
        };
        let max_errors = with.max_errors.unwrap_or(MOST_ERRORS);
        if max_errors > MOST_ERRORS {
            let text = format!("{max_errors} errors, the limit is {MOST_ERRORS}");
            return Err(Fault::new("with.maxErrors", text));
        }
        let schema = Schema::compile(&schema, with.formats).map_err(|error| Fault::new(field, error))?;
        Ok(Self {
            schema,
            content_types: MediaTypes::or_json(&with.content_types),
            max_errors,
            expose_details: with.expose_details.unwrap_or(true),
            max_bytes: site.body_bytes(with.max_bytes).unwrap_or(MOST_BYTES),
        })
    }
}

impl Act for ValidateSchema {
    fn act(&self, exchange: &mut Exchange<'_>, _: Moment) -> Result<(), Stop> {
        let body = exchange
            .body()
            .ok_or_else(|| Stop::error("the body was not read"))?;
        if !self.content_types.take(exchange.headers()) {
            let text = format!("the body has to be of type {}", self.content_types);
            return Err(PolicyAnswer::refused(415, reason::UNSUPPORTED_MEDIA_TYPE, text).into());
        }
        if body.len() as u64 > self.max_bytes {
            return Err(Stop::failed(Event::Budget, format!("{} bytes", body.len())));
        }
        let value = json::read(body).map_err(|error| {
            PolicyAnswer::refused(
                400,
                reason::BAD_INPUT,
                format!("the body cannot be read: {error}"),
            )
        })?;
        if self.schema.is_followed_by(&value) {
            return Ok(());
        }
        let text = "the body does not follow the schema";
        let mut answer = PolicyAnswer::refused(400, reason::SCHEMA_VIOLATION, text);
        if self.expose_details {
            answer.causes = self.schema.violations(&value, self.max_errors);
        }
        Err(answer.into())
    }
}
