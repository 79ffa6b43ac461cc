//! What reads or changes the message, or tells of it.

use serde_json::{Map, Value};

use crate::policy::expression::value;
use crate::policy::object;
use crate::tree::Node;

use super::{Converted, Fault, Policy, step};

pub(super) fn gatewayscript(policy: &Policy<'_>) -> Converted {
    let source = policy.text("source");
    let source = source.ok_or_else(|| Fault::Unsupported("has no source".to_owned()))?;
    let with = object([
        ("dialect", Value::from("gatewayscript")),
        ("source", Value::from(source)),
    ]);
    Ok(vec![step("script", with)])
}

pub(super) fn log(policy: &Policy<'_>) -> Converted {
    let content = policy.text("content").or_else(|| policy.text("mode"));
    let errors = policy.text("error-content");
    let with = object([
        ("content", Value::from(content.as_deref().unwrap_or("activity"))),
        (
            "errorContent",
            Value::from(errors.as_deref().unwrap_or("payload")),
        ),
    ]);
    Ok(vec![step("log", with)])
}

pub(super) fn redact(policy: &Policy<'_>) -> Converted {
    let lists = [policy.list("redactions"), policy.list("actions")];
    let mut rules = Vec::new();
    for node in lists.concat() {
        let action = node.given("action").map(Node::shown);
        let action = match action.as_deref() {
            Some("remove") => "Remove",
            Some("redact") | None => "Mask",
            Some(other) => {
                let why = format!("with action: {other} is not converted");
                return Err(Fault::Unsupported(why));
            }
        };
        let path = node.given("path").and_then(Node::scalar);
        let path = path.ok_or_else(|| Fault::Malformed("redact: an action without path".to_owned()))?;
        let places = node.given("from").map(|node| match node.as_list() {
            Some(items) => items.iter().map(place).collect(),
            None => vec![place(node)],
        });
        let places = places.unwrap_or_else(|| vec!["all".to_owned()]);
        rules.push(Value::Object(object([
            ("action", Value::from(action)),
            ("jsonata", Value::from(path)),
            ("in", Value::from(places)),
        ])));
    }
    Ok(vec![step("redact", object([("rules", Value::Array(rules))]))])
}

fn place(node: &Node) -> String {
    let place = node.shown();
    if place == "logs" { "log".to_owned() } else { place }
}

pub(super) fn json_to_xml(policy: &Policy<'_>) -> Converted {
    policy.is_about_the_message()?;
    let mut with = object([("engine", Value::from("jsonToXml"))]);
    if let Some(root) = policy.text("root-element-name") {
        with.insert("root".to_owned(), Value::from(root));
    }
    Ok(vec![step("transform", with)])
}

pub(super) fn xml_to_json(policy: &Policy<'_>) -> Converted {
    policy.is_about_the_message()?;
    Ok(vec![step(
        "transform",
        object([("engine", Value::from("xmlToJson"))]),
    )])
}

pub(super) fn map(policy: &Policy<'_>) -> Converted {
    let expression = policy.text("expression").or_else(|| policy.text("mapping"));
    match (policy.text("engine").as_deref(), expression) {
        (Some("jsonata"), Some(expression)) => {
            let with = object([
                ("engine", Value::from("jsonata")),
                ("expression", Value::from(expression)),
            ]);
            Ok(vec![step("transform", with)])
        }
        _ => {
            let why = "is converted only with engine: jsonata, this map is a list of assignments";
            Err(Fault::Unsupported(why.to_owned()))
        }
    }
}

pub(super) fn parse(policy: &Policy<'_>) -> Converted {
    policy.is_about_the_message()?;
    let json = Value::Object(object([("parse", Value::from(true))]));
    Ok(vec![step("filter", object([("json", json)]))])
}

pub(super) fn validate(policy: &Policy<'_>) -> Converted {
    policy.is_about_the_message()?;
    let against = policy.text("validate-against").unwrap_or_default();
    if matches!(against.as_str(), "wsdl" | "soap" | "graphql") {
        let why = format!("against {against} is not converted");
        return Err(Fault::Unsupported(why));
    }
    let mut with = Map::new();
    match policy.node.given("json-schema").or(policy.node.given("schema")) {
        Some(file) => {
            let name = match file.as_text() {
                Some(text) if !text.contains("$(") => "file",
                Some(_) => {
                    let why = "with a schema that is a variable is not converted";
                    return Err(Fault::Unsupported(why.to_owned()));
                }
                None => "schema",
            };
            with.insert(name.to_owned(), value(file));
        }
        None => {
            with.insert("schemaFrom".to_owned(), Value::from("operation"));
        }
    }
    Ok(vec![step("validateSchema", with)])
}
