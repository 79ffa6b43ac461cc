//! The data plane of genkan: takes compiled routes from the operator and forwards requests.

pub mod admin;
pub mod callers;
pub mod cli;
pub mod config;
pub mod files;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod process;
pub mod proxy;
pub mod roots;
pub mod tasks;
mod timestamp;
pub mod upstream;

pub use config::{duties, last_known_good, rollouts, stream, tables, usage};
pub use listen::{drain, front, listening, retreat};
pub use proxy::{access, address, answer, context, request_id, rewriting};
pub use upstream::{authority, client_certificate, endpoints, health, names, net, recovery};
