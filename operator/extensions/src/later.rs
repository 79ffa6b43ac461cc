//! What is converted and kept, and cannot be run yet.

use genkan_routing::model::policy::{Hook, Override, PolicyDefinition, PolicyStep};
use serde_json::Value;

/// Policies that this version does not run.
pub const LATER: [&str; 14] = [
    "script",
    "call",
    "transform",
    "antivirus",
    "enrich",
    "introspect",
    "extAuth",
    "extProc",
    "tokenExchange",
    "tokenMint",
    "encrypt",
    "decrypt",
    "sign",
    "verifySignature",
];

const LATER_WORDS: &str = "is run by a later version";

/// The first thing of a definition that cannot be run.
pub fn of_definition(policy: &PolicyDefinition) -> Option<String> {
    let own = [("script", &policy.script), ("callOut", &policy.call_out)];
    for (name, given) in own {
        if given.is_some() {
            return Some(format!("{name} {LATER_WORDS}"));
        }
    }
    let catch = policy.catch.iter().enumerate();
    of_steps("steps", &policy.steps)
        .or_else(|| of_steps("finally", &policy.finally))
        .or_else(|| {
            catch
                .map(|(index, catch)| of_steps(&format!("catch[{index}].steps"), &catch.steps))
                .find_map(|found| found)
        })
}

/// The first thing of a hook that cannot be run.
pub fn of_hook(hook: &Hook) -> Option<String> {
    of_steps("steps", &hook.steps)
}

/// What of the settings of an override is not in force whatever is said.
pub fn of_override(one: &Override) -> Option<String> {
    let tls = one.settings.get("upstreamTLS")?;
    let says = |name: &str, usual: &str| tls.get(name).is_none_or(|version| version == usual);
    let is_usual = says("minVersion", "1.2") && says("maxVersion", "1.3");
    (!is_usual).then(|| {
        "settings.upstreamTLS: backends are offered TLS 1.2 and 1.3; only one of them is offered by a later version"
            .to_owned()
    })
}

/// The first of some steps that cannot be run, those inside a `switch` included.
pub fn of_steps(path: &str, steps: &[PolicyStep]) -> Option<String> {
    let each = steps.iter().enumerate();
    each.map(|(index, step)| of_step(&format!("{path}[{index}]"), step))
        .find_map(|found| found)
}

fn of_step(path: &str, step: &PolicyStep) -> Option<String> {
    if LATER.contains(&step.uses.as_str()) {
        return Some(format!("{path}: {} {LATER_WORDS}", step.uses));
    }
    for list in ["rules", "cases"] {
        let items = step.with.get(list).and_then(Value::as_array);
        for (index, item) in items.into_iter().flatten().enumerate() {
            let path = format!("{path}.with.{list}[{index}]");
            if step.uses == "redact" && !is_of_log(item) {
                return Some(format!("{path}: redact of bodies {LATER_WORDS}"));
            }
            let inside = item.get("steps").and_then(|steps| inner(&path, "steps", steps));
            if inside.is_some() {
                return inside;
            }
        }
    }
    let otherwise = step.with.get("otherwise")?;
    inner(&format!("{path}.with"), "otherwise", otherwise)
}

/// A rule of `redact` that is about fields of the access line alone.
fn is_of_log(rule: &Value) -> bool {
    let places = rule.get("in").and_then(Value::as_array);
    places.is_some_and(|places| places.iter().all(|place| place == "log"))
}

fn inner(path: &str, name: &str, steps: &Value) -> Option<String> {
    // What is no step is said by who compiles it.
    let steps: Vec<PolicyStep> = serde_json::from_value(steps.clone()).ok()?;
    of_steps(&format!("{path}.{name}"), &steps)
}
