//! What comes from outside is read by these parsers; whatever it is, they neither panic nor take long, and what they accept
//! has one meaning. Each starts from the vectors and manifests of the tree and edits them.
//!
//! `make fuzz` gives each of them ten minutes, `make test` some seconds. A failure prints the shortest input that it was
//! brought down to; as a file in `e2e/tests/fuzz/found/` it is judged by its target in every run.

#![allow(clippy::unwrap_used, reason = "a seed that cannot be read fails the test")]

#[path = "fuzz/directives.rs"]
mod directives;
#[path = "fuzz/frames.rs"]
mod frames;
#[path = "fuzz/heads.rs"]
mod heads;
#[path = "fuzz/manifests.rs"]
mod manifests;
#[path = "fuzz/paths.rs"]
mod paths;
#[path = "fuzz/seeds.rs"]
mod seeds;
#[path = "fuzz/target.rs"]
mod target;
