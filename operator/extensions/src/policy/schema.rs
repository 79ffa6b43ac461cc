//! Parameters of a policy: from JSON Schema draft 4 to 2020-12.

use serde_json::{Map, Value};

use crate::tree::Node;

/// Members that hold schemas by name.
const BY_NAME: [&str; 4] = ["properties", "patternProperties", "definitions", "$defs"];
/// Members that hold a schema or several.
const HELD: [&str; 8] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "contains",
    "not",
    "allOf",
    "anyOf",
    "oneOf",
];

/// The schema of a policy that has no parameters.
pub(super) fn nothing() -> Map<String, Value> {
    super::object([("type", Value::from("object"))])
}

/// The schema of an object; `None`: it is none.
pub(super) fn parameters(node: &Node) -> Option<Map<String, Value>> {
    let members = node.as_map()?;
    let kind = node.get("type").map_or(Some("object"), Node::as_text);
    if kind != Some("object") {
        return None;
    }
    let mut schema = schema(members);
    schema.insert("type".to_owned(), Value::from("object"));
    Some(schema)
}

fn schema(members: &[(String, Node)]) -> Map<String, Value> {
    let is_text = members
        .iter()
        .any(|(name, node)| name == "type" && node.as_text() == Some("string"));
    let mut schema = Map::new();
    for (name, node) in members {
        let (name, value) = match name.as_str() {
            "$schema" => continue,
            "label" => ("x-label", node.to_value()),
            "id" => ("$id", node.to_value()),
            "$ref" => ("$ref", reference(node)),
            "definitions" => ("$defs", named(node)),
            "enum" | "default" if is_text => (name.as_str(), texts(node)),
            name if BY_NAME.contains(&name) => (name, named(node)),
            name if HELD.contains(&name) => (name, held(node)),
            name => (name, node.to_value()),
        };
        schema.insert(name.to_owned(), value);
    }
    for (exclusive, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match schema.get(exclusive).and_then(Value::as_bool) {
            Some(true) => {
                schema.remove(exclusive);
                if let Some(value) = schema.remove(limit) {
                    schema.insert(exclusive.to_owned(), value);
                }
            }
            Some(false) => {
                schema.remove(exclusive);
            }
            None => (),
        }
    }
    schema
}

fn named(node: &Node) -> Value {
    match node.as_map() {
        Some(members) => {
            let members = members.iter().map(|(name, node)| (name.clone(), held(node)));
            Value::Object(members.collect())
        }
        None => node.to_value(),
    }
}

fn held(node: &Node) -> Value {
    match node {
        Node::Map(members) => Value::Object(schema(members)),
        Node::List(items) => items.iter().map(held).collect(),
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => node.to_value(),
    }
}

fn texts(node: &Node) -> Value {
    match node {
        Node::List(items) => items.iter().map(texts).collect(),
        Node::Null | Node::Map(_) => node.to_value(),
        Node::Bool(_) | Node::Number(_) | Node::Text(_) => Value::from(node.shown()),
    }
}

fn reference(node: &Node) -> Value {
    match node
        .as_text()
        .and_then(|text| text.strip_prefix("#/definitions/"))
    {
        Some(rest) => Value::from(format!("#/$defs/{rest}")),
        None => node.to_value(),
    }
}
