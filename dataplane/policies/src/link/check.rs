//! A PolicyDefinition by itself, before anybody uses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_routing::model::policy::{Hook, Override, PolicyDefinition, PolicyStep, Select};
use serde_json::{Map, Value};

use super::resolve::{definition, resolve};
use super::{Problem, ProblemReason, link};
use crate::expr::Expr;
use crate::limiters::Limiters;
use crate::schema::Schema;
use crate::world::{Aliases, EntryFacts, NamedHook, NamedOverride, ObjectFacts, World};

/// Whether a definition can be used. What depends on parameters is judged where it is used.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(definition: &PolicyDefinition, world: &World) -> Result<(), Problem> {
    for (field, is_there) in [
        ("script", definition.script.is_some()),
        ("callOut", definition.call_out.is_some()),
    ] {
        if is_there {
            let text = "is not run by this version of genkan".to_owned();
            return Err(of(ProblemReason::Unsupported, &format!("spec.{field}"), text));
        }
    }
    if let Some(parameters) = &definition.parameters {
        let schema = Value::Object(parameters.clone());
        Schema::compile(&schema, false)
            .map_err(|error| of(ProblemReason::Invalid, "spec.parameters", error.to_string()))?;
    }
    let lists = [
        ("steps".to_owned(), &definition.steps),
        ("finally".to_owned(), &definition.finally),
    ];
    let caught = definition.catch.iter().enumerate();
    let caught = caught.map(|(index, catch)| (format!("catch[{index}].steps"), &catch.steps));
    for (list, steps) in lists.into_iter().chain(caught) {
        for (index, step) in steps.iter().enumerate() {
            known(step, &format!("spec.{list}[{index}]"), world)?;
        }
    }
    match definition.parameters {
        Some(_) => Ok(()),
        None => whole(definition, world),
    }
}

fn known(step: &PolicyStep, field: &str, world: &World) -> Result<(), Problem> {
    if resolve(&step.uses, world).is_none() {
        let text = format!("there is no policy {}", step.uses);
        return Err(of(ProblemReason::PolicyNotFound, field, text));
    }
    if let Some(when) = &step.when {
        Expr::compile(when).map_err(|error| {
            of(
                ProblemReason::Invalid,
                &format!("{field}.when"),
                error.to_string(),
            )
        })?;
    }
    Ok(())
}

/// As an object of nobody's would use it.
fn whole(definition: &PolicyDefinition, world: &World) -> Result<(), Problem> {
    let title = format!("{}@{}", definition.policy, definition.version);
    let mut alone = World {
        definitions: world.definitions.clone(),
        entries: world.entries.clone(),
        secrets: world.secrets.clone(),
        files: world.files.clone(),
        allow_fail_open: world.allow_fail_open.clone(),
        overrides: world.overrides.iter().map(everywhere).collect(),
        ignores_catalogs: true,
        ..World::default()
    };
    let versions = alone.definitions.entry(definition.policy.clone()).or_default();
    versions.retain(|other| other.version != definition.version);
    versions.push(Arc::new(definition.clone()));
    let step = PolicyStep {
        uses: title.clone(),
        with: Map::new(),
        ..PolicyStep::default()
    };
    let object = ObjectFacts {
        kind: "ReverseProxy",
        namespace: "",
        name: "",
        labels: &BTreeMap::new(),
        policies: &[step],
        secrets: &Aliases::new(),
    };
    let prefix = format!("spec.policies[0]: {title}: ");
    link(&object, &alone, &Limiters::default())
        .map(drop)
        .map_err(|problem| Problem {
            message: match problem.message.strip_prefix(&prefix) {
                Some(rest) => format!("spec.{rest}"),
                None => problem.message.clone(),
            },
            ..problem
        })
}

/// Whether a hook of an extension can be added to an object.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_hook(hook: &Hook, extension: &str, world: &World) -> Result<(), Problem> {
    let mut alone = World {
        definitions: world.definitions.clone(),
        entries: world.entries.clone(),
        secrets: world.secrets.clone(),
        files: world.files.clone(),
        allow_fail_open: world.allow_fail_open.clone(),
        overrides: world.overrides.iter().map(everywhere).collect(),
        ignores_catalogs: true,
        ..World::default()
    };
    alone.hooks.push(NamedHook {
        extension: extension.to_owned(),
        entry: "hook".to_owned(),
        hook: Arc::new(Hook {
            select: Select::default(),
            ..hook.clone()
        }),
        facts: EntryFacts::default(),
    });
    let object = ObjectFacts {
        kind: "ReverseProxy",
        namespace: "",
        name: "object",
        labels: &BTreeMap::new(),
        policies: &[],
        secrets: &Aliases::new(),
    };
    let title = format!("{extension}/hook: ");
    link(&object, &alone, &Limiters::default())
        .map(drop)
        .map_err(|problem| Problem {
            message: match problem.message.strip_prefix(&title) {
                Some(rest) => rest.to_owned(),
                None => problem.message.clone(),
            },
            ..problem
        })
}

/// The same settings for whatever there is, beside those of others.
fn everywhere(of: &NamedOverride) -> NamedOverride {
    NamedOverride {
        settings: Arc::new(Override {
            settings: of.settings.settings.clone(),
            ..Override::default()
        }),
        ..of.clone()
    }
}

/// Whether what a step uses is this version of this policy.
pub fn resolves(uses: &str, policy: &str, version: &str, world: &World) -> bool {
    let found = definition(uses, world);
    found.is_some_and(|found| found.policy == policy && found.version == version)
}

fn of(reason: ProblemReason, field: &str, text: String) -> Problem {
    Problem {
        reason,
        field: field.to_owned(),
        message: format!("{field}: {text}"),
        entry: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_says_what_is_wrong_with_it() {
        let world = World::default();
        for (spec, expected) in [
            (
                json!({"steps": [{"use": "set", "with": {"headers": {"set": {"x-a": "1"}}}}]}),
                None,
            ),
            (
                json!({"steps": [{"use": "nothing"}]}),
                Some("spec.steps[0]: there is no policy nothing"),
            ),
            (json!({"steps": [{"use": "p"}]}), Some("there is no policy p")),
            (
                json!({"script": {"source": "1"}}),
                Some("spec.script: is not run by this version of genkan"),
            ),
            (
                json!({"steps": [{"use": "set", "when": "1 +"}]}),
                Some("spec.steps[0].when: "),
            ),
            (
                json!({"steps": [{"use": "set", "with": {"headers": {"set": {"host": "x"}}}}]}),
                Some("spec.steps[0].with.headers.set: host cannot be set by a policy"),
            ),
            (
                json!({"parameters": {"type": "no"}, "steps": [{"use": "set"}]}),
                Some("spec.parameters: "),
            ),
        ] {
            let mut spec = spec.clone();
            spec["policy"] = "p".into();
            spec["version"] = "1.0.0".into();
            let definition: PolicyDefinition = serde_json::from_value(spec.clone()).unwrap();
            let problem = check(&definition, &world).err().map(|problem| problem.message);
            match expected {
                None => assert_eq!(problem, None, "{spec}"),
                Some(expected) => {
                    let problem = problem.unwrap();
                    assert!(problem.contains(expected), "{spec}: {problem}");
                }
            }
        }
    }
    /// What it comes to depends on the object.
    #[test]
    fn a_hook_may_name_the_limits_of_any_override() {
        let settings = json!({"limits": {"slow": {"kind": "rate", "requests": 3, "per": "1m"}}});
        let mut world = World::default();
        world.overrides.push(NamedOverride {
            extension: "corp".into(),
            entry: "limits".into(),
            order: 0,
            settings: Arc::new(Override {
                select: Select {
                    names: vec!["shop".into()],
                    ..Select::default()
                },
                exclusive: true,
                settings: settings.as_object().unwrap().clone(),
                ..Override::default()
            }),
        });
        let with = |name: &str| {
            let hook = json!({"at": "PreRequest", "steps": [{"use": "rateLimit", "with": {"named": name}}]});
            let hook: Hook = serde_json::from_value(hook).unwrap();
            check_hook(&hook, "corp", &world).map_err(|problem| problem.message)
        };
        assert_eq!(with("slow"), Ok(()));
        let refused = with("fast").unwrap_err();
        assert!(refused.ends_with("there is no limit fast"), "{refused}");
    }
}
