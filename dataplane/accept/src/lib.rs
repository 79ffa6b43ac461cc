//! How both programs accept connections: each has a place among a bounded number, and waits for nothing without a limit.
//!
//! A connection *waits* whenever nothing of its peer's is being answered: before and within a handshake, before and within
//! a head, between requests. All of that is limited by one clock, and where places run out, who has waited longest goes
//! first: whoever says nothing never keeps out those who do. What is being answered has the deadlines of the server that
//! answers it.

mod files;
mod listener;
mod places;
mod serve;

pub use files::{raise_limit, share};
pub use listener::accept;
pub use places::{Call, Closed, Place, Places, Shares};
pub use serve::serve_http1;
