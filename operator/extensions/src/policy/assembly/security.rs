use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::policy::object;
use crate::tree::Node;

use super::{Converted, Fault, Policy, step};

const USER_SECURITY: &str =
    "is converted only with user-auth-method: disabled or user-registry mapped to a Secret";

pub(super) fn jwt_validate(policy: &Policy<'_>) -> Converted {
    let key = policy.text("jws-crypto").or_else(|| policy.text("jws-jwk"));
    let key = key.ok_or_else(|| Fault::Unsupported("names no key".to_owned()))?;
    let mut with = Map::new();
    if let Some(place) = policy.text("jwt") {
        let header = place
            .strip_prefix("request.headers.")
            .or_else(|| place.strip_prefix("message.headers."));
        let Some(header) = header else {
            let why = format!("with jwt: {place} is not converted");
            return Err(Fault::Unsupported(why));
        };
        let from = Value::Object(object([
            ("header", Value::from(header.to_lowercase())),
            ("prefix", Value::from("Bearer ")),
        ]));
        with.insert("from".to_owned(), Value::Array(vec![from]));
    }
    if let Some(issuer) = policy.text("iss-claim") {
        with.insert("issuer".to_owned(), Value::from(issuer));
    }
    let audiences = policy.texts("aud-claim");
    if !audiences.is_empty() {
        with.insert("audiences".to_owned(), Value::from(audiences));
    }
    let keys = Value::Object(object([("mapped", Value::from(key))]));
    with.insert("keys".to_owned(), keys);
    Ok(vec![step("jwt", with)])
}

pub(super) fn user_security(policy: &Policy<'_>, secrets: &BTreeMap<String, String>) -> Converted {
    if policy.node.given("user-auth-method").and_then(Node::as_text) == Some("disabled") {
        return Ok(Vec::new());
    }
    let registry = policy.text("user-registry");
    let alias = registry.and_then(|registry| secrets.get(&registry));
    let alias = alias.ok_or_else(|| Fault::Unsupported(USER_SECURITY.to_owned()))?;
    let users = Value::Object(object([("secret", Value::from(alias.as_str()))]));
    Ok(vec![step("basic", object([("users", users)]))])
}
