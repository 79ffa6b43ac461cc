//! The pure part of the data plane: what a request means, which object takes it and what its backend is sent.
//!
//! No I/O, no clock, no async. The data plane serves with this library and the operator answers questions with it, so that
//! a question asked offline is answered by the code that serves.

pub mod access;
pub mod answer;
pub mod arriving;
pub mod connection;
pub mod credential;
pub mod decide;
pub mod dialling;
pub mod directives;
pub mod endpoint;
pub mod headers;
pub mod identity;
pub mod info;
pub mod links;
pub mod matcher;
pub mod model;
pub mod path;
pub mod precedence;
pub mod redirect;
mod reference;
pub mod repair;
pub mod sending;
pub mod strict;
pub mod table;
pub mod target;
pub mod version;

pub use answer::{Refused, Status};
pub use directives::{DirectiveSpec, Directives, Input, Outgoing, Problem, RewriteError};
pub use endpoint::{Endpoint, EndpointError, Scheme, service_of_host};
pub use headers::{HeaderRules, HeaderStore, HeaderView};
pub use info::{InfoError, RequestInfo, Scope};
pub use matcher::{Pattern, RouteTable, is_served_path};
pub use path::{Refusal, canonicalize, comparable};
pub use precedence::{Claim, Claims, Losers, Standing};
pub use repair::repair_query;
pub use table::{Decision, Table};
pub use target::Target;
