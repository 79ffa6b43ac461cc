//! The request target in origin form: a canonical path and the query as it came.

use std::borrow::Cow;

use crate::path::{LONGEST_TARGET, Refusal, canonicalize, escaped_byte};

/// A request target, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    /// Canonical; begins with a slash.
    pub path: Cow<'a, str>,
    /// Without the question mark; `Some` of nothing when the target ends with one.
    pub query: Option<&'a [u8]>,
}

// === impl Target ===

impl Target<'_> {
    /// Reads an origin-form target.
    pub fn parse(raw: &[u8]) -> Result<Target<'_>, Refusal> {
        if memchr::memchr(b'#', raw).is_some() {
            return Err(Refusal::Fragment);
        }
        let (path, query) = match memchr::memchr(b'?', raw) {
            Some(at) => (&raw[..at], Some(&raw[at + 1..])),
            None => (raw, None),
        };
        if !path.starts_with(b"/") {
            return Err(Refusal::NotOriginForm);
        }
        let path = canonicalize(path)?;
        // What is not ASCII takes three times as much.
        if path.len() + query.map_or(0, |query| query.len() + 1) > LONGEST_TARGET {
            return Err(Refusal::TooLong);
        }
        Ok(Target { path, query })
    }
}

/// Keys and values of a form-encoded query, decoded. Pairs with a bad escape or a semicolon are left out, as Go does.
pub fn parameters(query: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split(|&byte| byte == b'&').filter_map(|pair| {
        if pair.is_empty() || pair.contains(&b';') {
            return None;
        }
        let (key, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[pair.len()..]),
        };
        Some((form_decode(key)?, form_decode(value)?))
    })
}

fn form_decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                out.push(escaped_byte(tail)?);
                rest = &tail[2..];
            }
            byte => out.push(*byte),
        }
    }
    Some(Cow::Owned(out))
}
