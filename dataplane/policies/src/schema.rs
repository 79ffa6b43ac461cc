//! JSON Schema, compiled once. References lead only inside of a schema.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::Value;

use crate::answer::Cause;

pub(crate) struct Schema {
    validator: Validator,
}

/// Bytes of a compiled pattern at most.
const PATTERN: usize = 1 << 20;

// === impl Schema ===

impl Schema {
    /// `formats`: `format` is checked, and not a remark.
    ///
    /// # Errors
    /// Why it is no schema, in one sentence.
    pub(crate) fn compile(schema: &Value, formats: bool) -> Result<Self, String> {
        outside(schema)?;
        let options = jsonschema::options()
            .with_draft(draft(schema))
            .should_validate_formats(formats)
            .with_pattern_options(
                jsonschema::PatternOptions::regex()
                    .size_limit(PATTERN)
                    .dfa_size_limit(PATTERN),
            );
        match options.build(schema) {
            Ok(validator) => Ok(Self { validator }),
            Err(error) => Err(format!("{}: {error}", error.instance_path())),
        }
    }

    /// Where a value does not follow it, and why; at most so many.
    pub(crate) fn violations(&self, value: &Value, most: usize) -> Vec<Cause> {
        let errors = self.validator.iter_errors(value).take(most);
        errors
            .map(|error| Cause {
                field: place_of(&error),
                message: error.masked().to_string(),
            })
            .collect()
    }

    pub(crate) fn is_followed_by(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema(..)")
    }
}

/// A list that is too long is wrong as a whole, and not its first item that is too much.
fn place_of(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let is_of_list = matches!(error.kind(), ValidationErrorKind::FalseSchema)
        && error.schema_path().to_string().ends_with("/items");
    match place.rsplit_once('/') {
        Some((list, _)) if is_of_list => list.to_owned(),
        Some(_) | None => place,
    }
}

/// By `$schema`; the one of 2020-12 where that says nothing known.
fn draft(schema: &Value) -> Draft {
    let said = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
    let known = [
        ("draft-04", Draft::Draft4),
        ("draft-06", Draft::Draft6),
        ("draft-07", Draft::Draft7),
        ("2019-09", Draft::Draft201909),
    ];
    let found = known.iter().find(|(name, _)| said.contains(name));
    found.map_or(Draft::Draft202012, |(_, draft)| *draft)
}

/// # Errors
/// The first reference that leads elsewhere.
fn outside(schema: &Value) -> Result<(), String> {
    match schema {
        Value::Array(items) => items.iter().try_for_each(outside),
        Value::Object(members) => {
            for (name, value) in members {
                let is_reference = matches!(name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef");
                match value.as_str() {
                    Some(to) if is_reference && !to.starts_with('#') => {
                        return Err(format!(
                            "{to} is not part of the schema; references lead only inside it and to files of the entry"
                        ));
                    }
                    Some(_) | None => outside(value)?,
                }
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
