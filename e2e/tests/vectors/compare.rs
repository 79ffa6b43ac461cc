//! Comparison as the page beside the cases defines it; every function returns what differs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::case::{Request, lines, text};
use super::client::Answer;
use super::upstream::Received;
use genkan_kit::wire::{Headers, has_token};

/// What cases do not list: the framing, and the mark by which genkan knows a loop.
const NEVER_UP: &[&str] = &["content-length", "transfer-encoding", "cdn-loop"];
const NEVER_DOWN: &[&str] = &["date", "connection", "content-length", "transfer-encoding"];

pub fn upstream(expected: &Value, taken: &[Received], address: &str) -> Vec<String> {
    let expected: Vec<&Value> = expected.as_array().into_iter().flatten().collect();
    let mut out = Vec::new();
    if expected.len() != taken.len() {
        out.push(format!(
            "{} requests reached the backend, expected {}",
            taken.len(),
            expected.len()
        ));
    }
    for (expected, taken) in expected.into_iter().zip(taken) {
        same(&mut out, "method", &taken.method, &text(&expected["method"]));
        same(&mut out, "target", &taken.target, &text(&expected["target"]));
        same(&mut out, "body", &taken.body, &text(&expected["body"]));
        let mut never = NEVER_UP.to_vec();
        let mut wanted = group(&expected["headers"], address);
        if wanted.contains_key("upgrade") {
            wanted.remove("connection");
            never.push("connection");
            if !has_token(&taken.headers, "connection", "upgrade") {
                out.push("Connection lacks the token upgrade".into());
            }
        }
        headers(&mut out, "request", &wanted, &taken.headers, &never, false);
        for name in expected["trailersAbsent"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
        {
            if taken
                .trailers
                .iter()
                .any(|(of, _)| of.eq_ignore_ascii_case(&name))
            {
                out.push(format!("the trailer {name} arrived"));
            }
        }
    }
    out
}

pub fn answer(expected: &Value, got: &Answer, request: &Request, address: &str) -> Vec<String> {
    let mut out = Vec::new();
    if expected.is_null() {
        if got.problem.is_none() {
            out.push(format!("a whole answer came, status {:?}", got.status));
        }
        return out;
    }
    let allowed: Vec<u64> = match &expected["status"] {
        Value::Array(codes) => codes.iter().filter_map(Value::as_u64).collect(),
        code => code.as_u64().into_iter().collect(),
    };
    if !got
        .status
        .is_some_and(|status| allowed.contains(&u64::from(status)))
    {
        out.push(format!(
            "status {:?}, expected {allowed:?}; {}",
            got.status, got.body
        ));
    }
    if let Some(problem) = &got.problem {
        out.push(format!("the answer is not whole: {problem}"));
    }
    let own = !expected["error"].is_null() || !expected["discovery"].is_null();
    let only_listed = own || matches!(got.status, Some(101 | 308));
    let wanted = group(&expected["headers"], address);
    headers(&mut out, "answer", &wanted, &got.headers, NEVER_DOWN, only_listed);
    interim(&mut out, &expected["interim"], got, address);
    if expected["body"].is_string() {
        same(
            &mut out,
            "answer's body",
            &got.body,
            &text(&expected["body"]).replace("UPSTREAM", address),
        );
    }
    if !expected["json"].is_null() {
        let got: Value = serde_json::from_str(&got.body).unwrap_or_default();
        if got != expected["json"] {
            out.push(format!("answer's JSON is {got}, expected {}", expected["json"]));
        }
    }
    if !expected["error"].is_null() {
        status(&mut out, &expected["error"], got, request);
    }
    let trailer_header = got
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("trailer"));
    if !got.trailers.is_empty() || trailer_header {
        out.push(format!("trailers came: {:?}", got.trailers));
    }
    out
}

fn interim(out: &mut Vec<String>, expected: &Value, got: &Answer, address: &str) {
    let Some(expected) = expected.as_array() else {
        return;
    };
    let codes = |code: &Value| code["status"].as_u64().unwrap_or_default();
    let wanted: Vec<u64> = expected.iter().map(codes).collect();
    let seen: Vec<u64> = got.interim.iter().map(|(status, _)| u64::from(*status)).collect();
    if wanted != seen {
        out.push(format!("interim answers {seen:?}, expected {wanted:?}"));
    }
    for (expected, (_, seen)) in expected.iter().zip(&got.interim) {
        headers(
            out,
            "interim answer",
            &group(&expected["headers"], address),
            seen,
            NEVER_DOWN,
            true,
        );
    }
}

/// A compact Kubernetes Status with this reason, and x-genkan-reason beside it.
fn status(out: &mut Vec<String>, expected: &Value, got: &Answer, request: &Request) {
    if !got
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("x-genkan-reason"))
    {
        out.push("the answer carries no x-genkan-reason".into());
    }
    if request.method == "HEAD" {
        same(out, "body to HEAD", &got.body, "");
        return;
    }
    let status: Value = serde_json::from_str(&got.body).unwrap_or_default();
    let fixed = status["kind"] == "Status"
        && status["apiVersion"] == "v1"
        && status["status"] == "Failure"
        && status["code"].as_u64() == got.status.map(u64::from)
        && !text(&status["message"]).is_empty();
    let reason = text(&status["reason"]);
    let as_expected = expected["reason"]
        .as_str()
        .map_or(!reason.is_empty(), |expected| reason == expected);
    let compact =
        serde_json::from_str::<Value>(&got.body).is_ok_and(|value| value.to_string().len() == got.body.len());
    if !(fixed && as_expected && compact) {
        out.push(format!(
            "not the compact Status that was expected ({expected}): {}",
            got.body
        ));
    }
}

fn headers(
    out: &mut Vec<String>,
    of: &str,
    wanted: &BTreeMap<String, Vec<String>>,
    got: &Headers,
    never: &[&str],
    only_listed: bool,
) {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in got {
        seen.entry(name.to_ascii_lowercase())
            .or_default()
            .push(value.clone());
    }
    for (name, wanted) in wanted {
        if seen.get(name) != Some(wanted) {
            out.push(format!(
                "{of} header {name}: {:?}, expected {wanted:?}",
                seen.get(name)
            ));
        }
    }
    if only_listed {
        return;
    }
    for (name, value) in &seen {
        if !wanted.contains_key(name) && !never.contains(&name.as_str()) {
            out.push(format!("{of} header {name}: {value:?}, expected none"));
        }
    }
}

fn group(headers: &Value, address: &str) -> BTreeMap<String, Vec<String>> {
    let headers = headers.as_object().into_iter().flatten();
    headers
        .map(|(name, value)| (name.to_ascii_lowercase(), lines(value, address)))
        .collect()
}

fn same(out: &mut Vec<String>, what: &str, got: &str, expected: &str) {
    if got != expected {
        out.push(format!("{what}: {got:?}, expected {expected:?}"));
    }
}
