use std::sync::Arc;

use crate::class::{Class, Coming, Reading, Touches};
use crate::exchange::{Exchange, State};
use crate::link::Description;
use crate::meters::Tally;
use crate::on_error::ErrorHook;
use crate::outside::Outside;
use crate::run::{Outcome, run_steps};
use crate::step::Step;

/// What is done to the requests of one object, and to their answers.
#[derive(Debug, Default)]
pub struct Plan {
    /// Hooks in front of the access review, and `cors`. No step of it reads a body.
    pub before_review: Chain,
    /// Hooks behind it, and the steps of the object.
    pub after_review: Chain,
    /// Hooks on the head that the backend will see.
    pub post_request: Chain,
    /// The steps of the object for answers.
    pub response: Chain,
    /// Hooks on the answer that the client will see.
    pub post_response: Chain,
    pub(crate) on_error: Box<[ErrorHook]>,
    pub(crate) touches: Touches,
    pub(crate) claims_authorization: bool,
    pub(crate) description: Description,
    /// Of the extensions that its steps are of, by their bits.
    pub(crate) tallies: Box<[Arc<Tally>]>,
}

/// The steps of one place, in their order.
#[derive(Debug, Default)]
pub struct Chain {
    pub(crate) steps: Box<[Step]>,
}

// === impl Plan ===

impl Plan {
    /// Nothing would be done.
    pub fn is_empty(&self) -> bool {
        let chains = [
            &self.before_review,
            &self.after_review,
            &self.post_request,
            &self.response,
            &self.post_response,
        ];
        chains.iter().all(|chain| chain.is_empty()) && self.on_error.is_empty()
    }

    /// One of its steps judges `Authorization`, so nobody else is asked about it.
    pub fn claims_authorization(&self) -> bool {
        self.claims_authorization
    }

    pub fn class(&self) -> Class {
        self.touches.class()
    }

    /// How this request is served, or why it cannot be.
    pub fn class_for(&self, reading: &Reading<'_>) -> Coming {
        self.touches.coming(reading)
    }

    /// The steps of the plan, and those of genkan itself.
    pub fn describe(&self) -> &Description {
        &self.description
    }

    /// There are steps for the answer, so it has to pass by.
    pub fn is_for_responses(&self) -> bool {
        !self.response.is_empty() || !self.post_response.is_empty()
    }

    /// The request is over: it counts for the extensions of which it met a step.
    pub fn account(&self, state: &State) {
        state.marks.account(&self.tallies);
    }

    /// There is a hook for errors.
    pub fn is_for_errors(&self) -> bool {
        !self.on_error.is_empty()
    }
}

// === impl Chain ===

impl Chain {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// It never suspends unless a step waits for something outside.
    pub async fn run(&self, exchange: &mut Exchange<'_>, outside: &dyn Outside) -> Outcome {
        match run_steps(&self.steps, exchange, outside).await {
            Ok(()) => Outcome::Forward,
            Err(answer) => Outcome::Answer(answer),
        }
    }
}
