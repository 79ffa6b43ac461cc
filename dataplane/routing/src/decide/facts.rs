use crate::access::Mode;
use crate::connectors::Role;
use crate::credential::Places;
use crate::directives::Directives;
use crate::door::Door;
use crate::identity::{Introduction, Unsendable};
use crate::model::{Matcher, Unavailable};
use crate::public::Front;

/// A request as it came out of the strict front, but for its headers.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// In origin form, as it was sent.
    pub target: &'a [u8],
    /// The authority that the client named; empty if none.
    pub host: &'a str,
    /// What it comes to, by that.
    pub door: Door<'a>,
    /// It asks to switch protocols.
    pub is_upgrade: bool,
    /// Its connection shows a client certificate that was signed by an authority of ours.
    pub has_certificate: bool,
}

/// What an administrator chose for all requests.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Where credentials are looked for; absent: nobody has a name, and none is looked for.
    pub places: Option<&'a Places>,
    pub mode: Mode,
    /// Verified credentials reach every backend, whether its object asks for them or not.
    pub forwards_always: bool,
    /// How people reach it; absent: nobody says.
    pub front: Option<&'a Front>,
}

/// A published object, as far as decisions depend on it.
pub trait Destination: Sized {
    /// How one destination names another.
    type Handle;
    /// What its author and the administrator want to be done with its requests.
    type Policies: Policies;

    /// As people write it: `ReverseProxy shop`.
    fn title(&self) -> &str;
    fn matcher(&self) -> &Matcher;
    /// Its backend is told who calls.
    fn introduces_caller(&self) -> bool;
    /// Its backend gets the credential that was verified here.
    fn forwards_authorization(&self) -> bool;
    /// # Errors
    /// What is wrong with the object.
    fn backend(&self) -> Result<Backend<'_>, &Unavailable>;
    /// What it is to the Connector API.
    fn role(&self) -> &Role<Self::Handle>;
    /// As they are now; a request keeps those that it began with. Absent where there are none.
    fn policies(&self) -> Option<Self::Policies>;
}

/// The policies of an object, as far as decisions depend on them.
pub trait Policies: Clone {
    /// They judge `Authorization` themselves, so that nobody else does.
    fn claims_authorization(&self) -> bool;
    /// One of them acts there.
    fn acts(&self, place: Place) -> bool;
}

/// Where in a decision policies act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before it is asked whether the caller may.
    BeforeReview,
    AfterReview,
}

/// What policies changed about a request, beside its headers.
#[derive(Debug)]
pub struct Changed<U> {
    /// The whole query, if it is another one.
    pub query: Option<Vec<u8>>,
    /// Who calls, for the backend, if that is somebody else. The review is for whoever was found to call.
    pub caller: Option<U>,
    /// A policy wants the backend to see the credential that it judged.
    pub forwards_authorization: bool,
}

impl<U> Default for Changed<U> {
    fn default() -> Self {
        Self {
            query: None,
            caller: None,
            forwards_authorization: false,
        }
    }
}

/// What a request for a backend is made with.
#[derive(Debug, Clone, Copy)]
pub struct Backend<'r> {
    /// Stands in front of every path.
    pub base_path: &'r str,
    pub directives: Option<&'r Directives>,
}

/// Somebody who calls.
pub trait Caller {
    /// How a backend is told who this is; absent where nobody knows.
    ///
    /// # Errors
    /// What of it cannot be told.
    fn introduction(&self) -> Result<Option<&Introduction>, Unsendable>;
    /// Nobody in particular.
    fn is_anonymous(&self) -> bool;
}

impl<T: Destination> Destination for std::sync::Arc<T> {
    type Handle = T::Handle;
    type Policies = T::Policies;

    fn policies(&self) -> Option<T::Policies> {
        T::policies(self)
    }

    fn role(&self) -> &Role<T::Handle> {
        T::role(self)
    }

    fn title(&self) -> &str {
        T::title(self)
    }

    fn matcher(&self) -> &Matcher {
        T::matcher(self)
    }

    fn introduces_caller(&self) -> bool {
        T::introduces_caller(self)
    }

    fn forwards_authorization(&self) -> bool {
        T::forwards_authorization(self)
    }

    fn backend(&self) -> Result<Backend<'_>, &Unavailable> {
        T::backend(self)
    }
}

impl<T: Caller> Caller for std::sync::Arc<T> {
    fn introduction(&self) -> Result<Option<&Introduction>, Unsendable> {
        T::introduction(self)
    }

    fn is_anonymous(&self) -> bool {
        T::is_anonymous(self)
    }
}
