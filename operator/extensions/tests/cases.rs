//! Cases that the vectors do not have: real zips, joined entries, revisions.

#![allow(clippy::unwrap_used, reason = "what cannot be built must stop the run")]

#[path = "cases/archives.rs"]
mod archives;
#[path = "cases/converting.rs"]
mod converting;
#[path = "cases/joining.rs"]
mod joining;
#[path = "cases/rolling.rs"]
mod rolling;
#[path = "kit/zip.rs"]
mod zip;
