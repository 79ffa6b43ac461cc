use crate::answer::reason;
use std::borrow::Cow;
use std::sync::Arc;

use http::Method;

use super::facts::Place;
use super::login::Wanted;
use crate::access::Questions;
use crate::answer::Refused;
use crate::connectors::{Client, Injected};
use crate::credential::Credential;
use crate::model::{Secret, TokenSource, Unavailable};

/// How far a decision has come.
#[allow(
    clippy::large_enum_variant,
    reason = "it lives on the stack for a moment; a box would be an allocation for each request"
)]
#[derive(Debug)]
pub enum Next<'q, 'a, R, U> {
    /// Somebody outside has to say something before it goes on.
    Ask(Question<'q, 'a, R, U>),
    Forward(Plan<'a, R>),
    Answer(Answer<'a>),
}

#[allow(
    clippy::large_enum_variant,
    reason = "it lives on the stack for a moment; a box would be an allocation for each request"
)]
#[derive(Debug)]
pub enum Question<'q, 'a, R, U> {
    /// Who is this?
    Who(Shown<'q>),
    /// May they?
    May(Access<'q, 'a, R, U>),
    /// What do the policies of the object say, and change?
    Policies(Place),
    /// What does it count as, by the policy of a class?
    Verb(Evaluation<'a>),
    /// Which credential does the policy of a class make?
    Generate(Evaluation<'a>),
    /// Which token does a server grant for the client in the Secret?
    Token(Grant<'a>),
}

/// What tells who calls; of several things the one that counts.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown<'q> {
    Nothing,
    /// The client certificate of the connection.
    Certificate,
    /// In a header or a cookie.
    Token(Credential<'q>),
}

/// A policy of a class, and what it is given.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    /// Of the class.
    pub class: &'a str,
    /// Of the auth type of the class; empty for the policy of its permissions.
    pub auth: &'a str,
    /// In Rego.
    pub policy: &'a str,
    /// Absent for one that only judges.
    pub secret: Option<&'a Arc<Secret>>,
    pub method: &'a str,
    /// As the tool is asked for it, without a base path.
    pub path: &'a [u8],
    pub query: Option<&'a [u8]>,
}

/// What a request counts as when rights are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Read,
    Delete,
    /// What its method says.
    OfMethod,
}

/// Who grants a token, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    /// Name of the class.
    pub class: &'a str,
    pub source: &'a TokenSource,
    pub client: Client<'a>,
}

/// Who wants what of which object.
#[derive(Debug)]
pub struct Access<'q, 'a, R, U> {
    /// `None`: it does not exist, which nobody is told who may not.
    pub route: Option<&'a R>,
    pub caller: &'q U,
    pub questions: Questions<'q>,
}

/// What a backend is asked.
#[derive(Debug)]
pub struct Plan<'a, R> {
    /// Where it goes. Of a Connector that need not be its own address.
    pub route: &'a R,
    pub method: Method,
    /// Behind the base path, with the query.
    pub target: Vec<u8>,
    /// What stripPathPrefix took off in front of the path.
    pub stripped_prefix: Option<String>,
    /// The cluster that the path named; empty if none.
    pub cluster: &'a str,
    /// What a Connector adds; absent for everything else.
    pub call: Option<Call<'a>>,
}

/// A request through a Connector.
#[derive(Debug)]
pub struct Call<'a> {
    pub injected: Injected,
    /// What the client sent in front of what the tool is asked: its cookies belong there.
    pub base: &'a [u8],
    /// The declared path, or [`UNDECLARED`](crate::connectors::UNDECLARED).
    pub template: &'a str,
    /// What names the Connector to a proxy of its class, instead of the authority of that.
    pub host: Option<String>,
    /// The proxy of the class judges the caller itself.
    pub keeps_credential: bool,
    /// By a path that clients should leave.
    pub is_deprecated: bool,
}

/// What genkan says itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    Refused(Refused),
    /// Something that nobody here does for anybody; Kubernetes has no word of its own for that.
    Unsupported(Refused),
    /// The object is broken.
    Unavailable {
        title: &'a str,
        why: &'a Unavailable,
    },
    /// 308.
    Redirect {
        location: Vec<u8>,
    },
    /// Nothing is there, and the page that asks does not know its prefix.
    Escaped {
        /// Bounded.
        path: &'a str,
        refused: Refused,
    },
    /// 307: to where the page that asks belongs.
    Moved {
        location: Vec<u8>,
    },
    ApiGroup {
        group: &'a str,
        versions: Vec<&'a str>,
    },
    ApiGroupList(Vec<(&'a str, Vec<&'a str>)>),
    /// Of Connectors: those that are on.
    FeatureFlags(&'a [String]),
    /// A caller who is known gets a code, and goes back to the host of the web UI.
    LogIn(Wanted<'a>),
    /// There the code becomes a cookie, if it is good.
    Redeem {
        code: Cow<'a, str>,
        /// Where to go then: a path of that host.
        to: Cow<'a, str>,
    },
    /// To a web UI that has a name of its own. 307.
    ToApp {
        location: Vec<u8>,
    },
}

/// Why no further step is taken.
#[derive(Debug)]
pub(super) enum Stop<'a> {
    Who,
    May,
    Policies(Place),
    Verb(Evaluation<'a>),
    Generate(Evaluation<'a>),
    Token(Grant<'a>),
    Answer(Answer<'a>),
}

// === impl Answer ===

impl Answer<'_> {
    /// To a request that nothing takes.
    pub fn nothing() -> Self {
        Self::Refused(Refused::new(
            404,
            reason::NO_ROUTE_MATCHED,
            "nothing is published under this path",
        ))
    }
}

impl<T: Into<Refused>> From<T> for Stop<'_> {
    fn from(refusal: T) -> Self {
        Self::Answer(Answer::Refused(refusal.into()))
    }
}
