//! The Connector API: who asks which tool for what, and with which credential. Pure, as everything here.

mod credential;
mod operations;
mod path;
mod plugin;
mod query;
mod refusal;
mod tables;

pub use credential::{Body, CLIENT_KEYS, Client, Generated, Injected, Position, TokenId};
pub use operations::{Found, Operations};
pub use path::{ApiPath, Shape};
pub use plugin::lines as plugin_lines;
pub use query::escaped;
pub use query::without_token;
pub use tables::{Class, Connector, Connectors, Credential, Proxy, Role};

pub(crate) use credential::{Wanted, check, plugin_headers, wanted};
pub(crate) use refusal::{
    bad_address, class_not_found, connector_not_found, dot_segment, no_api, no_proxy, no_such_auth, no_token,
    not_a_bearer, secret_required, unknown_shape, unusable, write_refused,
};

/// The API group of Connectors, their classes and all that belongs to them.
pub const GROUP: &str = "connectors.alauda.io";
/// Its version.
pub const VERSION: &str = "v1alpha1";
/// The methods that are served whatever the switches say.
pub const READ_METHODS: &str = "GET, HEAD, OPTIONS";
/// All that are served at most.
pub const ALL_METHODS: &str = "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE";

/// The methods that are served, by whether those that write are among them.
pub fn methods(writes: bool) -> &'static str {
    if writes { ALL_METHODS } else { READ_METHODS }
}

/// Where a request of this API goes behind the name of its Connector, for people and counts: a template of the class, or
/// this where none is declared.
pub const UNDECLARED: &str = "*";
