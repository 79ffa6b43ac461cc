//! Log-in on the host of a web UI: what the decision asks of whoever has a key, a clock and random numbers.

use std::borrow::Cow;
use std::time::SystemTime;

use genkan_callers::login::{Bearer, FleetKey, begun, done, new_cookie, state_of};
use genkan_routing::answer::{Answer, reason};
use genkan_routing::credential::{LOGIN_COOKIE, Places, cookie_value};
use genkan_routing::decide::Caller;
use genkan_routing::decide::login::{self, Wanted};
use http::header::{CACHE_CONTROL, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderName, HeaderValue};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use zeroize::Zeroizing;

use super::Proxy;
use super::sending::arrival;
use crate::context::Context;

impl Proxy {
    /// Tells the host of a web UI who somebody is, by way of their browser.
    pub(super) fn log_in(
        &self,
        wanted: &Wanted<'_>,
        head: &RequestHeader,
        key: Option<&FleetKey>,
    ) -> Result<Answer, Answer> {
        let key = key.ok_or_else(login::unavailable)?;
        let cookie = self.token_cookie();
        let credential = Places::read(&head.headers, false, cookie).ok();
        let token = credential.as_ref().map_or("", |credential| credential.token());
        if token.is_empty() {
            let message = "a client certificate cannot be told to another host; log in with a token";
            return Err(Answer::status(401, reason::LOGIN_REQUIRED, message));
        }
        let bearer = Bearer {
            app: &wanted.app,
            state: &wanted.state,
        };
        let code = key.seal(token, bearer, SystemTime::now());
        let location = code.and_then(|code| login::location_of_session(&self.front, wanted, &code));
        Ok(elsewhere(location.ok_or_else(login::unavailable)?, []))
    }

    /// Takes a code, and gives the session for it that ends with the token.
    pub(super) fn redeem(
        &self,
        app: &str,
        code: &str,
        to: &str,
        head: &RequestHeader,
        key: Option<&FleetKey>,
    ) -> Result<Answer, Answer> {
        let key = key.ok_or_else(login::unavailable)?;
        let refused = |why: Cow<'static, str>| Answer::from(login::refused()).with_detail(why);
        // Without one it is used up as well: it is in the hands of somebody else.
        let state = cookie_value(&head.headers, LOGIN_COOKIE).map(state_of);
        let state = state.unwrap_or_default();
        let bearer = Bearer { app, state: &state };
        let now = SystemTime::now();
        let token = key
            .open(code, bearer, &self.taken_codes, now)
            .map_err(|error| refused(error.to_string().into()))?;
        let session = key.begin_session(&token, app, now);
        let cookies = session.as_ref().and_then(done);
        let cookies = cookies.ok_or_else(|| {
            refused("its token has ended, or is too long: browsers keep no such cookie".into())
        })?;
        let to = HeaderValue::from_str(to).map_err(|_| login::refused())?;
        Ok(elsewhere(to, cookies))
    }

    /// Sends somebody who is refused because nobody knows them to log in, where that can help.
    pub(super) fn invite(&self, session: &Session, context: &Context, refused: Answer) -> Answer {
        if self.front.apps.is_none() || refused.policy.is_some() {
            return refused;
        }
        let head = session.req_header();
        let door = self.front.door(arrival(session, context));
        let is_anonymous = context.user.as_ref().is_some_and(Caller::is_anonymous);
        let method = head.method.as_str();
        let app = login::helps(door, method, &head.headers, &refused.reason, is_anonymous);
        let Some(app) = app.filter(|_| self.token_cookie().is_some()) else {
            return refused;
        };
        if self.current.load().fleet_key.is_none() {
            return login::unavailable().into();
        }
        let cookie = new_cookie();
        let location = login::location(&self.front, app, &state_of(&cookie), head.raw_path());
        match location.zip(begun(&cookie)) {
            Some((location, cookie)) => elsewhere(location, [cookie]),
            None => refused,
        }
    }
}

/// The token of somebody who is logged in at the host of a web UI.
///
/// # Errors
/// The answer to a session that is none.
pub(super) fn token_of(sealed: &str, app: &str, key: Option<&FleetKey>) -> Result<Zeroizing<String>, Answer> {
    let key = key.ok_or_else(login::unavailable)?;
    let token = key.token_of_session(sealed, app, SystemTime::now());
    token.map_err(|error| Answer::from(login::session_refused()).with_detail(error.to_string()))
}

/// What is in such an address is nobody's to keep, or to be told of as the page before.
fn elsewhere<const N: usize>(location: HeaderValue, cookies: [HeaderValue; N]) -> Answer {
    let answer = Answer::elsewhere(303, reason::LOGGED_IN, location)
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with_header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let answer = alone(answer);
    let cookies = cookies.into_iter();
    cookies.fold(answer, |answer, cookie| answer.with_header(SET_COOKIE, cookie))
}

/// Whoever opened the window of a log-in sees nothing of it, its addresses included.
pub(super) fn alone(answer: Answer) -> Answer {
    const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    answer.with_header(OPENER, HeaderValue::from_static("same-origin"))
}
