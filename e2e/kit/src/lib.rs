//! What tests and benchmarks speak HTTP with, each of it once. It hides nothing: what was sent is what was written, and
//! every failure is seen. Nothing here knows the programs that it is pointed at.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "it is part of tests alone, and fails them"
)]

pub mod deaf;
pub mod http1;
pub mod http2;
pub mod reviewer;
pub mod wire;
