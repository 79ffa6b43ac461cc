//! Every case of `dataplane/vectors/extensions.jsonl` that is about reading, converting and deciding, by id.

#![allow(clippy::unwrap_used, reason = "a case that cannot be read must stop the run")]

#[path = "vectors/archives.rs"]
mod archives;
#[path = "vectors/case.rs"]
mod case;
#[path = "vectors/changes.rs"]
mod changes;
#[path = "vectors/converting.rs"]
mod converting;
#[path = "vectors/deciding.rs"]
mod deciding;
#[path = "vectors/packages.rs"]
mod packages;
#[path = "kit/zip.rs"]
mod zip;

use std::collections::BTreeMap;

use case::{Case, Outcome};

type Judge = fn(&Case) -> Outcome;

const HERE: &[(&str, Judge)] = &[
    ("archive", archives::claims),
    ("manifest", archives::manifest),
    ("legacy", archives::manifest),
    ("order", changes::order),
    ("diff", changes::diff),
    ("udp-yaml", converting::policy),
    ("gwd", converting::overrides),
    ("status", deciding::status),
    ("rollout", deciding::rollout),
    ("package", packages::package),
    ("cfg", packages::scripts),
];

/// Judged where policies run, and where objects are admitted.
const ELSEWHERE: &[&str] = &["chain", "class", "failure", "js", "on-error", "rights"];

#[test]
fn every_case_of_reading_and_deciding_holds() {
    let mut passed: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in case::load() {
        let judge = HERE.iter().find(|(area, _)| *area == case.area);
        let outcome = match judge {
            Some((_, judge)) => judge(&case),
            None if case.area.starts_with("policy.") => continue,
            None if ELSEWHERE.contains(&case.area.as_str()) => continue,
            None => Outcome::Failed("unknown area".to_owned()),
        };
        match outcome {
            Outcome::Passed => *passed.entry(case.area).or_default() += 1,
            Outcome::LeftOut(why) => println!("left out {} ({}): {why}", case.id, case.note),
            Outcome::Failed(why) => failures.push(format!("{} ({}): {why}", case.id, case.note)),
        }
    }
    for (area, count) in &passed {
        println!("{area:10} passed {count:3}");
    }
    let many = failures.len();
    assert!(failures.is_empty(), "{many} cases fail:\n{}", failures.join("\n"));
    for (area, _) in HERE {
        let is_judged = passed.contains_key(*area) || *area == "cfg";
        assert!(is_judged, "no case of {area} was judged");
    }
}
