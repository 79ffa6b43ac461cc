//! What holds for any input: nothing panics, limits hold, and a roll-out never takes two data planes at once.

#![allow(clippy::unwrap_used, reason = "what cannot be built must stop the run")]

#[path = "properties/hostile.rs"]
mod hostile;
#[path = "properties/rolling.rs"]
mod rolling;
#[path = "kit/zip.rs"]
mod zip;
