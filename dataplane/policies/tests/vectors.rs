//! The cases of the specification, by their ids.

#![allow(clippy::unwrap_used, reason = "a case that cannot be read fails the test")]

#[path = "vectors/limits.rs"]
mod limits;
#[path = "vectors/mk.rs"]
mod mk;
#[path = "vectors/policy.rs"]
mod policy;
#[path = "vectors/tables.rs"]
mod tables;

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    area: String,
    input: Value,
    expect: Value,
    note: String,
}

/// What this version does not do, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("ext-class-008", "bodies of answers: 501 BodyTooLongForNow"),
    ("ext-redact-001", "bodies of answers are not redacted"),
    ("ext-redact-003", "bodies of answers are not redacted"),
    ("ext-redact-005", "bodies of answers are not redacted"),
    ("ext-redact-006", "bodies of answers are not redacted"),
    ("ext-redact-008", "bodies of answers are not redacted"),
    ("ext-validateschema-031", "bodies of answers are not validated"),
];

const TABLES: [&str; 4] = ["chain", "class", "failure", "on-error"];

const POLICIES: [&str; 20] = [
    "apiKey",
    "authorize",
    "basic",
    "check",
    "cors",
    "countLimit",
    "filter",
    "hmac",
    "jwt",
    "lookup",
    "mtls",
    "rateLimit",
    "redact",
    "redirect",
    "respond",
    "set",
    "switch",
    "throw",
    "validateSchema",
    "log",
];

fn cases() -> Vec<Case> {
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/extensions.jsonl");
    let path = std::env::var("GENKAN_EXTENSION_VECTORS").unwrap_or_else(|_| ours.to_owned());
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn run(case: &Case) -> Result<(), String> {
    match case.area.as_str() {
        "chain" => tables::chain(case),
        "class" => tables::class(case),
        "failure" => tables::failure(case),
        "on-error" => tables::on_error(case),
        "policy.rateLimit" => limits::rate(case),
        "policy.countLimit" => limits::count(case),
        _ => policy::policy(case),
    }
}

#[test]
fn every_case_of_the_specification_holds() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in cases() {
        let name = case.area.strip_prefix("policy.");
        let is_ours = name.map_or(TABLES.contains(&&*case.area), |name| POLICIES.contains(&name));
        if !is_ours {
            continue;
        }
        *counts.entry(case.area.clone()).or_default() += 1;
        if let Some((id, why)) = LEFT_OUT.iter().find(|(id, _)| *id == case.id) {
            println!("left out: {id} ({}): {why}", case.note);
            assert!(run(&case).is_err(), "{id} holds by now, and need not be left out");
            continue;
        }
        if let Err(error) = run(&case) {
            failures.push(format!("{} ({}): {error}", case.id, case.note));
        }
    }
    println!("{counts:?}");
    let areas = TABLES.iter().map(|area| (*area).to_owned());
    // `log` has none of its own.
    let policies = POLICIES.iter().filter(|name| **name != "log");
    for area in areas.chain(policies.map(|name| format!("policy.{name}"))) {
        assert!(counts.contains_key(&area), "there is no case of {area}");
    }
    assert!(
        failures.is_empty(),
        "{} fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
