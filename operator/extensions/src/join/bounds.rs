//! What an API server would check of a definition that is written by hand.

use genkan_routing::model::policy::{Hook, PolicyDefinition, PolicyStep};

const STEPS: usize = 32;
const CATCH: usize = 16;
const FINALLY: usize = 8;
/// Bytes of the schema of parameters, and of the configuration of one step.
const JSON: usize = 32 << 10;

/// The first limit that a definition is above.
pub(super) fn of_definition(policy: &PolicyDefinition) -> Option<String> {
    let parameters = policy.parameters.as_ref().map_or(0, size);
    counted("steps", policy.steps.len(), STEPS)
        .or_else(|| counted("catch", policy.catch.len(), CATCH))
        .or_else(|| counted("finally", policy.finally.len(), FINALLY))
        .or_else(|| measured("parameters", parameters))
        .or_else(|| of_steps("steps", &policy.steps))
        .or_else(|| of_steps("finally", &policy.finally))
        .or_else(|| {
            let catch = policy.catch.iter().enumerate();
            catch
                .map(|(index, catch)| {
                    let path = format!("catch[{index}].steps");
                    counted(&path, catch.steps.len(), STEPS).or_else(|| of_steps(&path, &catch.steps))
                })
                .find_map(|found| found)
        })
}

/// The first limit that a hook is above.
pub(super) fn of_hook(hook: &Hook) -> Option<String> {
    counted("steps", hook.steps.len(), STEPS).or_else(|| of_steps("steps", &hook.steps))
}

fn of_steps(path: &str, steps: &[PolicyStep]) -> Option<String> {
    let each = steps.iter().enumerate();
    each.map(|(index, step)| measured(&format!("{path}[{index}].with"), size(&step.with)))
        .find_map(|found| found)
}

fn size(object: &serde_json::Map<String, serde_json::Value>) -> usize {
    // Text keys: it always becomes JSON.
    serde_json::to_string(object).map_or(0, |text| text.len())
}

fn counted(what: &str, is: usize, most: usize) -> Option<String> {
    (is > most).then(|| format!("{what}: {is} of them, the limit is {most}"))
}

fn measured(what: &str, is: usize) -> Option<String> {
    (is > JSON).then(|| format!("{what}: {is} bytes, the limit is {JSON}"))
}
