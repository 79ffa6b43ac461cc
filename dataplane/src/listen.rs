//! Where clients come in: sockets, TLS, the strict front, and how all of it ends.

pub mod drain;
pub mod front;
pub mod listening;
pub mod retreat;
