use std::sync::Arc;

use genkan_routing::model::policy::{Direction, PolicyDefinition, PolicyStep};
use serde_json::{Map, Value};

use super::Problem;
use super::compile::{Compiler, List, Origin, problem};
use super::fold::is_computed;
use super::resolve::definition as definition_of;
use super::site::{Fault, OF_USER, Site};
use crate::glob::Glob;
use crate::schema::Schema;
use crate::step::{Action, CatchSteps, Definition, Params};
use crate::template::Json;

/// Definitions and branches inside of one another, at most.
pub(super) const DEEPEST: usize = 8;

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn definition(
        &self,
        list: &List<'_>,
        field: &str,
        label: &str,
        step: &PolicyStep,
        definition: &PolicyDefinition,
    ) -> Result<Action, Problem> {
        let title = format!("{}@{}", definition.policy, definition.version);
        let fail = |fault: Fault| problem(list, field, fault);
        if list.inside.contains(&title) {
            return Err(fail(Fault::new("", format!("{title} uses itself"))));
        }
        for (what, is_there) in [
            ("a script", definition.script.is_some()),
            ("a call-out", definition.call_out.is_some()),
        ] {
            if is_there {
                let text = format!("{title} is {what}, which is not run by this version of genkan");
                return Err(fail(Fault::unsupported(text)));
            }
        }
        if list.has_no_answers && list.site.on == Direction::Request && has_answers(definition) {
            let text = format!(
                "{title} has steps for answers (on: Response), and none of them would run here; use it in spec.policies of \
                 the object, or in a hook at PostResponse"
            );
            return Err(fail(Fault::new("", text)));
        }
        let with = with_defaults(&step.with, definition);
        check(&with, definition).map_err(fail)?;
        let known = marked(&with, definition);
        let mut inside = list.inside.to_vec();
        inside.push(title.clone());
        let (secrets, secrets_are) = match &definition.entry {
            Some(entry) => {
                let extension = entry.split('/').next().unwrap_or_default();
                (self.secrets_of(extension), "spec.secrets of its extension")
            }
            None => (
                self.secrets_of(""),
                "the parameters of the definition; mark one with x-genkan-secret",
            ),
        };
        let facts = self.facts_of(definition, list.facts);
        let site = Site {
            secrets,
            secrets_are,
            outer: Some(&list.site),
            params: Some(&known),
            extension: definition
                .entry
                .as_deref()
                .and_then(|entry| entry.split('/').next()),
            max_body: facts.limits.max_body,
            ..list.site
        };
        let label = match &definition.entry {
            Some(entry) => entry.as_str(),
            None => label,
        };
        let lists = |name: &str| format!("{field}: {title}: {name}");
        let (steps, catch, finally) = (lists("steps"), lists("catch"), lists("finally"));
        let inner = List {
            site,
            title: list.title,
            field: &steps,
            label,
            facts,
            on_error: None,
            depth: list.depth + 1,
            inside: &inside,
            origin: Origin::Definition,
            entry: definition.entry.as_deref().or(list.entry),
            is_branch: false,
            has_no_answers: list.has_no_answers,
            is_whole: list.is_whole || step.on == Direction::Response,
        };
        self.refuse_depth(&inner)?;
        let is_of_this = |step: &PolicyStep| {
            // A definition inside of this one may have steps for answers as well, and chooses itself.
            let chooses = site.on == Direction::Response && definition_of(&step.uses, self.world).is_some();
            inner.is_whole || step.on == site.on || chooses
        };
        let of = |list: &List<'_>, steps: &[PolicyStep]| {
            let own = steps.iter().enumerate().filter(|(_, step)| is_of_this(step));
            self.steps(list, own)
        };
        let steps = of(&inner, &definition.steps)?;
        let mut caught = Vec::with_capacity(definition.catch.len());
        for (index, catch_steps) in definition.catch.iter().enumerate() {
            if !catch_steps.steps.is_empty() && !catch_steps.steps.iter().any(is_of_this) {
                // It is for errors of the other direction.
                continue;
            }
            let field = format!("{catch}[{index}].steps");
            let list = List {
                field: &field,
                label: &format!("{label}/catch[{index}]"),
                ..inner
            };
            caught.push(CatchSteps {
                errors: catch_steps.errors.iter().map(|error| Glob::new(error)).collect(),
                steps: of(&list, &catch_steps.steps)?.into(),
            });
        }
        let list = List {
            field: &finally,
            label: &format!("{label}/finally"),
            ..inner
        };
        let finally = of(&list, &definition.finally)?;
        let params = if with.values().any(is_computed) {
            let json = Json::parse(&Value::Object(with), "with");
            let json = json.map_err(|(path, error)| fail(Fault::new(&path, error)))?;
            Params::Computed(json, schema_of(definition).map_err(fail)?)
        } else {
            Params::Fixed(Arc::new(with))
        };
        Ok(Action::Definition(Arc::new(Definition {
            params,
            steps: steps.into(),
            catch: caught.into(),
            finally: finally.into(),
        })))
    }

    pub(super) fn refuse_depth(&self, list: &List<'_>) -> Result<(), Problem> {
        if list.depth > DEEPEST {
            let text = format!("policies are nested deeper than {DEEPEST}");
            return Err(problem(list, list.field, Fault::new("", text)));
        }
        Ok(())
    }
}

/// Steps of it are for answers.
fn has_answers(definition: &PolicyDefinition) -> bool {
    let caught = definition.catch.iter().flat_map(|catch| &catch.steps);
    let mut all = definition.steps.iter().chain(caught).chain(&definition.finally);
    all.any(|step| step.on == Direction::Response)
}

/// Parameters that are not given are what the definition says.
fn with_defaults(with: &Map<String, Value>, definition: &PolicyDefinition) -> Map<String, Value> {
    let mut with = with.clone();
    for (name, property) in properties(definition) {
        if let Some(default) = property.get("default")
            && !with.contains_key(name)
        {
            with.insert(name.clone(), default.clone());
        }
    }
    with
}

fn properties(definition: &PolicyDefinition) -> impl Iterator<Item = (&String, &Value)> {
    let parameters = definition.parameters.as_ref();
    let properties = parameters.and_then(|parameters| parameters.get("properties"));
    properties.and_then(Value::as_object).into_iter().flatten()
}

fn schema_of(definition: &PolicyDefinition) -> Result<Option<Schema>, Fault> {
    let Some(parameters) = &definition.parameters else {
        return Ok(None);
    };
    let schema = Schema::compile(&Value::Object(parameters.clone()), false);
    let schema = schema.map_err(|error| Fault::new("", format!("the parameters of the policy: {error}")));
    schema.map(Some)
}

/// What is computed is known to nobody yet, and is judged when it is.
fn check(with: &Map<String, Value>, definition: &PolicyDefinition) -> Result<(), Fault> {
    let Some(schema) = schema_of(definition)? else {
        return match with.keys().next() {
            Some(name) => Err(Fault::new(
                &format!("with.{name}"),
                "the policy has no parameters",
            )),
            None => Ok(()),
        };
    };
    let value = Value::Object(with.clone());
    let violations = schema.violations(&value, usize::MAX);
    let known = violations.into_iter().find(|violation| {
        let at = value.pointer(&violation.field);
        !at.is_some_and(|at| at.is_string() && is_computed(at))
    });
    match known {
        Some(violation) => {
            let field = format!("with{}", violation.field.replace('/', "."));
            Err(Fault::new(&field, violation.message))
        }
        None => Ok(()),
    }
}

/// Aliases that the user of the definition gives are looked up with the user's.
fn marked(with: &Map<String, Value>, definition: &PolicyDefinition) -> Map<String, Value> {
    let mut with = with.clone();
    for (name, property) in properties(definition) {
        if property.get("x-genkan-secret") == Some(&Value::Bool(true))
            && let Some(Value::String(alias)) = with.get_mut(name)
        {
            alias.insert(0, OF_USER);
        }
    }
    with
}
