//! One case, from its world to what differs.

use super::case::{Case, text};
use super::client::{Answer, exchange};
use super::compare;
use super::explained;
use super::objects::manifests;
use super::pair::Pair;
use super::reviewer;
use super::upstream::{Keys, Upstream};

pub fn carry_out(pair: &mut Pair, case: &Case, keys: &Keys) -> Vec<String> {
    let mark = pair.begin(case);
    let upstream = Upstream::start(&case.json, keys);
    let address = upstream.address.to_string();
    if let Err(problem) = pair.publish(manifests(case, "reverseProxies", upstream.address, keys)) {
        return vec![problem];
    }
    for request in case.setup_requests(&address) {
        exchange(pair.listen(), &request.marked(&mark));
    }
    let before = upstream.taken().len();
    let after = "reverseProxiesAfterSetup";
    if case.json["config"][after].is_array()
        && let Err(problem) = pair.publish(manifests(case, after, upstream.address, keys))
    {
        return vec![problem];
    }
    pair.reviewer.forget();
    let request = case.request(&address).marked(&mark);
    let answer = exchange(pair.listen(), &request);
    let mut arrived = upstream.taken();
    arrived.drain(..before);
    let foretold = explained::differences(pair, &mark, &request, &answer, &arrived);
    if !foretold.is_empty() {
        return foretold;
    }
    if !case.json["admission"].is_null() {
        return refused(case, &answer);
    }
    if case.area == "rewrite.pattern" {
        let matched = case.expect()["match"] == true;
        let hit = upstream.taken().iter().any(|request| request.target == "/hit");
        return if matched == hit {
            Vec::new()
        } else {
            vec![format!("matched: {hit}, expected {matched}")]
        };
    }
    let mut taken: Vec<_> = upstream
        .taken()
        .into_iter()
        .map(|one| one.unmarked(&mark))
        .collect();
    if case.expect()["upstream"]
        .as_array()
        .is_some_and(|all| all.len() < taken.len())
    {
        // What the preparation sent counts only where a case lists it.
        taken.drain(..before);
    }
    let mut differences = compare::upstream(&case.expect()["upstream"], &taken, &address);
    differences.extend(compare::answer(
        &case.expect()["response"],
        &answer,
        &request,
        &address,
    ));
    differences.extend(reviewer::compare(case, &mark, &pair.reviewer.taken()));
    differences
}

/// An object that is refused keeps its match, if that can be read, and answers 503 with the reason.
fn refused(case: &Case, answer: &Answer) -> Vec<String> {
    let (field, reason) = (
        text(&case.json["admission"]["field"]),
        text(&case.json["admission"]["reason"]),
    );
    if field.starts_with("spec.matcher") {
        return if answer.status == Some(404) {
            Vec::new()
        } else {
            vec![format!("expected 404, got {answer:?}")]
        };
    }
    let body = answer.body.to_lowercase();
    let names = |part: &str| body.contains(&part.to_lowercase());
    if answer.status == Some(503) && names(&field) && names(&reason) {
        return Vec::new();
    }
    vec![format!("expected 503 with {field} and {reason}, got {answer:?}")]
}
