//! genkan data plane.

pub mod front;
