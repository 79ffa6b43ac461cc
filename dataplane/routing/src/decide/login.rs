//! Log-in on the host of a web UI. Cookies of the front do not count there, so that a browser fetches a code from the front,
//! and has it exchanged for a cookie of that host.
//!
//! `https://ui.apps.example/x` → `https://gw.example/.genkan/login?app=ui&state=H&to=/x` →
//! `https://ui.apps.example/.genkan/session?code=C&to=/x` → `/x`.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use super::{Answer, Family};
use crate::answer::{Refused, reason};
use crate::door::{Door, is_label};
use crate::headers::HeaderView;
use crate::path::{is_unreserved, push_escape};
use crate::public::Front;
use crate::target::{Target, parameters};

/// What a browser wants that has come to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Of the web UI.
    pub app: Cow<'a, str>,
    /// Names the cookie to which the code is bound: a hash of its value, in hexadecimal digits.
    pub state: Cow<'a, str>,
    /// Where it was going: a path, perhaps with a query.
    pub to: Cow<'a, str>,
}

/// Paths of genkan's own, at every door; no object is asked for what lies below.
const OWN: &str = "/.genkan";
const LOGIN: &str = "/.genkan/login";
const SESSION: &str = "/.genkan/session";
/// Digits of a hash.
const STATE: usize = 64;
const LONGEST_TO: usize = 4 << 10;
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether the canonical path is one of genkan's own.
pub(super) fn is_own(path: &str) -> bool {
    path.strip_prefix(OWN)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a path of genkan's own comes to on the host of a web UI.
pub(super) fn on_app<'a>(method: &str, target: &Target<'a>) -> Answer<'a> {
    if target.path != SESSION {
        return Answer::nothing();
    }
    if method != "GET" {
        return Answer::Refused(only_get());
    }
    let code = parameter(target.query, b"code").filter(|code| !code.is_empty());
    match (code, local(target.query)) {
        (Some(code), Some(to)) => Answer::Redeem { code, to },
        _ => Answer::Refused(not_understood()),
    }
}

// === impl Wanted ===

impl<'a> Wanted<'a> {
    /// # Errors
    /// What a path of genkan's own comes to on the main front, if that is no log-in.
    pub(super) fn read(method: &str, target: &Target<'a>, front: Option<&Front>) -> Result<Self, Answer<'a>> {
        let has_apps = front.is_some_and(|front| front.apps.is_some());
        if target.path != LOGIN || !has_apps {
            return Err(Answer::nothing());
        }
        if method != "GET" {
            return Err(Answer::Refused(only_get()));
        }
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_state = |state: &Cow<'_, str>| state.len() == STATE && state.bytes().all(is_digit);
        let state = parameter(target.query, b"state").filter(is_state);
        let app = parameter(target.query, b"app").filter(|app| is_label(app));
        match (app, state, local(target.query)) {
            (Some(app), Some(state), Some(to)) => Ok(Self { app, state, to }),
            _ => Err(Answer::Refused(not_understood())),
        }
    }

    /// The path under which its object is looked up.
    pub(super) fn path(&self) -> String {
        format!("/proxy/{}/", self.app)
    }

    /// Nothing but a person's own navigation may have the front tell a host who that is.
    pub(super) fn admit(&self, headers: &impl HeaderView) -> Result<(), Refused> {
        if is_navigation(headers) {
            return Ok(());
        }
        let message = "logging in is for pages that a browser opens in a window of their own, and its Sec-Fetch headers do not \
                       say that of this request";
        Err(Refused::new(403, reason::LOGIN_REFUSED, message))
    }

    pub(super) fn answer(self, is_anonymous: bool) -> Answer<'a> {
        if is_anonymous {
            let message = format!(
                "who you are is not known here; log in, and open {} again",
                self.app
            );
            return Answer::Refused(Refused::new(401, reason::LOGIN_REQUIRED, message));
        }
        Answer::LogIn(self)
    }
}

/// The web UI that a refused request can be tried again at once its caller has logged in; `refused` is the reason of the
/// refusal.
pub fn helps<'r>(
    door: Door<'r>,
    method: &str,
    headers: &impl HeaderView,
    refused: &str,
    is_anonymous: bool,
) -> Option<&'r str> {
    let Door::App(app) = door else {
        return None;
    };
    let is_unknown = match refused {
        reason::ACCESS_DENIED => is_anonymous,
        reason::TOKEN_REJECTED | reason::TOKEN_REQUIRED | reason::CREDENTIAL_NOT_UNDERSTOOD => true,
        _ => false,
    };
    (is_unknown && method == "GET" && is_navigation(headers)).then_some(app)
}

/// Where a browser goes to log in. `state` is the hash of a cookie that it got, `target` where it was going.
pub fn location(front: &Front, app: &str, state: &str, target: &[u8]) -> Option<HeaderValue> {
    front.apps.as_ref()?;
    // Browsers keep the cookies of a log-in where there is TLS alone.
    let origin = front
        .origins
        .first()
        .filter(|origin| origin.scheme() == "https")?;
    let mut location = format!("{origin}{LOGIN}?app={app}&state={state}&to=");
    push_parameter(
        &mut location,
        if target.len() > LONGEST_TO { b"/" } else { target },
    );
    HeaderValue::try_from(location).ok()
}

/// Where it brings the code that it got.
pub fn location_of_session(front: &Front, wanted: &Wanted<'_>, code: &str) -> Option<HeaderValue> {
    let mut location = format!("{}{SESSION}?code={code}&to=", front.app_origin(&wanted.app)?);
    push_parameter(&mut location, wanted.to.as_bytes());
    HeaderValue::try_from(location).ok()
}

/// Where a request for a web UI goes that has a name of its own; `path` is canonical.
pub(super) fn location_of_app(front: &Front, app: &str, path: &str, query: Option<&[u8]>) -> Option<Vec<u8>> {
    let rest = path.strip_prefix("/proxy/")?.strip_prefix(app)?;
    let mut location = front.app_origin(app)?.into_bytes();
    location.extend_from_slice(rest.as_bytes());
    if let Some(query) = query {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    Some(location)
}

/// Whether anything of the front can be asked for by such a path: what is below the name of a cluster is the same objects.
pub(super) fn may_be_of_app(family: Family) -> bool {
    match family {
        Family::Proxy | Family::Cluster => true,
        Family::Apis | Family::Kubernetes | Family::Connectors | Family::Other => false,
    }
}

/// A browser says that its user goes there, in a window of its own.
fn is_navigation(headers: &impl HeaderView) -> bool {
    let says = |name, word: &str| headers.first(name).is_some_and(|value| value == word);
    says(MODE, "navigate") && says(DESTINATION, "document")
}

fn parameter<'a>(query: Option<&'a [u8]>, name: &[u8]) -> Option<Cow<'a, str>> {
    let mut all = parameters(query?).filter(|(of, _)| &**of == name);
    let (Some((_, value)), None) = (all.next(), all.next()) else {
        return None;
    };
    match value {
        Cow::Borrowed(value) => std::str::from_utf8(value).ok().map(Cow::Borrowed),
        Cow::Owned(value) => String::from_utf8(value).ok().map(Cow::Owned),
    }
}

/// Where to go afterwards: below the same host, whatever a browser makes of it.
fn local(query: Option<&[u8]>) -> Option<Cow<'_, str>> {
    let is_local = |to: &Cow<'_, str>| {
        to.len() <= LONGEST_TO
            && to.bytes().all(|byte| byte.is_ascii_graphic())
            && match to.as_bytes() {
                [b'/', b'/' | b'\\', ..] => false,
                [b'/', ..] => !is_own(to.split(['?', '#']).next().unwrap_or_default()),
                _ => false,
            }
    };
    parameter(query, b"to").filter(is_local)
}

fn push_parameter(out: &mut String, text: &[u8]) {
    for &byte in text {
        match byte {
            byte if is_unreserved(byte) || byte == b'/' => out.push(char::from(byte)),
            byte => push_escape(out, byte),
        }
    }
}

fn only_get() -> Refused {
    Refused::new(405, reason::METHOD_REFUSED, "logging in is done by GET")
}

fn not_understood() -> Refused {
    let message = "this is not an address to log in at; open the page of the web UI again";
    Refused::new(400, reason::LOGIN_REFUSED, message)
}

/// Of a code, or of whoever brings it. Which of the reasons it was would help a thief alone.
pub fn refused() -> Refused {
    let message = "this log-in is used up, too old, or another browser's; open the page of the web UI again";
    Refused::new(400, reason::LOGIN_REFUSED, message)
}

/// Of somebody who is logged in no more.
pub fn session_refused() -> Refused {
    let message = "the session of this host has ended; open the page of the web UI again";
    Refused::new(401, reason::TOKEN_REJECTED, message)
}

/// There is no key to seal codes with.
pub fn unavailable() -> Refused {
    let message = "nobody can log in here yet: this data plane has not got the key for that from its operator, which needs \
                   --apps-domain and a stream that may carry secrets";
    Refused::new(503, reason::LOGIN_UNAVAILABLE, message)
}
