use super::ObjectRef;

/// What a data plane found out about a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendState {
    /// The host resolves and the last connection succeeded, or none was tried.
    Reachable,
    /// The host does not resolve, or to no address that may be dialled.
    Unresolved,
    /// TCP connections fail.
    Unreachable,
    /// TLS fails.
    TlsFailed,
}

/// A data plane's word about the backend of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub object: ObjectRef,
    pub state: BackendState,
    /// One sentence, for the author; empty when all is well.
    pub error: String,
}

/// Why a data plane serves a stub instead of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    pub object: ObjectRef,
    /// CamelCase, as in a condition.
    pub reason: String,
    pub message: String,
    /// The entry of a GatewayExtension that is the cause: `EXTENSION/ENTRY`.
    pub entry: Option<String>,
}
