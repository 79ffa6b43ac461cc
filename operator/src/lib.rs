//! The operator of genkan: watch → index → compile → serve; verdicts and acknowledgements → status.

pub mod admin;
pub mod assess;
pub mod cli;
pub mod compile;
pub mod definitions;
pub mod engine;
pub mod explain;
pub mod fleet;
pub mod index;
pub mod lease;
pub mod lint;
pub mod local_proxy;
pub mod metrics;
pub mod named;
pub mod object;
pub mod operator;
pub mod pki;
pub mod sentence;
pub mod serve;
pub mod snapshot;
pub mod source;
pub mod status;
pub mod verdict;
