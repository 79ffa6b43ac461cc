//! One request: read strictly, in one canonical form, and as a backend gets it.

pub mod arriving;
pub mod connection;
pub mod credential;
pub mod door;
pub mod headers;
pub mod identity;
pub mod info;
pub mod path;
pub mod public;
pub mod repair;
pub mod rewritten;
pub mod sending;
pub mod strict;
pub mod target;
