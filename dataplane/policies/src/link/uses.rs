use std::collections::BTreeSet;

use genkan_routing::model::policy::{Hook, PolicyDefinition, PolicyStep};

use crate::builtins;
use crate::class::inner_steps;

/// What steps use beside built-ins, branches included: `POLICY` and `POLICY@RANGE`.
pub fn uses_of<'s>(steps: impl IntoIterator<Item = &'s PolicyStep>) -> BTreeSet<String> {
    let mut uses = BTreeSet::new();
    for step in steps {
        note(step, &mut uses, 0);
    }
    uses
}

/// The same of everything in a definition.
pub fn uses_in_definition(definition: &PolicyDefinition) -> BTreeSet<String> {
    let caught = definition.catch.iter().flat_map(|catch| &catch.steps);
    uses_of(definition.steps.iter().chain(caught).chain(&definition.finally))
}

/// The same of a hook.
pub fn uses_in_hook(hook: &Hook) -> BTreeSet<String> {
    uses_of(&hook.steps)
}

fn note(step: &PolicyStep, uses: &mut BTreeSet<String>, depth: usize) {
    let name = step.uses.split('@').next().unwrap_or_default();
    if !builtins::is_name(name) {
        uses.insert(step.uses.clone());
    }
    // What is nested deeper is refused.
    if depth <= super::definition::DEEPEST {
        inner_steps(step)
            .iter()
            .for_each(|inner| note(inner, uses, depth + 1));
    }
}
