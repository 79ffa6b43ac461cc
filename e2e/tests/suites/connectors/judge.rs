//! A request case: what reached the far side, and what the caller got.

use genkan_e2e::http1::Answer;
use genkan_kit::wire::values;
use serde_json::Value;

use super::far::{Far, Taken};

/// What the far side does to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    Refuses,
    IsAnother,
    Hangs,
}

// === impl Trouble ===

impl Trouble {
    pub fn of(case: &Value) -> Self {
        let far = &case["expect"]["upstream_response"];
        let known = [
            ("connect_error", Self::Refuses),
            ("tls_error", Self::IsAnother),
            ("timeout", Self::Hangs),
        ];
        let found = known.into_iter().find(|(name, _)| far[*name] == true);
        found.map_or(Self::None, |(_, trouble)| trouble)
    }

    fn arrives(self) -> bool {
        matches!(self, Self::None | Self::Hangs)
    }
}

/// Everything in which a case did not come as it says.
pub fn differences(case: &Value, far: &Far, answer: &Answer, tokens: &[String]) -> Vec<String> {
    let trouble = Trouble::of(case);
    let mut out = forwarded(case, trouble, far, tokens);
    out.extend(answered(case, trouble, answer));
    out
}

fn forwarded(case: &Value, trouble: Trouble, far: &Far, tokens: &[String]) -> Vec<String> {
    let wanted = &case["expect"]["forward"];
    let taken = far.taken();
    let count = usize::from(!wanted.is_null() && trouble.arrives());
    if taken.len() != count {
        let urls: Vec<_> = taken.iter().map(|taken| &taken.url).collect();
        return vec![format!(
            "{} requests arrived, expected {count}: {urls:?}",
            taken.len()
        )];
    }
    let mut out = Vec::new();
    if trouble == Trouble::IsAnother && far.greeted().is_empty() {
        out.push("no TLS connection was begun".to_owned());
    }
    let Some(taken) = taken.first() else { return out };
    out.extend(request(wanted, taken));
    let listed = |name: &str| {
        let listed = wanted["headers"].as_object().into_iter().flatten();
        listed
            .into_iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    for (name, value) in &taken.headers {
        if !listed(name) && tokens.iter().any(|token| value.contains(token.as_str())) {
            out.push(format!("the token of the caller arrived in {name}"));
        }
        if name.to_ascii_lowercase().starts_with("x-plugin-") && !taken.url.contains(".svc.cluster.local") {
            out.push(format!("{name} reached a tool"));
        }
    }
    if tokens.iter().any(|token| taken.target.contains(token.as_str())) {
        out.push("the token of the caller arrived in the target".to_owned());
    }
    let body = &case["request"]["body"];
    out.extend(match (&wanted["body"], body.as_str().unwrap_or_default()) {
        (Value::Null, sent) => same("the body", &taken.body, sent),
        (Value::String(wanted), _) => same("the body", &taken.body, wanted),
        (wanted, _) => same_json("the body", &taken.body, wanted),
    });
    out
}

/// One request beside what is wanted of it.
/// In what a request that arrived differs from what is wanted.
pub fn request(wanted: &Value, taken: &Taken) -> Vec<String> {
    let mut out = Vec::new();
    // What a case says nothing of may be anything.
    if let Some(method) = wanted["method"].as_str() {
        out.extend(same("the method", &taken.method, method));
    }
    if let Some(url) = wanted["url"].as_str() {
        out.extend(same("the URL", &taken.url, url));
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        let port = port.parse().unwrap_or(if scheme == "https" { 443 } else { 80 });
        out.extend(same("the port", &taken.port.to_string(), &u16::to_string(&port)));
        if let Some(name) = &taken.server_name {
            out.extend(same("the server name in TLS", name, host));
        }
    }
    for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
        let seen: Vec<_> = values(&taken.headers, name).collect();
        if seen != [value.as_str().unwrap_or_default()] {
            out.push(format!("header {name}: {seen:?}, expected {value}"));
        }
    }
    for name in wanted["headers_absent"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if values(&taken.headers, name).next().is_some() {
            out.push(format!("header {name} arrived"));
        }
    }
    out
}

fn answered(case: &Value, trouble: Trouble, answer: &Answer) -> Vec<String> {
    let wanted = &case["expect"]["response"];
    let is_own = !wanted.is_null() && (case["expect"]["forward"].is_null() || trouble != Trouble::None);
    let mut out = Vec::new();
    let marker = answer.header("x-connectors-error");
    if marker != is_own.then_some("gateway") {
        out.push(format!("x-connectors-error is {marker:?}"));
    }
    if is_own && answer.header("x-genkan-reason").is_none_or(str::is_empty) {
        out.push("an answer of genkan's own has no x-genkan-reason".to_owned());
    }
    if wanted.is_null() {
        // Nothing is said about it: it is that of the tool.
        out.extend(same(
            "the answer",
            &format!("{} {}", answer.status, answer.text()),
            "200 ok",
        ));
        return out;
    }
    out.extend(same(
        "the status",
        &answer.status.to_string(),
        &wanted["status"].to_string(),
    ));
    for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
        let seen = answer.header(name);
        if seen != value.as_str() {
            out.push(format!("answer header {name}: {seen:?}, expected {value}"));
        }
    }
    let body = &wanted["body"];
    match body {
        Value::Null => {}
        Value::String(text) => out.extend(same("the body of the answer", &answer.text(), text)),
        body if body["format"] == "k8s-status" => out.extend(status(body, answer)),
        body => out.extend(same_json("the body of the answer", &answer.text(), body)),
    }
    out
}

fn status(wanted: &Value, answer: &Answer) -> Vec<String> {
    let Ok(seen) = answer.json() else {
        return vec![format!("no Status: {}", answer.text())];
    };
    let members = ["status", "reason", "code", "message"].into_iter();
    let mut out: Vec<String> = members
        .filter(|member| !wanted[*member].is_null() && wanted[*member] != seen[*member])
        .map(|member| format!("{member}: {}, expected {}", seen[member], wanted[member]))
        .collect();
    let message = seen["message"].as_str().unwrap_or_default();
    if !message.starts_with(wanted["message_prefix"].as_str().unwrap_or_default())
        || !message.contains(wanted["message_contains"].as_str().unwrap_or_default())
    {
        out.push(format!("message: {message}"));
    }
    out
}

fn same(what: &str, seen: &str, wanted: &str) -> Option<String> {
    (seen != wanted).then(|| format!("{what}: {seen:?}, expected {wanted:?}"))
}

fn same_json(what: &str, seen: &str, wanted: &Value) -> Option<String> {
    let is_same = serde_json::from_str::<Value>(seen).is_ok_and(|seen| seen == *wanted);
    (!is_same).then(|| format!("{what}: {seen}, expected {wanted}"))
}
