//! The document that expressions see, built of the members that they mention.

use http::{HeaderMap, HeaderValue};
use jsonata_core::value::JValue;
use serde_json::Value;

use super::bound::Mentions;
use crate::exchange::{Exchange, Pairs};

#[derive(Default)]
struct Members(Vec<(String, JValue)>);

pub(super) fn root(mentions: &Mentions, exchange: &Exchange<'_>) -> Result<JValue, String> {
    let request = &exchange.request;
    let caller = exchange.auth();
    let mut root = Members::default();
    // Variables are under their names, and never in place of what is genkan's.
    let vars = &exchange.state.vars;
    let own = vars
        .iter()
        .filter(|(name, _)| mentions.has(name.split('.').next().unwrap_or_default()));
    for (name, value) in own {
        root.deep(name, of_json(value));
    }
    if mentions.has("vars") {
        root.add("vars", of_members(vars.iter()));
    }
    if mentions.has("request") {
        root.add("request", of_request(mentions, exchange)?);
    }
    if mentions.has("message") {
        root.add("message", of_message(mentions, exchange)?);
    }
    let address = request
        .source
        .address
        .map(|address| address.to_canonical().to_string());
    if mentions.has("source") {
        let address = address
            .iter()
            .map(|address| ("address", JValue::string(&**address)));
        root.add("source", object(address));
    }
    if mentions.has("session") {
        let mut session = Members::default();
        session.add("globalTransactionID", JValue::string(request.id));
        if let Some(address) = address {
            session.add("clientAddress", JValue::string(address));
        }
        root.add("session", session.into());
    }
    if mentions.has("auth") {
        let mut auth = Members::default();
        auth.add("user", JValue::string(caller.user));
        let groups = caller.groups.iter().map(|group| JValue::string(&**group));
        auth.add("groups", JValue::array(groups.collect()));
        auth.add("method", JValue::string(caller.method));
        auth.add("claims", of_members(caller.claims.into_iter().flatten()));
        if let Some(key) = caller.key {
            auth.add("key", JValue::string(key));
        }
        root.add("auth", auth.into());
    }
    if mentions.has("client") {
        let id = caller.claims.and_then(|claims| claims.get("client_id"));
        let app = object(id.map(|id| ("id", of_json(id))));
        root.add("client", object([("app", app)]));
    }
    let params = || of_members(exchange.params.iter().flat_map(|params| params.iter()));
    if mentions.has("params") {
        root.add("params", params());
    }
    if mentions.has("local") {
        root.add("local", object([("parameter", params())]));
    }
    if mentions.has("route") {
        root.add("route", object([("name", JValue::string(request.route))]));
    }
    Ok(root.into())
}

fn of_request(mentions: &Mentions, exchange: &Exchange<'_>) -> Result<JValue, String> {
    let request = &exchange.request;
    let mut members = Members::default();
    for (name, value) in [
        ("id", request.id),
        ("method", request.method),
        ("verb", request.method),
        ("scheme", request.scheme),
        ("host", request.host),
        ("path", request.path),
        ("query_string", exchange.query()),
        ("search", exchange.query()),
        ("uri", &*exchange.target()),
    ] {
        members.add(name, JValue::string(value));
    }
    let mut query = Members::default();
    for (name, value) in Pairs(exchange.query()).decoded() {
        if !query.0.iter().any(|(known, _)| *known == *name) {
            query.add(&name, JValue::string(&*value));
        }
    }
    members.add("query", query.into());
    members.add("headers", of_headers(exchange.request_headers()));
    let is_request = exchange.status().is_none();
    if (mentions.request_body || mentions.message_body && is_request)
        && let Some(body) = exchange.body_value()?
    {
        members.add("body", of_json(body));
    }
    Ok(members.into())
}

/// The message at hand: the answer, where there is one.
fn of_message(mentions: &Mentions, exchange: &Exchange<'_>) -> Result<JValue, String> {
    let mut members = Members::default();
    members.add("headers", of_headers(exchange.headers()));
    if let Some(status) = exchange.status() {
        let code = JValue::from(i64::from(status));
        members.add("status", object([("code", code)]));
    } else if mentions.message_body
        && let Some(body) = exchange.body_value()?
    {
        members.add("body", of_json(body));
    }
    Ok(members.into())
}

/// The first value of each name.
fn of_headers(headers: &HeaderMap) -> JValue {
    object(
        headers
            .keys()
            .filter_map(|name| Some((name.as_str(), header(headers.get(name)?)))),
    )
}

pub(super) fn header(value: &HeaderValue) -> JValue {
    JValue::string(&*String::from_utf8_lossy(value.as_bytes()))
}

pub(super) fn of_json(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(truth) => JValue::Bool(*truth),
        Value::Number(number) => JValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => JValue::string(&**text),
        Value::Array(items) => JValue::array(items.iter().map(of_json).collect()),
        Value::Object(members) => of_members(members.iter()),
    }
}

fn of_members<'v>(members: impl Iterator<Item = (&'v String, &'v Value)>) -> JValue {
    object(members.map(|(name, value)| (name.as_str(), of_json(value))))
}

fn object<'n>(members: impl IntoIterator<Item = (&'n str, JValue)>) -> JValue {
    let members = members.into_iter();
    JValue::object(members.map(|(name, value)| (name.to_owned(), value)).collect())
}

// === impl Members ===

impl Members {
    /// In place of what is there under this name.
    fn add(&mut self, name: &str, value: JValue) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value));
    }

    /// `a.b.c` is a member of a member of a member.
    fn deep(&mut self, name: &str, value: JValue) {
        let Some((first, rest)) = name.split_once('.') else {
            self.add(name, value);
            return;
        };
        let at = self.0.iter().position(|(known, _)| known == first);
        let mut inner = match at.map(|at| self.0.swap_remove(at).1) {
            Some(JValue::Object(members)) => {
                let members = members.iter();
                Self(
                    members
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect(),
                )
            }
            Some(_) | None => Self::default(),
        };
        inner.deep(rest, value);
        self.0.push((first.to_owned(), inner.into()));
    }
}

impl From<Members> for JValue {
    fn from(members: Members) -> Self {
        Self::object(members.0.into_iter().collect())
    }
}
