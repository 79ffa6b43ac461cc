//! The data plane of genkan: takes compiled routes from the operator and forwards requests.

pub mod access;
pub mod admin;
pub mod answer;
pub mod bucket;
pub mod cli;
pub mod context;
pub mod decisions;
pub mod drain;
pub mod endpoints;
pub mod front;
pub mod health;
pub mod kubernetes;
pub mod listening;
pub mod log;
pub mod metrics;
pub mod names;
pub mod net;
pub mod process;
pub mod proxy;
pub mod recovery;
pub mod rewriting;
pub mod roots;
pub mod stream;
pub mod tables;
pub mod upstream;
