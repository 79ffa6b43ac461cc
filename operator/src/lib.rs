//! The operator of genkan: watch → index → compile → serve; verdicts and acknowledgements → status.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub mod admin;
pub mod assess;
pub mod budgets;
pub mod cli;
pub mod definitions;
pub mod duties;
pub mod engine;
pub mod extensions;
pub mod fetching;
pub mod fleet;
pub mod input;
pub mod lease;
pub mod metrics;
pub mod operator;
pub mod pki;
pub mod revisions;
pub mod rollouts;
pub mod serve;
pub mod snapshot;
pub mod source;
pub mod status;
pub mod wanted;
