use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

/// Where a request comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'x> {
    pub address: Option<IpAddr>,
    /// Of the client, signed by an authority of ours.
    pub certificate: Option<&'x Certificate>,
}

/// What a client certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// `CN=till-7,O=Acme`.
    pub subject: String,
    pub dns: Vec<String>,
    pub uri: Vec<String>,
}

/// Who calls.
#[derive(Clone, Copy, Default)]
pub struct Caller<'x> {
    pub user: &'x str,
    pub groups: &'x [String],
    pub claims: Option<&'x Map<String, Value>>,
    /// The name of the API key.
    pub key: Option<&'x str>,
    /// How it was found: `token`, `certificate`, `jwt`, `apiKey`, `basic`, `mtls`, `hmac`.
    pub method: &'x str,
}

/// Who calls, as steps have found.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Auth {
    pub user: String,
    pub groups: Vec<String>,
    pub claims: Arc<Map<String, Value>>,
    pub key: Option<String>,
    pub method: String,
}

/// As whom the backend is told that the request comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    pub groups: Vec<String>,
}

// === impl Caller ===

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller(..)")
    }
}

// === impl Auth ===

impl Auth {
    pub(crate) fn of(caller: Caller<'_>) -> Self {
        Self {
            user: caller.user.to_owned(),
            groups: caller.groups.to_vec(),
            claims: caller.claims.cloned().unwrap_or_default().into(),
            key: caller.key.map(ToOwned::to_owned),
            method: caller.method.to_owned(),
        }
    }

    pub(crate) fn as_caller(&self) -> Caller<'_> {
        Caller {
            user: &self.user,
            groups: &self.groups,
            claims: Some(&self.claims),
            key: self.key.as_deref(),
            method: &self.method,
        }
    }
}

/// Claims are nobody else's.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(..)")
    }
}
