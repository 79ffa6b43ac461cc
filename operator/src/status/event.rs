use std::collections::BTreeMap;

use genkan_compile::sentence::bounded;
use genkan_crds::condition::{extension, kind};
use genkan_routing::answer::escape;
use serde_json::Value;

use super::said;

/// What a transition is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub is_warning: bool,
    pub reason: String,
    pub note: Option<String>,
}

/// Reasons that tell of something that goes on as it should.
const UNDER_WAY: [&str; 2] = [extension::ROLLING_OUT, extension::AWAITING_APPROVAL];
/// Reason of the Event that tells of another revision.
const REVISION_CHANGED: &str = "RevisionChanged";
/// Reason of the Event that tells of requests of pages outside of their prefix.
const PREFIX_UNKNOWN: &str = "PrefixUnknown";
/// Bytes of a note; the API server takes 1,024.
const LONGEST: usize = 1000;

/// The Event that another revision of a GatewayExtension is worth: which, by whom, and what changes, by digest.
pub fn of_revision(before: &Value, after: &Value, manager: &str) -> Option<Event> {
    let revision = after["revision"].as_str()?;
    if before["revision"].as_str() == Some(revision) {
        return None;
    }
    let digests = |status: &Value| -> BTreeMap<String, String> {
        let entries = status["entries"].as_array().into_iter().flatten();
        let text = |entry: &Value, name: &str| Some(entry[name].as_str()?.to_owned());
        entries
            .filter_map(|entry| Some((text(entry, "name")?, text(entry, "digest")?)))
            .collect()
    };
    let (old, new) = (digests(before), digests(after));
    let changed = new.iter().filter(|(name, digest)| old.get(*name) != Some(digest));
    let changed = changed.map(|(name, digest)| format!("{name} {digest}"));
    let removed = old.keys().filter(|name| !new.contains_key(*name));
    let all: Vec<String> = changed
        .chain(removed.map(|name| format!("{name} removed")))
        .collect();
    let by = match manager {
        "" => String::new(),
        manager => format!(" by {manager}"),
    };
    let note = format!("revision {revision} is meant{by}: {}", all.join(", "));
    Some(Event {
        is_warning: false,
        reason: REVISION_CHANGED.to_owned(),
        note: Some(bounded(note, LONGEST)),
    })
}

/// The Event that requests outside of the prefix of a UI are worth, told when they are another than before.
pub fn of_escape(before: &Value, after: &Value) -> Option<Event> {
    let note = |status: &Value| {
        let conditions = status["conditions"].as_array();
        let ready = conditions?.iter().find(|c| c["type"] == kind::READY)?;
        let (_, note) = ready["message"].as_str()?.split_once("; ")?;
        note.contains(escape::MARK).then(|| note.to_owned())
    };
    let told = note(after).filter(|told| note(before).as_ref() != Some(told))?;
    Some(Event {
        is_warning: true,
        reason: PREFIX_UNKNOWN.to_owned(),
        note: Some(bounded(told, LONGEST)),
    })
}

/// The Event that a transition is worth: a condition that became false, or the object that became ready.
pub fn of(before: &Value, after: &Value) -> Option<Event> {
    let fell = [kind::ACCEPTED, kind::RESOLVED_REFS, kind::PROGRAMMED, kind::READY]
        .into_iter()
        .find(|kind| said(after, kind).0 == "False");
    if let Some(kind) = fell {
        let changed = said(before, kind) != said(after, kind);
        let is_warning = !UNDER_WAY.contains(&said(after, kind).1);
        return changed.then(|| event(is_warning, after, kind));
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
    fn escapes_are_told_when_they_are_others() {
        let status = |path: Option<&str>| {
            let escape = path.map(|path| escape::sentence("ui", path, "/proxy/ui", None));
            let message = format!("requests are answered; {}", escape.unwrap_or_default());
            json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": message}]})
        };
        let event = of_escape(&status(None), &status(Some("/x"))).unwrap();
        assert!(event.is_warning && event.reason == PREFIX_UNKNOWN, "{event:?}");
        assert_eq!(
            event.note.as_deref(),
            Some(
                "pages of ui ask for /x outside of /proxy/ui: the UI does not know its prefix; set its base path, or open it \
                 by host (genkan open /proxy/ui/)"
            )
        );
        assert!(of_escape(&status(Some("/x")), &status(Some("/x"))).is_none());
        assert!(of_escape(&status(Some("/x")), &status(None)).is_none());
        assert!(of_escape(&status(Some("/x")), &status(Some("/y"))).is_some());
    }

    #[test]
    fn another_revision_is_told_with_what_changes() {
        let status = |revision: &str, entries: &[(&str, &str)]| {
            let entries = entries.iter();
            let entries = entries.map(|(name, digest)| json!({"name": name, "digest": digest}));
            json!({"revision": revision, "entries": entries.collect::<Vec<_>>()})
        };
        let before = status(
            "corp-1",
            &[("a", "sha256:1"), ("b", "sha256:2"), ("c", "sha256:3")],
        );
        let after = status(
            "corp-2",
            &[("a", "sha256:1"), ("b", "sha256:4"), ("d", "sha256:5")],
        );
        let event = of_revision(&before, &after, "kubectl").unwrap();
        assert_eq!(
            (event.is_warning, event.note.as_deref()),
            (
                false,
                Some("revision corp-2 is meant by kubectl: b sha256:4, d sha256:5, c removed")
            )
        );
        assert!(of_revision(&after, &after, "kubectl").is_none());
        assert!(of_revision(&before, &json!({}), "kubectl").is_none());
        let event = of_revision(&Value::Null, &after, "").unwrap();
        assert!(event.note.unwrap().starts_with("revision corp-2 is meant: "));
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
