//! What the operator sends: the stream, the tables made of it, and what is kept of it.

pub mod duties;
pub mod last_known_good;
pub mod rollouts;
pub mod stream;
pub mod tables;
pub mod usage;
