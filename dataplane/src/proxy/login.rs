//! Log-in on the host of a web UI: what the decision asks of whoever has a key, a clock and random numbers.

use std::borrow::Cow;
use std::time::SystemTime;

use genkan_callers::login::{Bearer, FleetKey, begun, done, new_cookie, state_of};
use genkan_routing::answer::{Answer, reason};
use genkan_routing::credential::{LOGIN_COOKIE, Places, cookie_value};
use genkan_routing::decide::Caller;
use genkan_routing::decide::login::{self, Wanted};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, REFERRER_POLICY, SET_COOKIE};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

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
        let cookie = cookie_value(&head.headers, LOGIN_COOKIE)
            .ok_or_else(|| refused("the browser has no cookie of a log-in".into()))?;
        let state = state_of(cookie);
        let bearer = Bearer { app, state: &state };
        let now = SystemTime::now();
        let token = key
            .open(code, bearer, &self.taken_codes, now)
            .map_err(|error| refused(error.to_string().into()))?;
        let cookies = done(&token, now).ok_or_else(|| refused("its token fits into no cookie".into()))?;
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
        let can_log_in = self.token_cookie().is_some() && self.current.load().fleet_key.is_some();
        let Some(app) = app.filter(|_| can_log_in) else {
            return refused;
        };
        let cookie = new_cookie();
        let location = login::location(&self.front, app, &state_of(&cookie), head.raw_path());
        match location.zip(begun(&cookie)) {
            Some((location, cookie)) => elsewhere(location, [cookie]),
            None => refused,
        }
    }
}

/// What is in such an address is nobody's to keep, or to be told of as the page before.
fn elsewhere<const N: usize>(location: HeaderValue, cookies: [HeaderValue; N]) -> Answer {
    let answer = Answer::elsewhere(303, reason::LOGGED_IN, location)
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with_header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let cookies = cookies.into_iter();
    cookies.fold(answer, |answer, cookie| answer.with_header(SET_COOKIE, cookie))
}
