use std::time::Duration;

use futures::executor::block_on;
use genkan_policies::{
    Aliases, Caller, Exchange, Later, Limiters, Outcome, Plan, Request, Source, Stage, State, link,
};
use genkan_routing::model::policy::PolicyStep;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::Case;
use super::mk::{Around, mk_object, mk_world, same};

fn plan(step: &Value) -> Result<Plan, String> {
    let steps: Vec<PolicyStep> = vec![serde_json::from_value(step.clone()).unwrap()];
    let secrets = Aliases::new();
    let plan = link(
        &mk_object(&steps, &secrets),
        &mk_world(&Value::Null),
        &Limiters::default(),
    );
    plan.map_err(|problem| problem.message)
}

fn send(plan: &Plan, headers: &mut HeaderMap, state: &mut State, elapsed: Duration) -> Outcome {
    let request = Request {
        id: "1-2",
        method: "GET",
        scheme: "https",
        host: "gw.test",
        path: "/",
        query: "",
        route: "shop",
        source: Source::default(),
        caller: Caller::default(),
    };
    let around = Around {
        now: Duration::ZERO,
        elapsed,
    };
    let mut exchange = Exchange::new(request, Stage::Request(headers), state);
    block_on(plan.after_review.run(&mut exchange, &around))
}

fn number(value: &HeaderValue) -> Value {
    value.to_str().unwrap().parse::<u64>().unwrap().into()
}

/// Keys and weights come by headers.
pub fn rate(case: &Case) -> Result<(), String> {
    let mut with = case.input["with"].clone();
    let requests = case.input["requests"].as_array().unwrap();
    if requests.iter().any(|request| request.get("key").is_some()) {
        with["key"] = r#"request.headers["x-key"]"#.into();
    }
    if requests.iter().any(|request| request.get("weight").is_some()) {
        with["weight"] = r#"int(request.headers["x-weight"])"#.into();
    }
    let plan = plan(&json!({"use": "rateLimit", "with": with}))?;
    let mut got = Vec::new();
    for request in requests {
        let mut headers = HeaderMap::new();
        if let Some(key) = request["key"].as_str() {
            headers.insert("x-key", HeaderValue::from_str(key).unwrap());
        }
        if let Some(weight) = request["weight"].as_u64() {
            headers.insert("x-weight", HeaderValue::from(weight));
        }
        let mut state = State::default();
        let at = Duration::from_millis(request["at"].as_u64().unwrap());
        got.push(match send(&plan, &mut headers, &mut state, at) {
            Outcome::Forward if !state.warned.is_empty() => json!({"allowed": true, "warned": true}),
            Outcome::Forward => {
                let mut result = json!({"allowed": true});
                for later in &state.later {
                    if let Later::Set(name, value) = later
                        && name == "ratelimit-remaining"
                    {
                        result["remaining"] = number(value);
                    }
                }
                result
            }
            Outcome::Answer(answer) => {
                let mut result = json!({"allowed": false, "status": answer.status, "reason": answer.reason});
                let headers = answer.headers.iter();
                for (_, value) in headers.filter(|(name, _)| name == "retry-after") {
                    result["retryAfter"] = number(value);
                }
                result
            }
        });
    }
    same("requests", json!({"requests": got}), case.expect.clone())
}

pub fn count(case: &Case) -> Result<(), String> {
    let plan = plan(&json!({"use": "countLimit", "with": case.input["with"]}))?;
    let mut under_way: Vec<(String, State)> = Vec::new();
    let mut got = Vec::new();
    for event in case.input["events"].as_array().unwrap() {
        let (what, id) = event.as_str().unwrap().split_once(' ').unwrap();
        if what == "end" {
            under_way.retain(|(other, _)| other != id);
            continue;
        }
        let mut state = State::default();
        got.push(
            match send(&plan, &mut HeaderMap::new(), &mut state, Duration::ZERO) {
                Outcome::Forward => json!({"id": id, "allowed": true}),
                Outcome::Answer(answer) => {
                    json!({"id": id, "allowed": false, "status": answer.status, "reason": answer.reason})
                }
            },
        );
        under_way.push((id.to_owned(), state));
    }
    same("requests", json!({"requests": got}), case.expect.clone())
}
