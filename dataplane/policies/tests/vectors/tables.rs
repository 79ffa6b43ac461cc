use std::collections::BTreeMap;
use std::sync::Arc;

use futures::executor::block_on;
use genkan_policies::failure::{Case as FailureCase, Counted, Event, Verdict, outcome};
use genkan_policies::{
    Aliases, Caller, Class, Coming, Described, EntryFacts, Limiters, NamedHook, ObjectFacts, Reading,
    Replacing, Request, Source, State, World, coming_for, describe, link,
};
use genkan_routing::model::policy::{EntryLimits, FailurePolicy, Hook, Mode, PolicyDefinition};
use http::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Case;
use super::mk::{Around, mk_object, mk_steps, same};

fn or_default<T: DeserializeOwned + Default>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn written(steps: &[Described]) -> Value {
    let steps = steps.iter().map(|step| {
        let mut written = json!({"place": step.place, "from": step.from, "use": step.uses});
        if step.mode == Mode::Shadow {
            written["mode"] = "Shadow".into();
        }
        written
    });
    steps.collect()
}

pub fn chain(case: &Case) -> Result<(), String> {
    let input = &case.input;
    let mut world = World::default();
    for extension in input["extensions"].as_array().into_iter().flatten() {
        let name = extension["name"].as_str().unwrap();
        for entry in extension["entries"].as_array().unwrap() {
            if entry["state"] == "Rejected" {
                continue;
            }
            world.hooks.push(NamedHook {
                extension: name.into(),
                entry: entry["name"].as_str().unwrap().into(),
                hook: Arc::new(serde_json::from_value(entry["hook"].clone()).unwrap()),
                facts: EntryFacts {
                    limits: EntryLimits::default(),
                    mode: or_default(&entry["mode"]),
                    failure_policy: or_default(&entry["failurePolicy"]),
                },
            });
        }
    }
    for (name, versions) in input["policyDefinitions"].as_object().into_iter().flatten() {
        let versions: Vec<String> = serde_json::from_value(versions.clone()).unwrap();
        let mk = |version| {
            Arc::new(PolicyDefinition {
                policy: name.clone(),
                version,
                ..PolicyDefinition::default()
            })
        };
        world
            .definitions
            .insert(name.clone(), versions.into_iter().map(mk).collect());
    }
    let object = &input["object"];
    let labels: BTreeMap<String, String> = or_default(&object["labels"]);
    let policies = match &object["policies"] {
        Value::Null => Vec::new(),
        steps => mk_steps(steps),
    };
    let facts = ObjectFacts {
        kind: object["kind"].as_str().unwrap(),
        namespace: object["namespace"].as_str().unwrap_or_default(),
        name: object["name"].as_str().unwrap(),
        labels: &labels,
        policies: &policies,
        secrets: &Aliases::new(),
    };
    let got = match describe(&facts, &world) {
        Ok(description) if description.on_error.is_empty() => json!({"steps": written(&description.steps)}),
        Ok(description) => {
            json!({"steps": written(&description.steps), "onError": written(&description.on_error)})
        }
        Err(problem) => json!({"error": {"reason": problem.reason.as_str(), "message": problem.message}}),
    };
    same("chain", got, case.expect.clone())
}

pub fn class(case: &Case) -> Result<(), String> {
    let request = &case.input["request"];
    let reading = Reading {
        bytes: request["bytes"].as_u64(),
        is_upgrade: request["upgrade"] == true,
        content_type: request["contentType"].as_str(),
        content_encoding: request["contentEncoding"].as_str(),
        ..Reading::default()
    };
    let steps = mk_steps(&case.input["steps"]);
    let world = World::default();
    let got = match coming_for(&steps, &world, &reading) {
        Coming::HeaderOnly => json!({"class": "HeaderOnly"}),
        Coming::EarlyBody => json!({"class": "EarlyBody"}),
        Coming::Answer(answer) => json!({"answer": {"status": answer.status, "reason": answer.reason}}),
    };
    if got["class"] == "EarlyBody" {
        same(
            "class",
            genkan_policies::class_of(&steps, &world),
            Class::EarlyBody,
        )?;
    }
    same("class", got, case.expect.clone())
}

/// What the policies of the table refuse with.
fn refusal(uses: &str) -> Event {
    let (status, reason) = match uses {
        "jwt" | "tokenExchange" => (401, "TokenInvalid"),
        "validateSchema" => (400, "SchemaViolation"),
        "antivirus" => (403, "MalwareFound"),
        "decrypt" => (400, "DecryptionFailed"),
        "verifySignature" => (401, "SignatureInvalid"),
        _ => (403, "PolicyDenied"),
    };
    Event::Refusal {
        status,
        reason: reason.into(),
    }
}

pub fn failure(case: &Case) -> Result<(), String> {
    let input = &case.input;
    let uses = input["use"].as_str().unwrap();
    let event = match input["event"].as_str().unwrap() {
        "refusal" => refusal(uses),
        "error" => Event::Error(None),
        "timeout" => Event::Timeout,
        "unreachable" => Event::Unreachable,
        "notLoaded" => Event::NotLoaded,
        "breakerOpen" => Event::BreakerOpen,
        "budget" => Event::Budget,
        "podBudget" => Event::PodBudget,
        other => return Err(format!("{other} is unknown")),
    };
    let allowed = input["allowFailOpen"].as_array();
    let verdict = outcome(&FailureCase {
        has_protective: false,
        uses,
        event,
        on: or_default(&input["on"]),
        on_error: or_default(&input["onError"]),
        failure_policy: or_default::<FailurePolicy>(&input["failurePolicy"]),
        is_allowed_to_fail_open: allowed.is_some_and(|all| all.iter().any(|name| name == uses)),
        mode: or_default(&input["mode"]),
    });
    let got = match verdict {
        Verdict::Answer { status, reason } => {
            json!({"outcome": "answer", "status": status, "reason": reason})
        }
        Verdict::Continue(Counted::Error) => json!({"outcome": "continue", "counted": "error"}),
        Verdict::Continue(Counted::Shadow) => json!({"outcome": "continue", "counted": "shadow"}),
    };
    same("failure", got, case.expect.clone())
}

/// A hook that does as the case says, and leaves a word in the log.
fn mk_hook(hook: &Value, priority: i64) -> NamedHook {
    let name = hook["name"].as_str().unwrap();
    let does = match hook["result"].as_str() {
        Some("responds") => json!({"use": "respond", "with": {"status": hook["status"]}}),
        Some("fails") => json!({"use": "set", "with": {"headers": {"set": {"x-a": "{{ vars.nothing }}"}}}}),
        _ => json!({"use": "set"}),
    };
    let hook: Hook = serde_json::from_value(json!({
        "at": "OnError",
        "priority": priority,
        "errors": hook["errors"].as_array().cloned().unwrap_or_default(),
        "steps": [{"use": "log", "with": {"fields": {"ran": format!("{name:?}")}}}, does],
    }))
    .unwrap();
    NamedHook {
        extension: "x".into(),
        entry: name.into(),
        hook: Arc::new(hook),
        facts: EntryFacts::default(),
    }
}

pub fn on_error(case: &Case) -> Result<(), String> {
    let input = &case.input;
    let answer = &input["answer"];
    let hooks = input["hooks"].as_array().unwrap();
    let world = World {
        hooks: hooks
            .iter()
            .zip((0..100).rev())
            .map(|(hook, priority)| mk_hook(hook, priority))
            .collect(),
        ..World::default()
    };
    let secrets = Aliases::new();
    let plan = link(&mk_object(&[], &secrets), &world, &Limiters::default());
    let plan = plan.map_err(|problem| problem.message)?;
    let reason = answer["reason"].as_str().unwrap();
    let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
    let is_ours = answer["by"].as_str().is_none_or(|by| by == "genkan") && answer["routed"] != false;
    let mut state = State::default();
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
    let replacing = Replacing {
        status,
        reason,
        message: "text",
    };
    let headers = HeaderMap::new();
    // Whoever answers asks for a replacement of its own errors alone.
    let replaced = is_ours
        .then(|| block_on(plan.replace(replacing, request, &headers, &mut state, &Around::default())))
        .flatten();
    let ran: Vec<_> = state.log.iter().map(|(_, name)| name.clone()).collect();
    let by = replaced
        .as_ref()
        .map(|replaced| replaced.by.trim_start_matches("x/").to_owned());
    let got = json!({
        "status": replaced.map_or(status, |replaced| replaced.status),
        "reason": reason,
        "replacedBy": by,
        "ran": ran,
    });
    same("on-error", got, case.expect.clone())
}
