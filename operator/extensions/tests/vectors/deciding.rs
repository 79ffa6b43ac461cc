use genkan_extensions::Refused;
use genkan_extensions::rollout::{Config, Event, Machine};
use genkan_extensions::status::{self, Observed};
use serde_json::{Map, Value, json};

use crate::case::{Case, Outcome, compare, parsed, texts};

pub fn status(case: &Case) -> Outcome {
    let input = &case.input;
    let observed = Observed {
        entries: parsed(&input["entries"]),
        pods: input["pods"].as_u64().unwrap() as usize,
        rollout: input.get("rollout").map(parsed),
        archive_error: input.get("archiveError").map(parsed::<Refused>),
        unresolved: input.get("unresolved").map(parsed).unwrap_or_default(),
        skipped: texts(&input["skipped"]),
        converted_from_legacy: input["convertedFromLegacy"] == true,
    };
    let (conditions, columns) = status::status(&observed);
    let conditions: Map<String, Value> = conditions
        .into_iter()
        .map(|condition| {
            (
                condition.kind.to_owned(),
                serde_json::to_value(condition).unwrap(),
            )
        })
        .collect();
    compare(case, &json!({"conditions": conditions, "columns": columns}))
}

pub fn rollout(case: &Case) -> Outcome {
    let config: Config = parsed(&case.input["config"]);
    let mut machine = Machine::new(config);
    let mut actions = Vec::new();
    for text in texts(&case.input["events"]) {
        let done = machine.apply(event(&text));
        actions.extend(done.iter().map(ToString::to_string));
    }
    compare(case, &json!({"actions": actions, "state": machine.state()}))
}

fn event(text: &str) -> Event {
    let mut words = text.splitn(3, ' ');
    let kind = words.next().unwrap();
    let first = words.next().unwrap_or_default().to_owned();
    let rest = words.next();
    let pod = first.clone();
    match kind {
        "have" => Event::Have {
            pod,
            revision: rest.unwrap().to_owned(),
        },
        "start" => Event::Start {
            pod,
            age: rest.map(|age| age.parse().unwrap()),
        },
        "ready" => Event::Ready { pod },
        "unready" => Event::Unready { pod },
        "gone" => Event::Gone { pod },
        "revision" => Event::Revision(first),
        "approve" => Event::Approve(first),
        "pause" => Event::Pause,
        "resume" => Event::Resume,
        "drained" => Event::Drained { pod },
        "drain-timeout" => Event::DrainTimeout { pod },
        "applied" => Event::Applied { pod },
        "verified" => Event::Verified { pod },
        "soaked" => Event::Soaked { pod },
        "failed" => Event::Failed {
            pod,
            why: rest.unwrap_or_default().to_owned(),
        },
        "breach" => Event::Breach {
            pod,
            why: rest.map(str::to_owned),
        },
        "immediate" => Event::Immediate(first),
        "nack" => {
            let (digest, why) = rest.unwrap().split_once(' ').unwrap();
            Event::Nack {
                pod,
                digest: digest.to_owned(),
                why: why.to_owned(),
            }
        }
        "operator-restart" => Event::Restarted,
        other => panic!("event {other} is unknown"),
    }
}
