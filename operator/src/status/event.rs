use genkan_crds::condition::kind;
use serde_json::Value;

use super::said;

/// What a transition is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub is_warning: bool,
    pub reason: String,
    pub note: Option<String>,
}

/// The Event that a transition is worth: a condition that became false, or the object that became ready.
pub fn of(before: &Value, after: &Value) -> Option<Event> {
    let fell = [kind::ACCEPTED, kind::RESOLVED_REFS, kind::PROGRAMMED, kind::READY]
        .into_iter()
        .find(|kind| said(after, kind).0 == "False");
    if let Some(kind) = fell {
        let changed = said(before, kind) != said(after, kind);
        return changed.then(|| event(true, after, kind));
    }
    let became_ready = said(after, kind::READY).0 == "True" && said(before, kind::READY).0 != "True";
    became_ready.then(|| event(false, after, kind::READY))
}

fn event(is_warning: bool, status: &Value, kind: &str) -> Event {
    let conditions = status["conditions"].as_array();
    let note = conditions
        .and_then(|all| all.iter().find(|c| c["type"] == kind))
        .map(|c| &c["message"]);
    Event {
        is_warning,
        reason: said(status, kind).1.to_string(),
        note: note.and_then(Value::as_str).map(str::to_string),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mk_status(accepted: &str, ready: &str, reason: &str) -> Value {
        json!({"conditions": [
            {"type": "Accepted", "status": accepted, "reason": reason, "message": "m"},
            {"type": "Ready", "status": ready, "reason": reason, "message": "m"},
        ]})
    }

    #[test]
    fn only_transitions_are_told() {
        let (good, bad) = (
            mk_status("True", "True", "Ready"),
            mk_status("False", "False", "Invalid"),
        );
        assert_eq!(of(&Value::Null, &good).unwrap().reason, "Ready");
        assert!(of(&good, &good).is_none());
        let event = of(&good, &bad).unwrap();
        assert_eq!(
            (event.is_warning, event.reason.as_str(), event.note.as_deref()),
            (true, "Invalid", Some("m"))
        );
        assert!(of(&bad, &bad).is_none());
        assert!(of(&bad, &mk_status("False", "False", "Conflicted")).is_some());
        assert!(of(&good, &mk_status("True", "Unknown", "Pending")).is_none());
    }
}
