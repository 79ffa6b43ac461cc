use serde_json::Value;

use crate::policy::object;
use crate::tree::Node;

use super::{Converted, Fault, Policy, step};

const PLAN: &str = "plan-default";

/// Lists of named limits, and the policy that asks one.
const LISTS: [(&str, &str); 3] = [
    ("rate-limit", "rateLimit"),
    ("burst-limit", "rateLimit"),
    ("count-limit", "countLimit"),
];

pub(super) fn ratelimit(policy: &Policy<'_>) -> Converted {
    if policy.text("source").is_none_or(|source| source == PLAN) {
        return Ok(vec![step("rateLimit", object([("named", Value::from("*"))]))]);
    }
    let mut steps = Vec::new();
    for (list, uses) in LISTS {
        for node in policy.list(list) {
            let name = node.scalar().or_else(|| node.given("name")?.scalar());
            let name = name.ok_or_else(|| Fault::Malformed(format!("ratelimit: a {list} without name")))?;
            let mut with = object([("named", Value::from(name))]);
            let operation = node.given("operation").and_then(Node::scalar);
            match operation.as_deref() {
                None | Some("consume" | "inc") => (),
                Some("inquire" | "replenish") if uses == "rateLimit" => {
                    with.insert("operation".to_owned(), Value::from(operation));
                }
                Some(other) => {
                    let why = format!("with operation: {other} is not converted");
                    return Err(Fault::Unsupported(why));
                }
            }
            steps.push(step(uses, with));
        }
    }
    if steps.is_empty() {
        return Err(Fault::Malformed("ratelimit names no limit".to_owned()));
    }
    Ok(steps)
}
