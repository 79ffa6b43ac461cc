//! What must hold for every input, beside a naive reading of the same rules. Paths, heads and directives are fuzzed in
//! `e2e/tests/fuzz.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[path = "properties/directives.rs"]
mod directives;
#[path = "properties/precedence.rs"]
mod precedence;
#[path = "properties/routes.rs"]
mod routes;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Up to `most` of these parts, one after the other.
fn joined(parts: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec(select(parts), 0..=most).prop_map(|parts| parts.concat())
}
