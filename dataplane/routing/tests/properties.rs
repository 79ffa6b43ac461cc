//! What must hold for every input: judged on seeded random ones, beside a naive reading of the same rules.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[path = "properties/directives.rs"]
mod directives;
#[path = "properties/paths.rs"]
mod paths;
#[path = "properties/precedence.rs"]
mod precedence;
#[path = "properties/random.rs"]
mod random;
#[path = "properties/routes.rs"]
mod routes;
