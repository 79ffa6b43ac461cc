//! Who calls, and what they may do: asked of the API server, and kept.
//!
//! A kept answer costs no `await`. Answers are bounded in number, in time and by who made us ask.

pub mod authorization;
mod bucket;
mod certificates;
mod decided;
pub mod decisions;
pub mod identity;
pub mod kubernetes;
pub mod login;

pub use authorization::{AccessReviewer, Authorization};
pub use certificates::{AuthorityError, CallerAuthorities, CallerCertificate};
pub use decided::{Decided, register};
pub use decisions::{Decisions, Key, Keys, Limits, Owner};
pub use identity::{Identity, Question, Recent, Step, Tokens, User};
pub use kubernetes::{ClusterSource, Kubernetes, SourceError, Unavailable};
