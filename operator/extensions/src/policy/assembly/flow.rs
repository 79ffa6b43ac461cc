use genkan_routing::model::policy::PolicyStep;
use serde_json::{Map, Value};

use crate::policy::expression::{quoted, template};
use crate::policy::object;
use crate::tree::Node;

use super::{Assembly, Converted, Fault, Policy, step};

/// How the condition of a case is written.
enum Condition {
    Jsonata(String),
    Cel(String),
}

pub(super) fn switch(assembly: &Assembly<'_>, policy: &Policy<'_>) -> Converted {
    cases(assembly, policy, |case| {
        let condition = case.given("condition")?.scalar()?;
        Some(Condition::Jsonata(condition))
    })
}

pub(super) fn operation_switch(assembly: &Assembly<'_>, policy: &Policy<'_>) -> Converted {
    cases(assembly, policy, |case| {
        let operations = case.given("operations")?.as_list()?;
        let each: Option<Vec<_>> = operations.iter().map(operation).collect();
        Some(Condition::Cel(each?.join(" || ")))
    })
}

pub(super) fn if_(assembly: &Assembly<'_>, policy: &Policy<'_>) -> Converted {
    let condition = policy.text("condition");
    let condition = condition.ok_or_else(|| Fault::Malformed("if without condition".to_owned()))?;
    let steps = execute(assembly, policy.node, policy.path)?;
    let case = case(Condition::Jsonata(condition), steps);
    Ok(vec![step("switch", object([("cases", Value::from(vec![case]))]))])
}

pub(super) fn throw(policy: &Policy<'_>) -> Converted {
    let mut with = Map::new();
    for (from, to) in [
        ("name", "error"),
        ("message", "message"),
        ("error-status-code", "status"),
        ("error-status-reason", "statusText"),
    ] {
        let Some(text) = policy.text(from) else {
            continue;
        };
        let code = if to == "status" {
            text.parse::<u16>().ok()
        } else {
            None
        };
        let value = code.map_or_else(|| Value::from(template(&text)), Value::from);
        with.insert(to.to_owned(), value);
    }
    Ok(vec![step("throw", with)])
}

fn cases(
    assembly: &Assembly<'_>,
    policy: &Policy<'_>,
    condition: impl Fn(&Node) -> Option<Condition>,
) -> Converted {
    let name = policy.name;
    let list = policy.node.given("case").and_then(Node::as_list);
    let list = list.ok_or_else(|| Fault::Malformed(format!("{name} without a list case")))?;
    let mut cases = Vec::new();
    let mut otherwise = None;
    for (index, node) in list.iter().enumerate() {
        let path = format!("{}.case[{index}]", policy.path);
        if let Some(steps) = node.given("otherwise") {
            let path = format!("{path}.otherwise");
            otherwise = Some(assembly.steps(steps, &path).map_err(Fault::Inside)?);
            continue;
        }
        let what = if name == "switch" {
            "condition"
        } else {
            "operations"
        };
        let condition =
            condition(node).ok_or_else(|| Fault::Malformed(format!("case[{index}] without {what}")))?;
        cases.push(case(condition, execute(assembly, node, &path)?));
    }
    let mut with = object([("cases", Value::Array(cases))]);
    if let Some(steps) = otherwise {
        with.insert("otherwise".to_owned(), written(&steps));
    }
    Ok(vec![step("switch", with)])
}

fn execute(assembly: &Assembly<'_>, node: &Node, path: &str) -> Converted {
    match node.given("execute") {
        Some(steps) => {
            let path = format!("{path}.execute");
            assembly.steps(steps, &path).map_err(Fault::Inside)
        }
        None => Ok(Vec::new()),
    }
}

fn case(condition: Condition, steps: Vec<PolicyStep>) -> Value {
    let (name, text) = match condition {
        Condition::Jsonata(text) => ("jsonata", text),
        Condition::Cel(text) => ("when", text),
    };
    Value::Object(object([(name, Value::from(text)), ("steps", written(&steps))]))
}

fn written(steps: &[PolicyStep]) -> Value {
    // Steps are texts, lists and maps with text keys: they always become JSON.
    let each = steps
        .iter()
        .map(|step| serde_json::to_value(step).unwrap_or_default());
    each.collect()
}

/// `{verb, path}` or the name of an operation, as CEL.
fn operation(node: &Node) -> Option<String> {
    let id = node.scalar().or_else(|| node.given("operationId")?.scalar());
    if let Some(id) = id {
        return Some(format!("vars[\"api.operation.id\"] == {}", quoted(&id)));
    }
    let mut parts = Vec::new();
    if let Some(verb) = node.given("verb").and_then(Node::scalar) {
        parts.push(format!("request.method == {}", quoted(&verb.to_uppercase())));
    }
    if let Some(path) = node.given("path").and_then(Node::scalar) {
        parts.push(path_is(&path));
    }
    let and = parts.join(" && ");
    match parts.len() {
        0 => None,
        1 => Some(and),
        _ => Some(format!("({and})")),
    }
}

/// A path of an API ends the path of the request; `{name}` is one segment.
fn path_is(path: &str) -> String {
    let mut pattern = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else {
            break;
        };
        pattern.push_str(&escaped(before));
        pattern.push_str("[^/]+");
        rest = after;
    }
    pattern.push_str(&escaped(rest));
    pattern.push('$');
    format!("request.path.matches({})", quoted(&pattern))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
