use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use genkan_routing::model::policy::{Direction, FailurePolicy, Mode, OnError};
use serde_json::{Map, Value};

use crate::answer::PolicyAnswer;
use crate::builtins::{Basic, Jwt};
use crate::condition::Condition;
use crate::exchange::Exchange;
use crate::expr::Expr;
use crate::failure::{Event, PROTECTIVE};
use crate::glob::Glob;
use crate::meters::Meter;
use crate::schema::Schema;
use crate::template::Json;

/// A step, ready to run.
#[derive(Debug)]
pub(crate) struct Step {
    /// `EXT/ENTRY/STEP`, or `ReverseProxy shop/policies[1]`.
    pub(crate) label: Arc<str>,
    /// The built-in, or the definition.
    pub(crate) uses: Arc<str>,
    pub(crate) when: Option<Expr>,
    pub(crate) on: Direction,
    pub(crate) mode: Mode,
    pub(crate) on_error: Option<OnError>,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) is_allowed_to_fail_open: bool,
    /// A step inside of it protects, and must not be skipped with it.
    pub(crate) has_protective: bool,
    /// How long it may take.
    pub(crate) timeout: Option<Duration>,
    pub(crate) action: Action,
    /// Where it is counted.
    pub(crate) meter: Option<Arc<dyn Meter>>,
    /// The bit of the extension that it is of; 0: of none.
    pub(crate) mark: u64,
}

pub(crate) enum Action {
    /// It needs nobody else.
    Plain(Box<dyn Act>),
    Jwt(Box<Jwt>),
    Basic(Box<Basic>),
    Switch(Box<[Case]>),
    Definition(Arc<Definition>),
}

/// What a step does that needs nobody else.
pub(crate) trait Act: fmt::Debug + Send + Sync {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop>;
}

/// When that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Since 1970.
    pub(crate) now: Duration,
    /// By a clock that never goes back.
    pub(crate) elapsed: Duration,
}

/// A branch of `switch`; without a condition it is the last.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) when: Option<Condition>,
    pub(crate) steps: Box<[Step]>,
}

/// The steps of a PolicyDefinition, for one direction.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) params: Params,
    pub(crate) steps: Box<[Step]>,
    pub(crate) catch: Box<[CatchSteps]>,
    pub(crate) finally: Box<[Step]>,
}

#[derive(Debug)]
pub(crate) enum Params {
    Fixed(Arc<Map<String, Value>>),
    /// For each request, by the schema of the definition.
    Computed(Json, Option<Schema>),
}

#[derive(Debug)]
pub(crate) struct CatchSteps {
    pub(crate) errors: Box<[Glob]>,
    pub(crate) steps: Box<[Step]>,
}

/// Why a step does not let the message go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It answers, or refuses.
    Answer(Box<PolicyAnswer>),
    Failed(Box<Failed>),
}

/// No verdict could be reached.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) event: Event,
    /// For the log only.
    pub(crate) detail: String,
}

// === impl Step ===

impl Step {
    /// Whatever fails in it, the message does not go on without it.
    pub(crate) fn protects(&self) -> bool {
        self.has_protective || (PROTECTIVE.contains(&&*self.uses) && !self.is_allowed_to_fail_open)
    }
}

// === impl Stop ===

impl Stop {
    /// An error inside of the step.
    pub(crate) fn error(detail: impl Into<String>) -> Self {
        Self::failed(Event::Error(None), detail)
    }

    /// One with a reason of its own.
    pub(crate) fn error_of(
        status: u16,
        reason: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self::failed(Event::Error(Some((status, reason.into()))), detail)
    }

    pub(crate) fn failed(event: Event, detail: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failed {
            event,
            detail: detail.into(),
        }))
    }
}

impl From<PolicyAnswer> for Stop {
    fn from(answer: PolicyAnswer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

/// Expressions and templates fail with a sentence.
impl From<String> for Stop {
    fn from(detail: String) -> Self {
        Self::error(detail)
    }
}

// === impl Action ===

impl Action {
    /// One of the steps inside of it protects.
    pub(crate) fn has_protective(&self) -> bool {
        let any = |steps: &[Step]| steps.iter().any(Step::protects);
        match self {
            Self::Plain(_) | Self::Jwt(_) | Self::Basic(_) => false,
            Self::Switch(cases) => cases.iter().any(|case| any(&case.steps)),
            Self::Definition(definition) => {
                any(&definition.steps) || definition.catch.iter().any(|catch| any(&catch.steps))
            }
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(..)",
            Self::Jwt(_) => "Jwt(..)",
            Self::Basic(_) => "Basic(..)",
            Self::Switch(_) => "Switch(..)",
            Self::Definition(_) => "Definition(..)",
        })
    }
}
