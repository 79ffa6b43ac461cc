use std::fmt;
use std::sync::Arc;

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
use crate::openapi::{Found, Operations};
use crate::schema::Schema;
use crate::step::{Act, Moment, Stop};

/// The body has to follow a JSON Schema.
#[derive(Debug)]
pub(crate) struct ValidateSchema {
    by: By,
    max_errors: usize,
    expose_details: bool,
    max_bytes: u64,
}

/// Where its schema comes from.
#[derive(Debug)]
enum By {
    Schema(Schema, MediaTypes),
    /// The operation that the request is for.
    Operation(Arc<Operations>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    schema: Option<Value>,
    file: Option<String>,
    schema_from: Option<String>,
    openapi: Option<String>,
    base_path: Option<String>,
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
        let by = match (&with.schema, &with.file, &with.schema_from) {
            (Some(schema), None, None) => by_schema("with.schema", schema, &with)?,
            (None, Some(path), None) => {
                let read = json::read(site.file("with.file", path)?);
                let read = read.map_err(|error| Fault::new("with.file", format!("{path}: {error}")));
                by_schema("with.file", &read?, &with)?
            }
            (None, None, Some(from)) => by_operation(from, &with, site)?,
            _ => return Err(Fault::new("with", "it needs one of schema, file and schemaFrom")),
        };
        let max_errors = with.max_errors.unwrap_or(MOST_ERRORS);
        if max_errors > MOST_ERRORS {
            let text = format!("{max_errors} errors, the limit is {MOST_ERRORS}");
            return Err(Fault::new("with.maxErrors", text));
        }
        Ok(Self {
            by,
            max_errors,
            expose_details: with.expose_details.unwrap_or(true),
            max_bytes: site.body_bytes(with.max_bytes).unwrap_or(MOST_BYTES),
        })
    }
}

fn by_schema(field: &str, schema: &Value, with: &With) -> Result<By, Fault> {
    for (field, is_there) in [
        ("with.openapi", with.openapi.is_some()),
        ("with.basePath", with.base_path.is_some()),
    ] {
        if is_there {
            return Err(Fault::new(field, "it goes with schemaFrom: operation only"));
        }
    }
    let schema = Schema::compile(schema, with.formats).map_err(|error| Fault::new(field, error))?;
    Ok(By::Schema(schema, MediaTypes::or_json(&with.content_types)))
}

fn by_operation(from: &str, with: &With, site: &Site<'_>) -> Result<By, Fault> {
    if from != "operation" {
        let text = format!("{from:?} is not known; operation is");
        return Err(Fault::new("with.schemaFrom", text));
    }
    if !with.content_types.is_empty() {
        let text = "with schemaFrom the document says which types an operation takes";
        return Err(Fault::new("with.contentTypes", text));
    }
    let Some(path) = &with.openapi else {
        let text = "schemaFrom: operation needs an OpenAPI document; name a file of an entry, ENTRY/PATH";
        return Err(Fault::new("with.openapi", text));
    };
    let base = with.base_path.as_deref();
    if base.is_some_and(|base| !base.starts_with('/')) {
        return Err(Fault::new("with.basePath", "it has to begin with /"));
    }
    let bytes = site.file("with.openapi", path)?;
    let operations = Operations::of_file(bytes, base, with.formats);
    let operations = operations.map_err(|error| Fault::new("with.openapi", format!("{path}: {error}")))?;
    Ok(By::Operation(operations))
}

/// `None`: nothing is said of such a body.
fn of_operation<'o>(
    operations: &'o Operations,
    exchange: &Exchange<'_>,
    is_empty: bool,
) -> Result<Option<&'o Schema>, Stop> {
    let refused = |text: &str| Stop::from(PolicyAnswer::refused(400, reason::BAD_INPUT, text));
    let body = match operations.find(exchange.request.method, exchange.request.path) {
        Found::Unknown => return Err(refused("the API has no operation with this method and path")),
        Found::Nothing => return Ok(None),
        Found::Body(body) => body,
    };
    if is_empty {
        return match body.is_required {
            true => Err(refused("the operation needs a body")),
            false => Ok(None),
        };
    }
    let kind = json::media_type(exchange.headers()).unwrap_or_default();
    let schema = body.schema_for(kind).ok_or_else(|| other_type(body))?;
    Ok(schema.filter(|_| json::is_json(kind)))
}

fn other_type(kinds: &impl fmt::Display) -> Stop {
    let text = format!("the body has to be of type {kinds}");
    PolicyAnswer::refused(415, reason::UNSUPPORTED_MEDIA_TYPE, text).into()
}

impl Act for ValidateSchema {
    fn act(&self, exchange: &mut Exchange<'_>, _: Moment) -> Result<(), Stop> {
        let body = exchange
            .body()
            .ok_or_else(|| Stop::error("the body was not read"))?;
        let schema = match &self.by {
            By::Schema(schema, kinds) if kinds.take(exchange.headers()) => schema,
            By::Schema(_, kinds) => return Err(other_type(kinds)),
            By::Operation(operations) => match of_operation(operations, exchange, body.is_empty())? {
                Some(schema) => schema,
                None => return Ok(()),
            },
        };
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
        if schema.is_followed_by(&value) {
            return Ok(());
        }
        let text = "the body does not follow the schema";
        let mut answer = PolicyAnswer::refused(400, reason::SCHEMA_VIOLATION, text);
        if self.expose_details {
            answer.causes = schema.violations(&value, self.max_errors);
        }
        Err(answer.into())
    }
}
