use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::policy::EXTENSIONS;
use super::{BlobKey, ObjectRef, Policies, Role, SecretKey, SetKey};
use crate::access::RouteKind;
use crate::directives::DirectiveSpec;
use crate::public::Fronting;

/// A published object: which requests it takes, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    pub object: ObjectRef,
    pub matcher: Matcher,
    /// Absent for kinds that have none, for stubs, and where the author wrote none.
    pub directives: Option<DirectiveSpec>,
    pub action: Action,
    /// The backend gets the credential that genkan verified.
    pub forward_authorization: bool,
    /// What it is served with: without one of them it answers 503 `SecretsUnavailable`.
    pub secrets: Vec<SecretKey>,
    /// What it is to the Connector API; nothing for stubs.
    #[serde(skip_serializing_if = "Role::is_none")]
    pub role: Role,
    /// What its author wants to be done with its requests; absent for stubs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<Box<Policies>>,
}

/// What a request is compared with. The forms have the names of the kinds that they were made for; another kind may use one
/// as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Matcher {
    /// A path below `/proxy`.
    ReverseProxy {
        /// As written; a trailing `*` makes it a prefix.
        path: String,
        /// As written; `*` is any.
        method: String,
    },
    /// An API group and version.
    ApiService {
        /// May be empty.
        group: String,
        version: String,
    },
    /// What is called through a Connector.
    Connector { namespace: String, name: String },
    /// Nothing by itself: Connectors of this class.
    ConnectorClass { name: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    Forward(Upstream),
    Unavailable(Unavailable),
}

/// The object is broken: its match answers 503 with this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unavailable {
    /// The reason of the condition that is false, for `x-genkan-reason`.
    pub reason: String,
    pub message: String,
}

/// Where a backend is and how one talks to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// The `Host` that the backend sees: host, and port where one was written or is not the scheme's own.
    pub authority: String,
    /// Put in front of every path; no trailing slash.
    pub base_path: String,
    pub target: Target,
    /// Absent: plain HTTP.
    pub tls: Option<Tls>,
    /// HTTP/2 for every request, not only for gRPC.
    pub http2: bool,
    /// What it sees of the front.
    #[serde(skip_serializing_if = "Fronting::is_default")]
    pub fronting: Fronting,
    /// The service form that is always https: an answer in plain HTTP is worth a sentence about `scheme`.
    pub https_by_default: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Target {
    Endpoints(SetKey),
    /// Resolved by the data plane, again and again.
    Host {
        /// A DNS name, or an IP address without brackets.
        name: String,
        port: u16,
    },
}

/// How a backend proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// What the certificate must be for, and the SNI where it is a name.
    pub server_name: String,
    pub ca: Authorities,
    /// The roots of the data plane count beside those of `ca`.
    pub beside_roots: bool,
    pub insecure_skip_verify: bool,
}

/// Who may sign the certificate of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Authorities {
    /// The roots of the data plane.
    #[default]
    System,
    /// A CA bundle that is sent beside the route.
    Bundle(BlobKey),
    /// PEM, as operators sent it before there were blobs.
    #[serde(serialize_with = "pem")]
    Inline(Arc<[u8]>),
}

fn pem<S: Serializer>(pem: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(pem))
}

// === impl Route ===

impl Route {
    /// Whether the backend is told who calls.
    pub fn introduces_caller(&self) -> bool {
        match self.matcher {
            Matcher::ApiService { .. } => true,
            Matcher::ReverseProxy { .. } => self.directives.as_ref().is_some_and(|d| d.auth_proxy),
            Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => false,
        }
    }

    pub fn upstream(&self) -> Option<&Upstream> {
        match &self.action {
            Action::Forward(upstream) => Some(upstream),
            Action::Unavailable(_) => None,
        }
    }

    /// The CA bundle that is sent beside it.
    pub fn bundle(&self) -> Option<BlobKey> {
        match self.upstream()?.tls.as_ref()?.ca {
            Authorities::Bundle(key) => Some(key),
            Authorities::System | Authorities::Inline(_) => None,
        }
    }

    /// What a data plane must be able to do for it, in the words of the stream.
    pub fn requires(&self) -> Vec<String> {
        let words = [
            ("blobs", self.bundle().is_some()),
            (
                "fronting",
                self.upstream()
                    .is_some_and(|upstream| !upstream.fronting.is_default()),
            ),
            (
                "links",
                self.directives
                    .as_ref()
                    .is_some_and(|spec| !spec.rewrite_links.is_off() || !spec.rewrite_body.is_empty()),
            ),
            ("secrets", !self.secrets.is_empty()),
            ("connectors", self.role != Role::None),
            (
                EXTENSIONS,
                self.policies
                    .as_ref()
                    .is_some_and(|policies| !policies.steps.is_empty()),
            ),
        ];
        let needed = words.into_iter().filter(|(_, is_needed)| *is_needed);
        needed.map(|(word, _)| word.to_owned()).collect()
    }
}

// === impl Matcher ===

impl Matcher {
    /// How access to it is reviewed.
    pub fn route_kind(&self) -> RouteKind<'_> {
        match self {
            Self::ReverseProxy { path, .. } => RouteKind::ReverseProxy { path },
            Self::ApiService { .. } => RouteKind::ApiService,
            Self::Connector { namespace, name } => RouteKind::Connector { namespace, name },
            Self::ConnectorClass { name } => RouteKind::ConnectorClass { name },
        }
    }
}

/// What it takes, as people write it: `GET /proxy/shop/*`, `/kapis/shop.example/v1`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReverseProxy { path, method } => write!(f, "{method} {path}"),
            Self::ApiService { group, version } if group.is_empty() => write!(f, "/kapi/{version}"),
            Self::ApiService { group, version } => write!(f, "/kapis/{group}/{version}"),
            Self::Connector { namespace, name } => write!(f, "/connectors/v1alpha1/{namespace}/{name}/path"),
            Self::ConnectorClass { name } => write!(f, "Connectors of class {name}"),
        }
    }
}

// === impl Unavailable ===

impl Unavailable {
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
        }
    }
}
