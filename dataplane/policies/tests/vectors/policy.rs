use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::executor::block_on;
use genkan_policies::{
    Caller, Certificate, Class, Exchange, Later, Limiters, NamedHook, Outcome, PolicyAnswer, Replacing,
    Request, Source, Stage, State, link,
};
use genkan_routing::model::policy::{Hook, PolicyStep};
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::Case;
use super::mk::{Around, mk_headers, mk_object, mk_secrets, mk_world, same};

/// A text, `{"base64"}`, or `{"repeat", "times"}`.
fn body_of(body: &Value) -> Bytes {
    match body {
        Value::String(text) => text.clone().into(),
        Value::Object(_) => {
            let times = usize::try_from(body["times"].as_u64().unwrap()).unwrap();
            body["repeat"].as_str().unwrap().repeat(times).into()
        }
        _ => Bytes::new(),
    }
}

fn map_of(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

pub fn policy(case: &Case) -> Result<(), String> {
    let input = &case.input;
    let mut step = json!({"use": input["use"], "with": input["with"]});
    if input["on"].is_string() {
        step["on"] = input["on"].clone();
    }
    let steps: Vec<PolicyStep> = vec![serde_json::from_value(step).unwrap()];
    let secrets = mk_secrets(&input["secrets"]);
    let mut world = mk_world(&input["files"]);
    if input["onError"].is_array() {
        let hook: Hook = serde_json::from_value(json!({"at": "OnError", "steps": input["onError"]})).unwrap();
        world.hooks.push(NamedHook {
            extension: "x".into(),
            entry: "y".into(),
            hook: Arc::new(hook),
            facts: genkan_policies::EntryFacts::default(),
        });
    }
    let plan = match link(&mk_object(&steps, &secrets), &world, &Limiters::default()) {
        Ok(plan) => plan,
        Err(problem) => {
            let wanted = case.expect["invalid"].as_str();
            return match wanted {
                Some(wanted) if problem.message.contains(wanted) => Ok(()),
                _ => Err(format!("refused: {}", problem.message)),
            };
        }
    };
    if let Some(wanted) = case.expect["invalid"].as_str() {
        return Err(format!("it is taken, and not refused with {wanted}"));
    }
    let request = &input["request"];
    let (path, query) = match request["target"].as_str().unwrap_or("/").split_once('?') {
        Some((path, query)) => (path, query),
        None => (request["target"].as_str().unwrap_or("/"), ""),
    };
    let certificate = input["source"]["certificate"].as_object().map(|_| {
        let list = |name: &str| serde_json::from_value(input["source"]["certificate"][name].clone()).unwrap();
        Certificate {
            subject: input["source"]["certificate"]["subject"].as_str().unwrap().into(),
            dns: list("dns"),
            uri: list("uri"),
        }
    });
    let address = input["source"]["address"].as_str().unwrap_or("192.0.2.7");
    let groups: Vec<String> = serde_json::from_value(input["auth"]["groups"].clone()).unwrap_or_default();
    let claims = map_of(&input["auth"]["claims"]);
    let facts = Request {
        id: "1-2",
        method: request["method"].as_str().unwrap_or("GET"),
        scheme: "https",
        host: "gw.test",
        path,
        query,
        route: "shop",
        source: Source {
            address: Some(address.parse().unwrap()),
            certificate: certificate.as_ref(),
        },
        caller: Caller {
            user: input["auth"]["user"].as_str().unwrap_or_default(),
            groups: &groups,
            claims: Some(&claims),
            key: None,
            method: "token",
        },
    };
    let around = Around {
        now: Duration::from_secs(input["now"].as_u64().unwrap_or_default()),
        elapsed: Duration::ZERO,
    };
    let mut headers = mk_headers(&request["headers"]);
    let mut state = State::default();
    state.vars = map_of(&input["vars"]);
    let chain = if plan.before_review.is_empty() {
        &plan.after_review
    } else {
        &plan.before_review
    };
    let mut exchange = Exchange::new(facts, Stage::Request(&mut headers), &mut state);
    exchange = exchange.with_params(map_of(&input["params"]));
    let body = body_of(&request["body"]);
    if plan.class() == Class::EarlyBody {
        exchange = exchange.with_body(body.clone());
    }
    match block_on(chain.run(&mut exchange, &around)) {
        Outcome::Forward => {
            let wanted = &case.expect["forward"];
            if wanted.is_null() {
                return Err("it is forwarded".into());
            }
            forwarded(case, wanted, (&headers, &state, facts, &body))
        }
        Outcome::Answer(mut answer) => {
            if plan.is_for_errors() && answer.is_error() {
                let replacing = Replacing {
                    status: answer.status,
                    reason: &answer.reason,
                    message: &answer.message,
                };
                let replaced = plan.replace(replacing, facts, &headers, &mut state, &around);
                let replaced = block_on(replaced).ok_or("nothing replaces it")?;
                answer.status = replaced.status;
                answer.body = replaced.body;
                answer.headers = replaced.headers;
            }
            answered(&case.expect["answer"], &answer)
        }
    }
}

type After<'a> = (&'a HeaderMap, &'a State, Request<'a>, &'a Bytes);

fn forwarded(case: &Case, wanted: &Value, (headers, state, facts, body): After<'_>) -> Result<(), String> {
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    for (name, wanted) in map_of(&wanted["headersSet"]) {
        same(&name, value(&name).map(Value::from), Some(wanted))?;
    }
    for name in wanted["headersAbsent"].as_array().into_iter().flatten() {
        same(name.as_str().unwrap(), value(name.as_str().unwrap()), None)?;
    }
    if let Some(pairs) = wanted["headers"].as_array() {
        let sort = |headers: &HeaderMap| {
            let mut all: Vec<_> = headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect();
            all.sort_by(|one, other| one.0.cmp(&other.0));
            all
        };
        let wanted = sort(&mk_headers(&Value::Array(pairs.clone())));
        same("headers", sort(headers), wanted)?;
    }
    let query = state.query.as_deref().unwrap_or(facts.query);
    let target = match query {
        "" => facts.path.to_owned(),
        query => format!("{}?{query}", facts.path),
    };
    if let Some(wanted) = wanted["target"].as_str() {
        same("target", target.as_str(), wanted)?;
    }
    let body = state.body.as_ref().unwrap_or(body);
    if let Some(wanted) = wanted["body"].as_str() {
        same("body", &body[..], wanted.as_bytes())?;
    }
    if wanted["vars"].is_object() {
        same("vars", Value::Object(state.vars.clone()), wanted["vars"].clone())?;
    }
    if let Some(wanted) = wanted["responseHeaders"].as_object() {
        let later: BTreeMap<_, _> = state
            .later
            .iter()
            .map(|later| {
                let (Later::Set(name, value) | Later::Add(name, value)) = later;
                (name.to_string(), Value::from(value.to_str().unwrap()))
            })
            .collect();
        let wanted = wanted.iter();
        let wanted: BTreeMap<_, _> = wanted
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect();
        same("answer", later, wanted)?;
    }
    for (name, wanted) in map_of(&wanted["auth"]) {
        let auth = state.auth.as_ref().ok_or("nobody was authenticated")?;
        let got = match name.as_str() {
            "user" => Value::from(auth.user.clone()),
            "key" => auth.key.clone().into(),
            "groups" => auth.groups.clone().into(),
            "claims" => Value::Object((*auth.claims).clone()),
            other => return Err(format!("auth.{other} is unknown")),
        };
        same(&name, got, wanted)?;
    }
    if wanted == &json!({}) {
        let before = mk_headers(&case.input["request"]["headers"]);
        // An authenticating step may take its credential away.
        if !["hmac", "basic", "jwt"].contains(&case.input["use"].as_str().unwrap()) {
            same("headers", headers, &before)?;
        }
        same("target", query, facts.query)?;
        same("answer", &state.later, &Vec::new())?;
    }
    Ok(())
}

fn answered(wanted: &Value, answer: &PolicyAnswer) -> Result<(), String> {
    if wanted.is_null() {
        return Err(format!(
            "answer {} {} {} {}",
            answer.status, answer.reason, answer.message, answer.detail
        ));
    }
    let got = json!({"status": answer.status, "reason": answer.reason});
    same(
        "answer",
        got,
        json!({"status": wanted["status"], "reason": wanted["reason"]}),
    )
    .map_err(|error| format!("{error}: {} {}", answer.message, answer.detail))?;
    let (kind, body) = answer.render();
    let mut headers: BTreeMap<_, _> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.clone()))
        .collect();
    headers.extend(kind.map(|kind| ("content-type".to_owned(), kind)));
    for (name, wanted) in map_of(&wanted["headers"]) {
        let got = headers.get(&name.to_ascii_lowercase());
        let got = got.map(|value| Value::from(value.to_str().unwrap()));
        same(&name, got, Some(wanted))?;
    }
    if let Some(wanted) = wanted["body"].as_str() {
        same("body", &body[..], wanted.as_bytes())?;
    }
    if !wanted["json"].is_null() {
        same(
            "json",
            serde_json::from_slice(&body).unwrap_or_default(),
            wanted["json"].clone(),
        )?;
    }
    if let Some(wanted) = wanted["message"].as_str() {
        same("message", answer.message.as_str(), wanted)?;
    }
    if let Some(wanted) = wanted["causes"].as_array() {
        let got: Vec<_> = answer
            .causes
            .iter()
            .map(|cause| Value::from(cause.message.clone()))
            .collect();
        same("causes", &got, wanted)?;
    }
    if let Some(wanted) = wanted["pointers"].as_array() {
        let got: BTreeSet<_> = answer.causes.iter().map(|cause| cause.field.as_str()).collect();
        let wanted: BTreeSet<_> = wanted.iter().map(|pointer| pointer.as_str().unwrap()).collect();
        same("pointers", got, wanted)?;
    }
    if let Some(wanted) = wanted["pointersCount"].as_u64() {
        same("pointers", answer.causes.len() as u64, wanted)?;
    }
    Ok(())
}
