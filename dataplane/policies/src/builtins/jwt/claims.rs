use std::time::Duration;

use serde_json::{Map, Value};

use super::Wrong;

/// What the claims of a token have to say.
pub(super) struct Asked {
    pub(super) issuer: Option<String>,
    /// One of them is enough.
    pub(super) audiences: Box<[String]>,
    pub(super) required: Box<[String]>,
    pub(super) leeway: Duration,
    /// Each has to hold all of these.
    pub(super) claims: Box<[(String, Value)]>,
}

type Claims = Map<String, Value>;

// === impl Asked ===

impl Asked {
    pub(super) fn judge(&self, claims: &Claims, now: Duration) -> Result<(), Wrong> {
        if self.required.iter().any(|name| !claims.contains_key(name)) {
            return Err(Wrong::Token("a claim that it needs is missing"));
        }
        let exp = time(claims, "exp")?;
        if exp.is_some_and(|exp| now >= exp + self.leeway) {
            return Err(Wrong::Token("it is expired"));
        }
        let nbf = time(claims, "nbf")?;
        if nbf.is_some_and(|nbf| now + self.leeway < nbf) {
            return Err(Wrong::Token("it is not valid yet"));
        }
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(Wrong::Token("it is of another issuer"));
        }
        let is_wanted = |value: &Value| {
            let audience = value.as_str();
            audience.is_some_and(|audience| self.audiences.iter().any(|wanted| wanted == audience))
        };
        let is_for_us = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_wanted),
            Some(one) => is_wanted(one),
            None => false,
        };
        if !self.audiences.is_empty() && !is_for_us {
            return Err(Wrong::Token("it is for another audience"));
        }
        let has_all = |(name, wanted): &(String, Value)| {
            let all = wanted
                .as_array()
                .map_or(std::slice::from_ref(wanted), Vec::as_slice);
            all.iter().all(|one| has(claims, name, one))
        };
        if self.claims.iter().all(has_all) {
            Ok(())
        } else {
            Err(Wrong::Claims("a claim does not hold what is asked for"))
        }
    }

    /// When it is no longer good.
    pub(super) fn end_of(&self, claims: &Claims) -> Duration {
        match time(claims, "exp") {
            Ok(Some(exp)) => exp + self.leeway,
            Ok(None) | Err(_) => Duration::MAX,
        }
    }
}

fn has(claims: &Claims, name: &str, wanted: &Value) -> bool {
    match claims.get(name) {
        None => false,
        Some(Value::Array(all)) => all.contains(wanted),
        Some(Value::String(words)) if matches!(name, "scope" | "scp") => {
            words.split(' ').any(|word| wanted.as_str() == Some(word))
        }
        Some(one) => one == wanted,
    }
}

fn time(claims: &Claims, name: &str) -> Result<Option<Duration>, Wrong> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|seconds| (0.0..1e15).contains(seconds));
    match seconds {
        Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
        None => Err(Wrong::Token("one of its times is no number")),
    }
}
