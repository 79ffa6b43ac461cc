//! Schemas of documents, as JSON Schema.

use serde_json::{Map, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// A dialect of its own, close to draft 4.
    V30,
    /// JSON Schema 2020-12.
    V31,
}

/// Members that hold one schema, or a list of them.
const HELD: [&str; 7] = [
    "items",
    "additionalProperties",
    "not",
    "allOf",
    "anyOf",
    "oneOf",
    "contains",
];
const DRAFT_4: &str = "http://json-schema.org/draft-04/schema#";

// === impl Version ===

impl Version {
    /// # Errors
    /// When it is no document, or one of another version.
    pub(super) fn of(document: &Value) -> Result<Self, String> {
        let said = document.get("openapi").and_then(Value::as_str);
        match said {
            Some(said) if said.starts_with("3.0.") || said == "3.0" => Ok(Self::V30),
            Some(said) if said.starts_with("3.1.") || said == "3.1" => Ok(Self::V31),
            Some(said) => Err(format!("it is of OpenAPI {said}; 3.0 and 3.1 are known")),
            None => Err("it is no OpenAPI document, it has no member openapi".to_owned()),
        }
    }

    /// With what its references lead to.
    pub(super) fn whole(self, schema: &Value, document: &Value) -> Value {
        let Value::Object(members) = schema else {
            return schema.clone();
        };
        let all = document.pointer("/components/schemas").and_then(Value::as_object);
        let all = all.into_iter().flatten();
        let each = |schema: &Value| match self {
            Self::V30 => held(schema),
            Self::V31 => schema.clone(),
        };
        let all: Map<_, _> = all.map(|(name, schema)| (name.clone(), each(schema))).collect();
        let mut whole = match self {
            Self::V30 => converted(members),
            Self::V31 => members.clone(),
        };
        let said = document.get("jsonSchemaDialect").and_then(Value::as_str);
        let dialect = match (self, said) {
            (Self::V30, _) => Some(DRAFT_4),
            // That of OpenAPI itself adds nothing that is judged.
            (Self::V31, Some(said)) if !said.contains("openapis.org") => Some(said),
            (Self::V31, Some(_) | None) => None,
        };
        if let Some(dialect) = dialect
            && !whole.contains_key("$schema")
        {
            whole.insert("$schema".to_owned(), dialect.into());
        }
        let schemas = Value::Object(all);
        whole.insert("components".to_owned(), serde_json::json!({ "schemas": schemas }));
        Value::Object(whole)
    }
}

fn held(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(converted(members)),
        Value::Array(items) => items.iter().map(held).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// `nullable`, and members that requests do not have: in the words of draft 4.
fn converted(members: &Map<String, Value>) -> Map<String, Value> {
    let mut made = Map::new();
    for (name, value) in members {
        let value = match (name.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(named)) => {
                let named = named.iter().map(|(name, schema)| (name.clone(), held(schema)));
                Value::Object(named.collect())
            }
            (name, value) if HELD.contains(&name) => held(value),
            // Keywords of other drafts, and what is for people only.
            ("id" | "$schema" | "example" | "externalDocs" | "xml", _) => continue,
            (_, value) => value.clone(),
        };
        made.insert(name.clone(), value);
    }
    if made.get("nullable").and_then(Value::as_bool) == Some(true)
        && let Some(kind) = made.get("type").filter(|kind| kind.is_string()).cloned()
    {
        made.insert("type".to_owned(), Value::Array(vec![kind, "null".into()]));
    }
    let is_read_only = |name: &Value| {
        let schema = members
            .get("properties")
            .and_then(|named| named.get(name.as_str()?));
        schema
            .and_then(|schema| schema.get("readOnly"))
            .and_then(Value::as_bool)
            == Some(true)
    };
    if let Some(Value::Array(required)) = made.get_mut("required") {
        required.retain(|name| !is_read_only(name));
        // A list of none is no list of draft 4.
        if required.is_empty() {
            made.remove("required");
        }
    }
    made
}
