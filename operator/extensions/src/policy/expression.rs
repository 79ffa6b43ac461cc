//! `$(NAME)` of DataPower's, as CEL.

use serde_json::Value;

use crate::tree::Node;

/// What `{{` in a text has to be written as, so that it stays one.
const BRACES: &str = "{{ \"{{\" }}";

/// A text, in which `$(NAME)` becomes `{{ CEL }}`.
pub fn template(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Literal(literal) => written.push_str(&literal.replace("{{", BRACES)),
            Part::Name(name) => {
                written.push_str("{{ ");
                written.push_str(&cel(name));
                written.push_str(" }}");
            }
        }
    }
    written
}

/// The same text as one expression of CEL; a number stays one.
pub fn expression(text: &str) -> String {
    if text.parse::<u64>().is_ok() {
        return text.to_owned();
    }
    let parts = parts(text);
    let parts = parts.into_iter().map(|part| match part {
        Part::Literal(literal) => quoted(literal),
        Part::Name(name) => cel(name),
    });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() {
        return quoted("");
    }
    parts.join(" + ")
}

/// The texts in a value, as templates.
pub fn value(node: &Node) -> Value {
    match node {
        Node::Text(text) => Value::String(template(text)),
        Node::List(items) => items.iter().map(value).collect(),
        Node::Map(members) => {
            let members = members.iter().map(|(name, node)| (name.clone(), value(node)));
            Value::Object(members.collect())
        }
        Node::Null | Node::Bool(_) | Node::Number(_) => node.to_value(),
    }
}

/// A context variable by its name.
pub fn cel(name: &str) -> String {
    match name {
        "request.verb" => return "request.method".to_owned(),
        "request.search" => return "request.query_string".to_owned(),
        "request.path" | "request.uri" | "message.body" => return name.to_owned(),
        "message.status.code" => return "message.status".to_owned(),
        "session.clientAddress" => return "source.address".to_owned(),
        "session.globalTransactionID" => return "request.id".to_owned(),
        "client.app.id" => return "auth.claims[\"client_id\"]".to_owned(),
        _ => (),
    }
    if let Some(parameter) = name.strip_prefix("local.parameter.") {
        return member("params", parameter);
    }
    if let Some(path) = name.strip_prefix("message.body.") {
        return path
            .split('.')
            .fold("message.body".to_owned(), |body, part| member(&body, part));
    }
    for message in ["request", "message"] {
        let header = name.strip_prefix(message);
        let header = header.and_then(|rest| rest.strip_prefix(".headers."));
        if let Some(header) = header {
            return format!("{message}.headers[{}]", quoted(&header.to_lowercase()));
        }
    }
    format!("vars[{}]", quoted(name))
}

fn member(of: &str, name: &str) -> String {
    let mut bytes = name.bytes();
    let begins = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if begins && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        format!("{of}.{name}")
    } else {
        format!("{of}[{}]", quoted(name))
    }
}

/// A text of CEL; its escapes are those of JSON.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

enum Part<'a> {
    Literal(&'a str),
    Name(&'a str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = rest[from..].find("$(").map(|at| from + at) {
        let inside = &rest[at + 2..];
        let end = inside.find([')', '(', '\n']);
        match end.filter(|end| inside[*end..].starts_with(')')) {
            Some(end) if !inside[..end].trim().is_empty() => {
                if at > 0 {
                    parts.push(Part::Literal(&rest[..at]));
                }
                parts.push(Part::Name(inside[..end].trim()));
                rest = &inside[end + 1..];
                from = 0;
            }
            Some(_) | None => from = at + 2,
        }
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    parts
}
