use genkan_routing::model::{BackendState, Escape, Health, Objection, Use};
use prost::Message;

use super::object;
use crate::v1alpha1::health::State;
use crate::v1alpha1::verdict::Severity;
use crate::v1alpha1::{self as wire, ResourceRef, Verdict};

pub fn health_to_wire(health: &Health) -> wire::Health {
    let state = match health.state {
        BackendState::Reachable => State::Reachable,
        BackendState::Unresolved => State::Unresolved,
        BackendState::Unreachable => State::Unreachable,
        BackendState::TlsFailed => State::TlsFailed,
    };
    wire::Health {
        resource: Some(object::to_wire(&health.object)),
        state: state.into(),
        error: health.error.clone(),
    }
}

/// `None` if it says nothing that this version understands.
pub fn health_from_wire(health: wire::Health) -> Option<Health> {
    let state = match health.state() {
        State::Unspecified => return None,
        State::Reachable => BackendState::Reachable,
        State::Unresolved => BackendState::Unresolved,
        State::Unreachable => BackendState::Unreachable,
        State::TlsFailed => BackendState::TlsFailed,
    };
    Some(Health {
        object: object::from_wire(health.resource?).ok()?,
        state,
        error: health.error,
    })
}

/// How many bytes a message of reports has.
pub fn reports_len(reports: &impl Message) -> usize {
    reports.encoded_len()
}

pub fn uses_to_wire(uses: &[Use], escapes: &[Escape]) -> wire::Used {
    let used = |used: &Use| wire::Use {
        resource: Some(object::to_wire(&used.object)),
        at: used.at,
    };
    let escape = |escape: &Escape| wire::Escape {
        resource: Some(object::to_wire(&escape.object)),
        path: escape.path.clone(),
        count: escape.count,
    };
    wire::Used {
        uses: uses.iter().map(used).collect(),
        escapes: escapes.iter().map(escape).collect(),
    }
}

/// Those of objects that this version knows.
pub fn uses_from_wire(used: wire::Used) -> (Vec<Use>, Vec<Escape>) {
    let used_of = |used: wire::Use| {
        Some(Use {
            object: object::from_wire(used.resource?).ok()?,
            at: used.at,
        })
    };
    let escape_of = |escape: wire::Escape| {
        Some(Escape {
            object: object::from_wire(escape.resource?).ok()?,
            path: escape.path,
            count: escape.count,
        })
    };
    let uses = used.uses.into_iter().filter_map(used_of).collect();
    (uses, used.escapes.into_iter().filter_map(escape_of).collect())
}

pub fn objection_to_wire(objection: &Objection) -> Verdict {
    let Objection {
        object,
        reason,
        message,
        entry,
    } = objection;
    Verdict {
        entry: entry.clone().unwrap_or_default(),
        ..error_verdict(object::to_wire(object), reason, message)
    }
}

/// `None` if it is no more than a warning, or about nothing that this version publishes.
pub fn objection_from_wire(verdict: Verdict) -> Option<Objection> {
    if verdict.severity() != Severity::Error {
        return None;
    }
    Some(Objection {
        object: object::from_wire(verdict.resource?).ok()?,
        reason: verdict.reason,
        message: verdict.message,
        entry: Some(verdict.entry).filter(|entry| !entry.is_empty()),
    })
}

pub(super) fn error_verdict(object: ResourceRef, reason: &str, message: &str) -> Verdict {
    Verdict {
        resource: Some(object),
        severity: Severity::Error.into(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        entry: String::new(),
    }
}
