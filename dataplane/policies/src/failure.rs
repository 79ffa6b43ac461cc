//! What becomes of a message when a step does not succeed.

use std::borrow::Cow;

use genkan_routing::answer::reason;
use genkan_routing::model::policy::{Direction, FailurePolicy, Mode, OnError};

/// A refusal is a verdict; everything else means that none could be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Refusal {
        status: u16,
        reason: Cow<'static, str>,
    },
    /// Inside of the step, with its own status and reason where it has them.
    Error(Option<(u16, Cow<'static, str>)>),
    Timeout,
    Unreachable,
    /// It is not on this data plane.
    NotLoaded,
    BreakerOpen,
    /// The body is above the limit of the step.
    Budget,
    /// The memory for bodies is used up.
    PodBudget,
}

/// A step that did not succeed.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The built-in.
    pub uses: &'a str,
    pub event: Event,
    pub on: Direction,
    pub on_error: Option<OnError>,
    pub failure_policy: FailurePolicy,
    /// A GatewayExtension allows this built-in to fail open.
    pub is_allowed_to_fail_open: bool,
    /// A step inside of it protects a backend.
    pub has_protective: bool,
    pub mode: Mode,
}

/// What becomes of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Answer { status: u16, reason: Cow<'static, str> },
    Continue(Counted),
}

/// As what it is counted where the message goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Error,
    Shadow,
}

/// What protects a backend, and so is skipped only where an administrator allows it.
pub const PROTECTIVE: [&str; 13] = [
    "antivirus",
    "apiKey",
    "authorize",
    "basic",
    "decrypt",
    "extAuth",
    "filter",
    "hmac",
    "introspect",
    "jwt",
    "mtls",
    "validateSchema",
    "verifySignature",
];

/// What asks somebody else.
const CALL_OUTS: [&str; 8] = [
    "antivirus",
    "call",
    "enrich",
    "extAuth",
    "extProc",
    "introspect",
    "jwt",
    "tokenExchange",
];

// === impl Case ===

impl Case<'_> {
    /// An error of it could be skipped, if the step says so.
    pub(crate) fn is_skippable(&self) -> bool {
        let is_open = !PROTECTIVE.contains(&self.uses) || self.is_allowed_to_fail_open;
        is_open
            && !self.has_protective
            && !matches!(
                self.event,
                Event::Refusal { .. } | Event::Budget | Event::PodBudget
            )
    }

    /// The message never goes on, whoever catches it: the verdict of what protects, or that there is none of it.
    pub(crate) fn is_final(&self) -> bool {
        let is_protective = PROTECTIVE.contains(&self.uses);
        match self.event {
            Event::Budget | Event::PodBudget => true,
            Event::Refusal { .. } => is_protective || self.has_protective,
            Event::Error(_) | Event::Timeout | Event::Unreachable | Event::NotLoaded | Event::BreakerOpen => {
                self.has_protective || (is_protective && !self.is_allowed_to_fail_open)
            }
        }
    }
}

/// The one table of failures.
pub fn outcome(case: &Case<'_>) -> Verdict {
    if case.mode == Mode::Shadow {
        return Verdict::Continue(Counted::Shadow);
    }
    let wants_on = match case.on_error {
        Some(OnError::Continue) => true,
        Some(OnError::Fail) => false,
        None => case.failure_policy == FailurePolicy::FailOpen,
    };
    let is_response = case.on == Direction::Response;
    let of_message = |status: u16| if is_response { 502 } else { status };
    if wants_on && case.is_skippable() {
        return Verdict::Continue(Counted::Error);
    }
    let (status, reason) = match &case.event {
        Event::Refusal { status, reason } => (of_message(*status), reason.clone()),
        Event::Error(Some((status, reason))) => (of_message(*status), reason.clone()),
        Event::Error(None) => (of_message(500), reason::POLICY_FAILED.into()),
        Event::Timeout if CALL_OUTS.contains(&case.uses) => (504, reason::CALL_TIMEOUT.into()),
        Event::Timeout => (500, reason::POLICY_TIMEOUT.into()),
        Event::Unreachable => (503, reason::CALL_FAILED.into()),
        Event::NotLoaded | Event::BreakerOpen => (503, reason::EXTENSION_UNAVAILABLE.into()),
        Event::Budget => (of_message(413), reason::BODY_TOO_LARGE.into()),
        Event::PodBudget => (503, reason::BODY_MEMORY_EXHAUSTED.into()),
    };
    Verdict::Answer { status, reason }
}
