//! Every case of `dataplane/vectors` that needs no socket, by id.

#![allow(clippy::unwrap_used, reason = "a case that cannot be read must stop the run")]

#[path = "vectors/case.rs"]
mod case;
#[path = "vectors/functions.rs"]
mod functions;
#[path = "vectors/objects.rs"]
mod objects;
#[path = "vectors/request.rs"]
mod request;
#[path = "vectors/world.rs"]
mod world;

use std::collections::BTreeMap;

use case::{Case, Outcome};

type Judge = fn(&Case) -> Outcome;

/// Decided here, as far as no socket is needed.
const HERE: &[(&str, Judge)] = &[
    ("admission", request::judge),
    ("apiservice", request::judge),
    ("cleanPath", functions::clean_path),
    ("conflict", objects::conflict),
    ("directive.headerDown", request::judge),
    ("directive.headerUp", request::judge),
    ("directive.method", request::judge),
    ("directive.order", request::judge),
    ("directive.pathRegexp", request::judge),
    ("directive.replace", request::judge),
    ("directive.rewrite", request::judge),
    ("directive.strip", request::judge),
    ("endpoint", functions::endpoint),
    ("endpoint.basePath", request::judge),
    ("header.wildcard", request::judge),
    ("path.canonical", request::judge),
    ("path.empty", request::judge),
    ("path.refused", request::judge),
    ("placeholders", request::judge),
    ("query.raw", request::judge),
    ("redirect.barePrefix", request::judge),
    ("rejectForwardingRedirects", request::judge),
    ("requestInfo", functions::request_info),
    ("reverseproxy.matcher", request::judge),
    ("reverseproxy.precedence", request::judge),
    ("reverseproxy.state", request::judge),
    ("reverseproxy.url", request::judge),
    ("rewrite.pattern", functions::rewrite_pattern),
    ("wrapTransport", request::judge),
];

/// About the wire, or about what does not exist yet.
const ELSEWHERE: &[&str] = &[
    "authorization",
    "availability",
    "directive.authProxy",
    "discovery",
    "identity.spoofing",
    "identity.upgrade",
    "misc",
    "multicluster",
    "resource-served",
    "reverseproxy.headers",
    "reverseproxy.response",
    "reverseproxy.tls",
    "upgrade",
];

#[derive(Default)]
struct Tally {
    passed: usize,
    left_out: BTreeMap<&'static str, usize>,
}

#[test]
fn every_case_without_a_socket_holds() {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in case::load() {
        let tally = tallies.entry(case.area.clone()).or_default();
        let judge = HERE
            .iter()
            .find(|(area, _)| *area == case.area)
            .map(|(_, judge)| judge);
        let outcome = match judge {
            Some(judge) => judge(&case),
            None if ELSEWHERE.contains(&case.area.as_str()) => Outcome::LeftOut("on the wire"),
            None => Outcome::Failed("unknown area".into()),
        };
        match outcome {
            Outcome::Passed => tally.passed += 1,
            Outcome::LeftOut(why) => *tally.left_out.entry(why).or_default() += 1,
            Outcome::Failed(why) => failures.push(format!("{} ({}): {why}", case.id, case.area)),
        }
    }
    for (area, tally) in &tallies {
        println!(
            "{area:28} passed {:4}  left out {:?}",
            tally.passed, tally.left_out
        );
    }
    assert!(
        failures.is_empty(),
        "{} cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    for (area, _) in HERE {
        let passed = tallies.get(*area).map_or(0, |tally| tally.passed);
        assert!(passed > 0, "no case of {area} was judged");
    }
}
