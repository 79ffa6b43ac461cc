//! What a case expects, and how that differs from what became of its request.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::explain::{Explanation, Forward, Outcome};

/// What is to become of a request: an answer of genkan, or a request to the backend.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expected {
    status: Option<u16>,
    reason: Option<String>,
    /// Of the answer, whoever gives it; `null` where there is to be none.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    /// A text, or what its JSON holds.
    body: Option<Value>,
    forward: Option<Forwarded>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Forwarded {
    method: Option<String>,
    /// With the query.
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    body: Option<Value>,
}

/// An answer of genkan, as a client sees it.
#[derive(Default)]
struct Answered {
    status: u16,
    reason: String,
    headers: Vec<(String, String)>,
    body: String,
}

// === impl Expected ===

impl Expected {
    /// It says how the request is to end.
    pub(super) fn is_said(&self) -> bool {
        self.status.is_some() || self.reason.is_some() || self.forward.is_some()
    }

    /// What is otherwise, a sentence each.
    pub(super) fn differences(&self, found: &Explanation, body: Option<&[u8]>) -> Vec<String> {
        let mut told = Vec::new();
        match &found.outcome {
            Outcome::Forward(forward) => {
                if let Some(answer) = &found.answer {
                    let status = self.status.map(|status| status.to_string());
                    differs("status", status, &answer.status.to_string(), &mut told);
                    if let Some(reason) = &self.reason {
                        told.push(format!("the backend answers, and {reason} was expected"));
                    }
                    headers("header", &self.headers, &answer.headers, &mut told);
                } else if self.status.is_some() || self.reason.is_some() {
                    let wanted = self.status.map_or_else(String::new, |status| status.to_string());
                    let reason = self.reason.clone().unwrap_or_default();
                    told.push(format!(
                        "the backend gets it, and {} was expected",
                        [wanted, reason].join(" ").trim()
                    ));
                }
                if found.answer.is_none() {
                    headers("header", &self.headers, &found.headers, &mut told);
                }
                if let Some(wanted) = &self.forward {
                    wanted.differences(forward, body, &mut told);
                }
            }
            Outcome::Refuse { .. }
            | Outcome::Respond { .. }
            | Outcome::Redirect { .. }
            | Outcome::Discovery { .. }
            | Outcome::ServerOptions => {
                let answered = answered(found);
                if self.forward.is_some() {
                    told.push(format!(
                        "genkan answers {} {}: {}, and the backend was to get it",
                        answered.status, answered.reason, answered.body
                    ));
                } else {
                    let status = self.status.map(|status| status.to_string());
                    differs("status", status, &answered.status.to_string(), &mut told);
                    differs("reason", self.reason.clone(), &answered.reason, &mut told);
                    headers("header", &self.headers, &answered.headers, &mut told);
                    same_body("body", self.body.as_ref(), &answered.body, &mut told);
                }
            }
        }
        if let (Some(last), false) = (told.last_mut(), found.detail.is_empty()) {
            last.push_str(&format!(" ({})", found.detail));
        }
        told
    }
}

// === impl Forwarded ===

impl Forwarded {
    fn differences(&self, forward: &Forward, body: Option<&[u8]>, told: &mut Vec<String>) {
        differs("forward.method", self.method.clone(), &forward.method, told);
        differs("forward.path", self.path.clone(), &forward.target, told);
        headers("forward.header", &self.headers, &forward.headers, told);
        let sent = body.map(String::from_utf8_lossy).unwrap_or_default();
        let sent = forward.body.clone().unwrap_or_else(|| sent.into_owned());
        same_body("forward.body", self.body.as_ref(), &sent, told);
    }
}

fn answered(found: &Explanation) -> Answered {
    let mut answered = Answered {
        headers: found.headers.clone(),
        ..Answered::default()
    };
    match &found.outcome {
        Outcome::Refuse {
            code,
            reason,
            message,
        } => {
            (answered.status, answered.reason) = (*code, reason.clone());
            answered.body.clone_from(message);
        }
        Outcome::Respond {
            code, reason, body, ..
        } => {
            (answered.status, answered.reason) = (*code, reason.clone());
            answered.body.clone_from(body);
        }
        Outcome::Redirect { code, location } => {
            answered.status = *code;
            answered.reason = if *code == 308 { "BarePrefix" } else { "Redirected" }.to_owned();
            answered.headers.push(("location".to_owned(), location.clone()));
        }
        Outcome::Discovery { what } => {
            answered.status = 200;
            answered.body.clone_from(what);
        }
        Outcome::ServerOptions | Outcome::Forward(_) => answered.status = 200,
    }
    if let Some(in_place) = &found.in_place {
        answered.status = in_place.code;
        answered.body.clone_from(&in_place.body);
        answered
            .headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        answered.headers.extend(in_place.headers.iter().cloned());
    }
    answered
}

fn differs(what: &str, wanted: Option<String>, found: &str, told: &mut Vec<String>) {
    if let Some(wanted) = wanted.filter(|wanted| wanted != found) {
        told.push(format!("{what} is {found}, and {wanted} was expected"));
    }
}

fn headers(
    what: &str,
    wanted: &BTreeMap<String, Option<String>>,
    found: &[(String, String)],
    told: &mut Vec<String>,
) {
    for (name, wanted) in wanted {
        let mut values = found.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let is_there = values.clone().next();
        match (wanted, is_there) {
            (None, None) => {}
            (None, Some((_, value))) => told.push(format!("{what} {name} is {value}, and none was expected")),
            (Some(wanted), None) => {
                told.push(format!("{what} {name} is not there, and {wanted} was expected"))
            }
            (Some(wanted), Some((_, first))) => {
                if !values.any(|(_, value)| value == wanted) {
                    told.push(format!("{what} {name} is {first}, and {wanted} was expected"));
                }
            }
        }
    }
}

fn same_body(what: &str, wanted: Option<&Value>, found: &str, told: &mut Vec<String>) {
    let is_same = match wanted {
        None => true,
        Some(Value::String(text)) => text == found,
        Some(wanted) => serde_json::from_str::<Value>(found).is_ok_and(|found| found == *wanted),
    };
    if let (false, Some(wanted)) = (is_same, wanted) {
        told.push(format!("{what} is {found}, and {wanted} was expected"));
    }
}
