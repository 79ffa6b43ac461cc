//! Every case of `dataplane/vectors` that is a request, against the two programs: objects as files in a folder, requests on
//! raw sockets, a backend that records each byte, and an API server that records what it is asked.
//!
//! `genkan explain` is asked about each of them as well, and must foretell what the data plane does.
//!
//! `VECTORS=rewrite-` (the beginning of an id or an area) runs some of them alone.

#![allow(clippy::unwrap_used, reason = "a run that cannot go on must stop")]

#[path = "vectors/areas.rs"]
mod areas;
#[path = "vectors/case.rs"]
mod case;
#[path = "vectors/client.rs"]
mod client;
#[path = "vectors/compare.rs"]
mod compare;
#[path = "vectors/explained.rs"]
mod explained;
#[path = "vectors/judge.rs"]
mod judge;
#[path = "vectors/objects.rs"]
mod objects;
#[path = "vectors/pair.rs"]
mod pair;
#[path = "vectors/parity.rs"]
mod parity;
#[path = "vectors/reviewer.rs"]
mod reviewer;
#[path = "vectors/upstream.rs"]
mod upstream;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use areas::Place;
use case::Case;
use genkan_e2e::programs::Programs;
use pair::{Flags, Pair};
use upstream::Keys;

/// Pairs of operator and data plane that work side by side: a case waits more than it works.
const PAIRS: usize = 4;

/// What the cases assume.
const FORWARDED: Flags = Flags {
    forwards_always: true,
    ..Flags::DEFAULT
};

enum Outcome {
    Passed,
    LeftOut(&'static str),
    Failed(Vec<String>),
}

#[derive(Default)]
struct Tally {
    passed: usize,
    left_out: BTreeMap<&'static str, usize>,
}

#[test]
fn every_request_is_answered_as_its_case_says() {
    let only = std::env::var("VECTORS").unwrap_or_default();
    let cases: Vec<Case> = case::load()
        .into_iter()
        .filter(|case| case.is_named(&only))
        .collect();
    let programs = Programs::build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make(folder.path());
    let next = AtomicUsize::new(0);
    let outcomes: Vec<(&Case, Outcome)> = std::thread::scope(|scope| {
        let (cases, next, keys, programs) = (&cases, &next, &keys, &programs);
        let folders = (0..PAIRS).map(|number| folder.path().join(format!("pair-{number}")));
        let workers: Vec<_> = folders
            .map(|folder| scope.spawn(move || work(cases, next, keys, programs, &folder)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    report(outcomes, only.is_empty());
}

/// Takes one case after the other until none is left.
fn work<'c>(
    cases: &'c [Case],
    next: &AtomicUsize,
    keys: &Keys,
    programs: &Programs,
    folder: &Path,
) -> Vec<(&'c Case, Outcome)> {
    let mut pair = None;
    let mut outcomes = Vec::new();
    while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
        let outcome = match areas::place(case) {
            Place::Unknown => Outcome::Failed(vec!["unknown area".into()]),
            Place::LeftOut(why) => Outcome::LeftOut(why),
            Place::Here => {
                let pair = pair.get_or_insert_with(|| Pair::start(programs, folder, &FORWARDED));
                match judge::carry_out(pair, case, keys) {
                    differences if differences.is_empty() => Outcome::Passed,
                    differences => Outcome::Failed(differences),
                }
            }
        };
        outcomes.push((case, outcome));
    }
    outcomes
}

fn report(outcomes: Vec<(&Case, Outcome)>, everything: bool) {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut failures = Vec::new();
    for (case, outcome) in outcomes {
        let tally = tallies.entry(case.area.as_str()).or_default();
        match outcome {
            Outcome::Passed => tally.passed += 1,
            Outcome::LeftOut(why) => *tally.left_out.entry(why).or_default() += 1,
            Outcome::Failed(why) => failures.push(format!(
                "{} ({}):\n    {}",
                case.id,
                case.area,
                why.join("\n    ")
            )),
        }
    }
    let passed: usize = tallies.values().map(|tally| tally.passed).sum();
    for (area, tally) in &tallies {
        println!(
            "{area:28} passed {:4}  left out {:?}",
            tally.passed, tally.left_out
        );
    }
    println!("{passed} passed, {} failed", failures.len());
    failures.sort();
    assert!(
        failures.is_empty(),
        "{} cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(passed > 0, "no case was carried out");
    let silent: Vec<_> = areas::HERE
        .iter()
        .filter(|area| tallies.get(**area).is_none_or(|tally| tally.passed == 0))
        .collect();
    assert!(
        !everything || silent.is_empty(),
        "no case was carried out of {silent:?}"
    );
}
