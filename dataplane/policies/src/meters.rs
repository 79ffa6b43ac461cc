//! What is counted of policies while they run.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::answer::{AnswerKind, PolicyAnswer};

/// What one step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Passed,
    /// A limit was passed that only warns.
    Warned,
    /// It answered, as it is there for.
    Responded,
    Refused,
    Failed,
    /// It failed, and the message went on.
    Skipped,
    /// It would have stopped the message, and is a shadow.
    Shadow,
}

/// Takes note of what steps of one policy come to.
pub trait Meter: fmt::Debug + Send + Sync {
    fn record(&self, decision: Decision, took: Duration);
}

/// Where each policy is counted, by the name that a step resolves to: `jwt`, `partner-orders@1.0.0`.
pub trait Meters: fmt::Debug + Send + Sync {
    fn of(&self, policy: &str) -> Arc<dyn Meter>;
}

/// How one extension does.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    errors: AtomicU64,
}

/// What a request met of extensions: a bit for each of its plan.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    met: u64,
    failed: u64,
}

// === impl Decision ===

impl Decision {
    pub const ALL: [Self; 7] = [
        Self::Passed,
        Self::Warned,
        Self::Responded,
        Self::Refused,
        Self::Failed,
        Self::Skipped,
        Self::Shadow,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Responded => "responded",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Shadow => "shadow",
        }
    }

    /// `has_failed`: it let something pass that it should have stopped.
    pub(crate) fn of(done: &Result<(), Box<PolicyAnswer>>, has_failed: bool, is_shadow: bool) -> Self {
        match done {
            Ok(()) if !has_failed => Self::Passed,
            Ok(()) | Err(_) if is_shadow => Self::Shadow,
            Ok(()) => Self::Skipped,
            Err(answer) => match answer.kind {
                AnswerKind::Responded => Self::Responded,
                AnswerKind::Refused => Self::Refused,
                AnswerKind::Failed => Self::Failed,
            },
        }
    }
}

// === impl Tally ===

impl Tally {
    /// Requests that met a step of it.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Those in which one failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

// === impl Marks ===

impl Marks {
    pub(crate) fn meet(&mut self, mark: u64) {
        self.met |= mark;
    }

    pub(crate) fn fail(&mut self, mark: u64) {
        self.failed |= mark;
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.met |= other.met;
        self.failed |= other.failed;
    }

    pub(crate) fn account(self, tallies: &[Arc<Tally>]) {
        for (bit, tally) in tallies.iter().enumerate() {
            if self.met >> bit & 1 == 1 {
                tally.requests.fetch_add(1, Ordering::Relaxed);
                tally.errors.fetch_add(self.failed >> bit & 1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_for_each_extension_that_it_met() {
        let tallies: [Arc<Tally>; 3] = Default::default();
        let mut marks = Marks::default();
        marks.meet(0);
        marks.meet(0b001);
        marks.meet(0b001);
        marks.meet(0b100);
        marks.fail(0b100);
        marks.fail(0);
        marks.account(&tallies);
        marks.account(&tallies);
        let counted = tallies.map(|tally| (tally.requests(), tally.errors()));
        assert_eq!(counted, [(2, 0), (0, 0), (2, 2)]);
    }

    #[test]
    fn what_a_step_came_to_has_one_name() {
        let answer = |kind| Err(Box::new(PolicyAnswer::new(kind, 500, "X")));
        for (done, has_failed, is_shadow, expected) in [
            (Ok(()), false, false, Decision::Passed),
            (Ok(()), true, false, Decision::Skipped),
            (Ok(()), false, true, Decision::Passed),
            (answer(AnswerKind::Refused), false, true, Decision::Shadow),
            (answer(AnswerKind::Responded), false, false, Decision::Responded),
            (answer(AnswerKind::Refused), false, false, Decision::Refused),
            (answer(AnswerKind::Failed), true, false, Decision::Failed),
        ] {
            assert_eq!(Decision::of(&done, has_failed, is_shadow), expected);
        }
    }
}
