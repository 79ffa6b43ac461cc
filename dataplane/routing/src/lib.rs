//! The pure part of the data plane: what a request means, which object takes it and what its backend is sent.
//!
//! No I/O, no clock, no async. The data plane serves with this library and the operator answers questions with it, so that
//! a question asked offline is answered by the code that serves.

mod alphabet;
pub mod answer;
pub mod connectors;
pub mod decide;
pub mod directives;
pub mod model;
pub mod policy;
pub mod quantity;
pub mod request;

pub use answer::{Refused, Status};
pub use answer::{guard, links, redirect};
pub use decide::{matcher, precedence, table};
pub use directives::{DirectiveSpec, Directives, Input, Outgoing, Problem, RewriteError};
pub use endpoint::{Endpoint, EndpointError, Scheme, service_of_host};
pub use headers::{HeaderRules, HeaderStore, HeaderView};
pub use info::{InfoError, RequestInfo, Scope};
pub use matcher::{Pattern, RouteTable, is_served_path};
pub(crate) use model::reference;
pub use model::{endpoint, version};
pub use path::{Refusal, canonicalize, comparable};
pub use policy::{access, dialling};
pub use precedence::{Claim, Claims, Losers, Standing};
pub use repair::repair_query;
pub use request::{
    arriving, connection, credential, door, headers, identity, info, path, public, repair, rewritten,
    sending, strict, target,
};
pub use table::{Decision, Table};
pub use target::Target;
