use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::policy::catch::reasons;
use crate::policy::expression::template;
use crate::policy::object;
use crate::tree::Node;

use super::{Converted, Fault, Policy, step};

/// Members without a counterpart, and their values that change nothing.
const NOT_CONVERTED: [(&str, &[&str]); 4] = [
    ("cache-response", &["protocol", "no-cache"]),
    ("follow-redirects", &["false"]),
    ("tls-profile", &[]),
    ("ssl-profile", &[]),
];

pub(super) fn call(policy: &Policy<'_>, hosts: &BTreeMap<String, String>) -> Converted {
    let url = policy.text("target-url");
    let url = url.ok_or_else(|| Fault::Unsupported("has no target-url".to_owned()))?;
    for (name, harmless) in NOT_CONVERTED {
        if let Some(text) = policy.text(name)
            && !harmless.contains(&text.as_str())
        {
            return Err(Fault::Unsupported(format!(
                "with {name}: {text} is not converted"
            )));
        }
    }
    // What they are is nothing for a sentence.
    if policy.text("username").is_some() || policy.text("password").is_some() {
        let why = "with username and password is not converted";
        return Err(Fault::Unsupported(why.to_owned()));
    }
    let method = match policy.text("verb") {
        Some(verb) if !verb.eq_ignore_ascii_case("keep") => template(&verb),
        Some(_) | None => "{{ request.method }}".to_owned(),
    };
    let into = policy.text("output").unwrap_or_else(|| "message".to_owned());
    let mut with = object([
        ("url", Value::from(template(&mapped(&url, hosts)))),
        ("method", Value::from(method)),
        ("timeout", Value::from(timeout(policy))),
        ("into", Value::from(into)),
    ]);
    let errors = policy.texts("stop-on-error");
    if !errors.is_empty() {
        let reasons = reasons(errors.iter().map(String::as_str));
        with.insert("stopOn".to_owned(), Value::from(reasons));
    }
    for (from, to) in [("header-control", "headers"), ("parameter-control", "query")] {
        if let Some(control) = policy.node.given(from) {
            with.insert(to.to_owned(), Value::Object(list(from, control)?));
        }
    }
    Ok(vec![step("call", with)])
}

fn timeout(policy: &Policy<'_>) -> String {
    let text = policy.text("timeout").unwrap_or_else(|| "60".to_owned());
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{text}s")
    } else {
        text
    }
}

/// `{type: whitelist, values}` as `{only}`, a blacklist as `{without}`.
fn list(from: &str, control: &Node) -> Result<Map<String, Value>, Fault> {
    let kind = control.given("type").map(Node::shown).unwrap_or_default();
    let name = match kind.as_str() {
        "whitelist" => "only",
        "blacklist" => "without",
        _ => {
            return Err(Fault::Unsupported(format!(
                "with {from} of type {kind} is not converted"
            )));
        }
    };
    let values = control
        .given("values")
        .and_then(Node::as_list)
        .unwrap_or_default();
    let values: Vec<_> = values.iter().map(Node::shown).collect();
    Ok(object([(name, Value::from(values))]))
}

/// The address with its host exchanged, if it is one of those that are mapped.
fn mapped(url: &str, hosts: &BTreeMap<String, String>) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(ends);
    let host = authority.split(':').next().unwrap_or_default();
    let Some(target) = hosts.get(authority).or_else(|| hosts.get(host)) else {
        return url.to_owned();
    };
    if target.contains("://") {
        return format!("{}{path}", target.trim_end_matches('/'));
    }
    let service = target.split_once('/').and_then(|(namespace, rest)| {
        let (service, port) = rest.split_once(':')?;
        Some(format!("{scheme}://{service}.{namespace}.svc:{port}{path}"))
    });
    service.unwrap_or_else(|| url.to_owned())
}
