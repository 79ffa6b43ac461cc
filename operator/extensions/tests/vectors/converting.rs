use genkan_extensions::overrides::{self, Object, Ranked};
use genkan_extensions::policy::{self, PolicyFile, Reading};
use genkan_extensions::{OnUnsupported, Refused};
use genkan_routing::model::policy::{Hook, PolicyDefinition};
use serde_json::{Value, json};

use crate::case::{Case, Outcome, compare, parsed, refused, texts};

/// Both sides in the types that are sent, so that what is absent and what is the default are one.
pub fn policy(case: &Case) -> Outcome {
    let input = &case.input;
    let known = texts(&input["functions"]).into_iter().map(|name| {
        let end = name.find(['@', '_']).unwrap_or(name.len());
        name[..end].to_owned()
    });
    let reading = Reading {
        known: known.collect(),
        has_implementation: input["implementation"].as_bool().unwrap_or_default(),
        designated: input.get("designated").map(parsed),
        ..Reading::default()
    };
    let file = input["file"].as_str().unwrap();
    let yaml = input["yaml"].as_str().unwrap();
    let mut case = case.clone();
    let got = match policy::read(file, yaml.as_bytes(), &reading) {
        Ok(PolicyFile::Policy(policy)) => {
            case.expect["policy"] = again::<PolicyDefinition>(&case.expect["policy"]);
            json!({ "policy": policy })
        }
        Ok(PolicyFile::Hooks { hooks, notes }) => {
            case.expect["hook"] = again::<Hook>(&case.expect["hook"]);
            json!({"hook": hooks[0], "notes": notes})
        }
        Err(error) => refused(&error),
    };
    compare(&case, &got)
}

fn again<T: serde::de::DeserializeOwned + serde::Serialize>(value: &Value) -> Value {
    match serde_json::from_value::<T>(value.clone()) {
        Ok(typed) => serde_json::to_value(typed).unwrap(),
        Err(_) => value.clone(),
    }
}

pub fn overrides(case: &Case) -> Outcome {
    let got = match settings(&case.input) {
        Ok(settings) => settings,
        Err(error) => refused(&error),
    };
    compare(case, &got)
}

fn settings(input: &Value) -> Result<Value, Refused> {
    let on: OnUnsupported = input.get("onUnsupported").map(parsed).unwrap_or_default();
    let text = input["overrides"].to_string();
    let converted = overrides::read("overrides.json", text.as_bytes(), on)?;
    let object = Object {
        kind: input["object"]["kind"].as_str().unwrap().to_owned(),
        name: input["object"]["name"].as_str().unwrap().to_owned(),
        labels: parsed(&input["object"]["labels"]),
    };
    let ranked = converted.overrides.iter().map(|settings| Ranked {
        order: 10,
        name: "overrides",
        settings,
    });
    Ok(json!({
        "settings": overrides::effective(ranked, &object),
        "unsupported": converted.unsupported,
    }))
}
