//! What Connectors and their classes say beyond where they are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{SecretKey, Upstream};

/// What an object is to the Connector API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Role {
    /// It is none of Connectors.
    #[default]
    None,
    Connector(Box<Connector>),
    Class(Box<ConnectorClass>),
}

/// One instance of a tool. Its address is the upstream of its route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connector {
    /// Name of its class, which may not exist.
    pub class: String,
    /// The address as it was written, for class APIs.
    pub address: String,
    /// Its further addresses, by name.
    pub extensions: BTreeMap<String, Upstream>,
    /// Name of the auth type of its class; empty if it has none.
    pub auth: String,
    pub credential: Credential,
}

/// What a Connector calls its tool with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Credential {
    /// It names no Secret.
    None,
    Secret(SecretKey),
    /// The Secret cannot be used; one sentence, which callers read.
    Problem(String),
}

/// A kind of tool. Its own API is the upstream of its route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConnectorClass {
    /// What its OpenAPI description declares.
    pub operations: Vec<Operation>,
    /// By the names that Connectors give.
    pub auth: BTreeMap<String, AuthType>,
    /// Addresses of Connectors that give none of that name.
    pub extensions: BTreeMap<String, Upstream>,
    /// Full URLs that operations name, each with where it leads.
    pub direct: BTreeMap<String, Upstream>,
    pub proxy: ClassProxy,
    /// In Rego: what a request counts as when rights are asked for.
    pub permissions: Option<String>,
}

/// Who calls the tool of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum ClassProxy {
    /// Nobody: only its own API answers.
    #[default]
    None,
    /// genkan.
    BuiltIn,
    /// A proxy of the class.
    Own(Box<OwnProxy>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnProxy {
    pub upstream: Upstream,
    /// Behind `c-NAME.NAMESPACE.` in the host that names the Connector: `svc.cluster.local`. Absent: the path names it.
    pub host_suffix: Option<String>,
}

/// One path of a description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// As written: `/repos/{owner}/{repo}`.
    pub template: String,
    /// By method, in upper case.
    pub methods: BTreeMap<String, Provider>,
}

/// Who answers an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Provider {
    /// The API of the class.
    Api,
    /// The tool, at its address, at an address extension by name, or at a full URL.
    Tool(String),
}

/// How Connectors of a class authenticate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuthType {
    /// Type of the Secret.
    pub secret_type: String,
    /// A Connector may have no Secret.
    pub is_optional: bool,
    /// Keys that the Secret must have.
    pub keys: Vec<String>,
    pub injection: Injection,
}

/// How a credential is put on a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Injection {
    /// `Authorization: Basic`, of `username` and `password`.
    Basic,
    /// `Authorization: Bearer`, of `token`.
    Bearer,
    /// What this policy says, in Rego.
    Rego(String),
    /// `Authorization: Bearer`, with a token that a server grants to the client that the Secret names.
    OAuth2(TokenSource),
    /// None is defined for this type of Secret.
    Undefined,
}

/// Where clients get their tokens: the client credentials grant of RFC 6749, 4.4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenSource {
    /// Absolute.
    pub url: String,
    pub scopes: Vec<String>,
    /// PEM; absent: the roots of the proxy.
    pub authorities: Option<String>,
}

/// What an administrator switched on for all Connectors: names of [`FLAGS`], in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FeatureFlags(pub Vec<String>);

/// The key of the one resource that holds them.
pub const FEATURE_FLAGS: &str = "FeatureFlags";

/// All switches, which are off unless somebody says otherwise.
pub const FLAGS: [&str; 7] = [
    OPERATION_REVIEW,
    WRITES,
    "enable-connector-proxy-permissions",
    "enable-connectors-approval",
    "enable-multi-connector",
    CUSTOM_AUTHORITIES,
    "enable-pod-image-pull-via-connector",
];

/// A second review asks for the operation.
pub const OPERATION_REVIEW: &str = "enable-connector-apis-permissions";
/// Methods that write are served.
pub const WRITES: &str = "enable-connector-apis-write-passthrough";
/// Tools may be trusted by an authority of one's own.
pub const CUSTOM_AUTHORITIES: &str = "enable-custom-ca-certs";

// === impl FeatureFlags ===

impl FeatureFlags {
    pub fn is_on(&self, flag: &str) -> bool {
        self.0.iter().any(|on| on == flag)
    }
}

// === impl Role ===

impl Role {
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    pub fn connector(&self) -> Option<&Connector> {
        match self {
            Self::Connector(connector) => Some(connector),
            Self::None | Self::Class(_) => None,
        }
    }

    pub fn class(&self) -> Option<&ConnectorClass> {
        match self {
            Self::Class(class) => Some(class),
            Self::None | Self::Connector(_) => None,
        }
    }
}
