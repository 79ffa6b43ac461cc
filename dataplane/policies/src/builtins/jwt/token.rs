use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::json;
use crate::keys::Algorithm;

/// A token in its compact form, read and not yet believed.
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    /// Header and claims, as they were signed.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
    payload: &'t str,
}

/// Bytes of a token at most.
pub(super) const LONGEST: usize = 16 << 10;

// === impl Token ===

impl<'t> Token<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, &'static str> {
        let mut parts = text.split('.');
        let (Some(head), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("it has not three parts");
        };
        let header = object(head).ok_or("its header cannot be read")?;
        if header.contains_key("crit") {
            return Err("its header asks for something that is not understood");
        }
        let name = header.get("alg").and_then(Value::as_str);
        let algorithm = name
            .and_then(Algorithm::parse)
            .ok_or("its algorithm is not offered")?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err("its kid is no text"),
        };
        Ok(Self {
            algorithm,
            kid,
            signed: &text.as_bytes()[..head.len() + 1 + payload.len()],
            signature: decoded(signature).ok_or("its signature cannot be read")?,
            payload,
        })
    }

    pub(super) fn claims(&self) -> Result<Map<String, Value>, &'static str> {
        object(self.payload).ok_or("its claims cannot be read")
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn object(text: &str) -> Option<Map<String, Value>> {
    match json::read(&decoded(text)?).ok()? {
        Value::Object(members) => Some(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    }
}
