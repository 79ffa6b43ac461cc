use std::collections::BTreeMap;

use genkan_extensions::diff::{self, Known};
use genkan_extensions::digest::Digest;
use genkan_extensions::order::{self, Placed};
use serde_json::{Value, json};

use crate::case::{Case, Outcome, compare, parsed, refused, texts};

pub fn order(case: &Case) -> Outcome {
    let entries = case.input["entries"].as_array().unwrap();
    let needs: Vec<_> = entries.iter().map(|entry| texts(&entry["dependsOn"])).collect();
    let placed: Vec<_> = entries
        .iter()
        .zip(&needs)
        .map(|(entry, depends_on)| Placed {
            name: entry["name"].as_str().unwrap(),
            kind: parsed(&entry["type"]),
            order: entry["order"].as_i64().map(|order| order as i32),
            depends_on,
        })
        .collect();
    let got = match order::order(&placed) {
        Ok(names) => json!({ "order": names }),
        Err(error) => refused(&error),
    };
    compare(case, &got)
}

pub fn diff(case: &Case) -> Outcome {
    let side = |name: &str| -> Vec<Known> {
        let entries = case.input[name].as_array().unwrap();
        entries.iter().map(known).collect()
    };
    let in_use: BTreeMap<String, Vec<String>> = match case.input.get("inUse") {
        Some(users) => parsed(users),
        None => BTreeMap::new(),
    };
    let got = diff::diff(&side("old"), &side("new"), &in_use);
    compare(case, &serde_json::to_value(got).unwrap())
}

fn known(entry: &Value) -> Known {
    let runs = json!({
        "type": entry["type"],
        "content": entry["content"],
        "mode": entry["mode"],
        "failurePolicy": entry["failurePolicy"],
        "limits": entry["limits"],
    });
    Known {
        name: entry["name"].as_str().unwrap().to_owned(),
        digest: Digest::of(&runs),
        deploy: entry.get("deploy").map(parsed).unwrap_or_default(),
    }
}
