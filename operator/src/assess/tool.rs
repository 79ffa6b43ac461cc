//! Connectors and their classes keep the conditions that they are documented with, and the rule by which `Ready` follows.

use genkan_compile::verdict::{Finding, ToolCondition, ToolVerdict, Verdict};
use genkan_crds::condition::connector::{kind as tool, reason as because, severity};
use genkan_crds::condition::{kind, reason};
use genkan_routing::model::Published;
use serde_json::{Value, json};

use super::{Assessment, stored_condition};

const CREDENTIAL: &str = "credential";
const LAST_USED: &str = "lastUsed";
/// Seconds between two writes for want of anything else.
const USE: i64 = 300;

/// Of one that no proxy is sent.
pub(super) fn unsent(verdict: &Verdict) -> Vec<ToolCondition> {
    let no = Finding::no(
        verdict.accepted.reason,
        format!("sent to no proxy: {}", verdict.accepted.message),
    );
    conditions(verdict, &no, &no)
}

/// `ready` is what is known of the backend of a class.
pub(super) fn conditions(verdict: &Verdict, programmed: &Finding, ready: &Finding) -> Vec<ToolCondition> {
    let Some(said) = &verdict.tool else {
        return Vec::new();
    };
    let of = |kind, finding: &Finding| match (finding.ok, finding.reason) {
        (true, _) => ToolCondition {
            message: finding.message.clone(),
            ..ToolCondition::yes(kind, finding.reason)
        },
        (false, reason::PENDING) => ToolCondition::unknown(kind, finding.reason, finding.message.as_str()),
        (false, _) => ToolCondition::no(kind, finding.reason, finding.message.as_str()),
    };
    let mut all = vec![
        of(kind::ACCEPTED, &verdict.accepted),
        of(kind::PROGRAMMED, programmed),
    ];
    all.extend(said.conditions.iter().map(|condition| {
        // Whether the API of a class can be reached is also what its endpoints say, and requests find out.
        let is_said_to_work = condition.is_true == Some(true) && condition.reason.is_empty();
        let is_checked = condition.is_true.is_none() && condition.reason == because::CHECKING;
        let depends = condition.kind == tool::API_READY && (is_said_to_work || is_checked);
        match depends && verdict.accepted.ok && programmed.ok && !ready.ok {
            true if ready.reason == reason::PENDING => {
                ToolCondition::unknown(condition.kind, because::CHECKING, ready.message.as_str())
            }
            true => ToolCondition::no(condition.kind, ready.reason, ready.message.as_str()),
            false => condition.clone(),
        }
    }));
    all.sort_by_key(|condition| condition.kind);
    all
}

/// The status to be written. Times of conditions whose status stays are kept from what is stored.
pub(super) fn status(
    assessment: &Assessment,
    verdict: &Verdict,
    said: &ToolVerdict,
    stored: &Value,
    now: jiff::Timestamp,
) -> Value {
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let time = |condition: &ToolCondition| {
        let same =
            stored_condition(stored, condition.kind).filter(|c| c["status"] == word(condition.is_true));
        let time = same.and_then(|c| c["lastTransitionTime"].as_str());
        time.unwrap_or(&now).to_owned()
    };
    let summary = summary(&assessment.tool, time);
    let mut all: Vec<&ToolCondition> = assessment.tool.iter().chain([&summary]).collect();
    all.sort_by_key(|condition| condition.kind);
    let conditions: Vec<Value> = all
        .into_iter()
        .map(|condition| {
            let mut made = json!({
                "type": condition.kind, "status": word(condition.is_true), "reason": condition.reason,
                "message": condition.message, "observedGeneration": verdict.object.generation,
                "lastTransitionTime": time(condition),
            });
            if !condition.counts {
                made["severity"] = severity::INFO.into();
            }
            made
        })
        .collect();
    let mut status = json!({"observedGeneration": verdict.object.generation, "conditions": conditions});
    if verdict.object.key.kind == Published::Connector {
        status["proxies"] = assessment.proxies.clone().into();
    }
    for (name, value) in &said.status {
        status[name] = value.clone();
    }
    if let Some(credential) = status.get_mut(CREDENTIAL) {
        let stored = stored[CREDENTIAL][LAST_USED].as_str();
        if let Some(used) = last_used(assessment.used_at, stored) {
            credential[LAST_USED] = used.into();
        }
    }
    if let Some(status) = status.as_object_mut()
        && status.get(CREDENTIAL) == Some(&json!({}))
    {
        status.remove(CREDENTIAL);
    }
    status
}

/// What is stored stays until it is so much older: a use is not worth a write.
fn last_used(known: Option<u64>, stored: Option<&str>) -> Option<String> {
    let at = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let known = known.and_then(|seconds| jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok());
    let is_fresh = |known: jiff::Timestamp| {
        let stored = stored.and_then(at);
        stored.is_none_or(|stored| known.as_second() - stored.as_second() >= USE)
    };
    match known.filter(|known| is_fresh(*known)) {
        Some(known) => Some(known.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        None => stored.map(ToOwned::to_owned),
    }
}

/// A False one, of several the newest; else an Unknown one; else all is well.
fn summary(all: &[ToolCondition], time: impl Fn(&ToolCondition) -> String) -> ToolCondition {
    let counting = || all.iter().filter(|condition| condition.counts);
    let of = |found: &ToolCondition| ToolCondition {
        kind: kind::READY,
        ..found.clone()
    };
    // Of equally old ones the first: accepted comes before what cannot be known without it.
    let newest = counting()
        .filter(|condition| condition.is_true == Some(false))
        .rev()
        .max_by_key(|condition| time(condition));
    let found = newest.or_else(|| counting().find(|condition| condition.is_true.is_none()));
    found.map_or_else(|| ToolCondition::yes(kind::READY, ""), of)
}

fn word(is_true: Option<bool>) -> &'static str {
    match is_true {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_written_every_five_minutes_at_most() {
        let old = Some("2026-01-02T03:04:05Z");
        let at = 1_767_323_045;
        for (known, stored, expected) in [
            (None, None, None),
            (None, old, old),
            (Some(at), None, old),
            (Some(at + 299), old, old),
            (Some(at + 300), old, Some("2026-01-02T03:09:05Z")),
            (Some(at - 1), old, old),
            (Some(at), Some("once"), old),
        ] {
            assert_eq!(
                last_used(known, stored).as_deref(),
                expected,
                "{known:?} {stored:?}"
            );
        }
    }

    #[test]
    fn ready_follows_by_the_documented_rule() {
        let (yes, no, unknown) = (
            || ToolCondition::yes(tool::SECRET_READY, ""),
            |kind, reason| ToolCondition::no(kind, reason, "m"),
            || ToolCondition::unknown(tool::AUTH_READY, because::CHECKING, "m"),
        );
        let at = |condition: &ToolCondition| match condition.kind {
            tool::LIVENESS_READY => "2".to_owned(),
            _ => "1".to_owned(),
        };
        let said = |all: &[ToolCondition]| {
            let ready = summary(all, at);
            (ready.is_true, ready.reason)
        };
        let live = || no(tool::LIVENESS_READY, because::CONNECTION_FAILED);
        let class = || no(tool::CONNECTOR_CLASS_READY, because::CONNECTOR_CLASS_NOT_FOUND);
        assert_eq!(said(&[yes()]), (Some(true), ""));
        assert_eq!(said(&[yes(), unknown()]), (None, because::CHECKING));
        assert_eq!(
            said(&[unknown(), class()]),
            (Some(false), because::CONNECTOR_CLASS_NOT_FOUND)
        );
        assert_eq!(
            said(&[class(), live()]),
            (Some(false), because::CONNECTION_FAILED)
        );
        assert_eq!(said(&[yes(), live().of_information()]), (Some(true), ""));
    }
}
