//! The pure part of the operator: objects are indexed and compiled to resources and verdicts. No client, no clock, no
//! runtime.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub mod compiler;
pub mod fetched;
pub mod index;
pub mod kinds;
pub mod named;
pub mod object;
pub mod sentence;
pub mod verdict;

pub use compiler::Compiler;
