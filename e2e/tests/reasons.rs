//! Every reason that genkan gives is a constant, spelled once and explained in docs/troubleshooting.md.

#![allow(clippy::unwrap_used, reason = "a tree that cannot be read fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/troubleshooting.md");
const CONDITIONS: &str = include_str!("../../crds/src/condition.rs");
const ANSWERS: &str = include_str!("../../dataplane/routing/src/answer/reason.rs");

/// What says `x-genkan-reason`, and may only say constants.
const SPEAKERS: [&str; 5] = [
    "dataplane/src",
    "dataplane/callers/src",
    "dataplane/policies/src",
    "dataplane/routing/src",
    "proto/src",
];
/// They take a code first, and then a reason.
const CALLS: [&str; 3] = ["Refused::new(", "Answer::status(", "Refused::bad_request("];

/// Of lines such as `pub const NO_ROUTE_MATCHED: &str = "NoRouteMatched";`: names and values.
fn constants(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().map(str::trim);
    let constants: BTreeMap<_, _> = lines
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": &str = "))
        .map(|(name, value)| (name, value.trim_end_matches(';').trim_matches('"')))
        .collect();
    assert!(constants.len() > 15, "{constants:?}");
    constants
}

fn of_conditions() -> BTreeMap<&'static str, &'static str> {
    let (_, after) = CONDITIONS.split_once("pub mod reason {").unwrap();
    constants(after.split_once("\n}\n").unwrap().0)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" && !path.ends_with("answer/reason.rs") {
            found.push(path);
        }
    }
}

/// What the speakers say, without their tests.
fn spoken() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in SPEAKERS {
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder),
            &mut files,
        );
    }
    assert!(files.len() > 100, "only {} files", files.len());
    let text = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
        (path, code)
    };
    files.into_iter().map(text).collect()
}

#[test]
fn every_reason_is_explained() {
    let unexplained = |constants: BTreeMap<&'static str, &'static str>| -> Vec<&str> {
        let values = constants.into_values();
        values
            .filter(|value| !PAGE.contains(&format!("`{value}`")))
            .collect()
    };
    for constants in [of_conditions(), constants(ANSWERS)] {
        let missing = unexplained(constants);
        assert!(missing.is_empty(), "not in docs/troubleshooting.md: {missing:?}");
    }
}

#[test]
fn every_reason_is_given() {
    let spoken = spoken();
    for (name, value) in constants(ANSWERS) {
        let constant = format!("reason::{name}");
        let is_given = spoken.iter().any(|(_, text)| {
            let ends = text.split(&constant).skip(1);
            ends.into_iter()
                .any(|rest| !rest.starts_with(|c: char| c.is_ascii_uppercase() || c == '_'))
        });
        assert!(is_given, "nobody answers {value}");
    }
}

/// Whoever writes a reason as text, and not as a constant, is found by the call that takes it.
#[test]
fn no_reason_is_written_as_text() {
    let mut calls = 0;
    for (path, text) in spoken() {
        for call in CALLS {
            for arguments in text.split(call).skip(1) {
                calls += 1;
                // The code, where there is one, is a number.
                let reason = arguments
                    .trim_start_matches(|c: char| c.is_ascii_digit() || c == ',' || c.is_whitespace());
                assert!(
                    !reason.starts_with('"'),
                    "{}: {call}{}",
                    path.display(),
                    reason.lines().next().unwrap_or_default()
                );
            }
        }
        for value in constants(ANSWERS).into_values() {
            let is_of_kubernetes = path.ends_with("routing/src/answer/status.rs");
            assert!(
                is_of_kubernetes || !text.contains(&format!("\"{value}\"")),
                "{} spells {value} again",
                path.display()
            );
        }
    }
    assert!(calls > 20, "only {calls} answers were looked at");
}
