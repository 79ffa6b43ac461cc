//! Policies of gateway extensions: steps are linked into plans, and plans run on requests and answers.
//!
//! No I/O of its own, no clock and no runtime: what is needed from outside is behind [`Outside`], and a plan suspends only
//! where one of its steps really has to wait for that. [`link()`] makes a [`Plan`] of the steps of an object and of the
//! [`World`] around it; [`Chain::run`] applies one place of it to an [`Exchange`].
//!
//! | in the life of a request | of the plan |
//! | --- | --- |
//! | the route is known | [`Plan::claims_authorization`]: nobody else is asked about the token |
//! | in front of the access review | [`Plan::before_review`], on the head alone |
//! | behind it | [`Plan::class_for`]: whether the body is read first; then [`Plan::after_review`] |
//! | the head for the backend is made | [`Plan::post_request`] |
//! | the head of the answer has come | [`Plan::response`], and behind genkan's own rules [`Plan::post_response`] |
//! | genkan answers with an error of its own | [`Plan::replace`] |
//!
//! What a request carries from place to place is its [`State`]: there are the query and the body if they were changed, who was
//! found to call, fields for the log, and [`Later`] what the head of the answer gets, whoever gives it. Where a plan is of
//! [`Class::EarlyBody`], a request without a body has an empty one: a step that looks at a body that was not read fails.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

mod answer;
mod builtins;
mod class;
mod condition;
mod exchange;
mod expr;
pub mod failure;
mod glob;
mod json;
mod jsonata;
mod keys;
mod limiters;
mod link;
mod meters;
mod on_error;
mod openapi;
mod outside;
mod places;
mod plan;
mod rego;
mod run;
mod schema;
mod step;
mod template;
mod world;

pub use answer::{AnswerBody, AnswerKind, Cause, PolicyAnswer};
pub use builtins::is_name as is_builtin;
pub use class::{Class, Coming, EARLY_BODY, Reading, body_too_long};
pub use exchange::Later;
pub use exchange::{Auth, Caller, Certificate, Exchange, Headers, Identity, Request, Source, Stage, State};
pub use keys::check_keys;
pub use limiters::Limiters;
pub use link::{
    Described, Description, Problem, ProblemReason, check, check_hook, claims_authorization, class_of,
    coming_for, describe, link, link_stub, resolves, uses_in_definition, uses_in_hook, uses_of,
};
pub use meters::{Decision, Meter, Meters, Tally};
pub use on_error::{Replaced, Replacing};
pub use outside::{Job, Outside, Unreachable, Waiting};
pub use plan::{Chain, Plan};
pub use run::Outcome;
pub use world::{Alias, Aliases, EntryFacts, Files, NamedHook, NamedOverride, ObjectFacts, World};
