//! `stripPathPrefix` and `stripPathSuffix`: written decoded, cut from the canonical path.

use crate::path::{Unit, next_unit};

/// What was cut off, if anything, and what is left.
pub(super) fn prefix<'a>(path: &'a str, prefix: &str) -> (Option<&'a str>, &'a str) {
    if prefix.is_empty() {
        return (None, path);
    }
    match eat(path.as_bytes(), prefix.as_bytes()) {
        Some(length) => (Some(&path[..length]), &path[length..]),
        None => (None, path),
    }
}

pub(super) fn suffix<'a>(path: &'a str, suffix: &str) -> &'a str {
    if suffix.is_empty() {
        return path;
    }
    // The cut lies at the start of a unit from which the rest of the path is the suffix, no more and no less.
    let bytes = path.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes.len() - at <= suffix.len() * 3
            && eat(&bytes[at..], suffix.as_bytes()) == Some(bytes.len() - at)
        {
            return &path[..at];
        }
        at += next_unit(&bytes[at..]).1;
    }
    path
}

/// How many canonical bytes are the decoded `text` that they begin with. An encoded slash is taken whole or not at all.
fn eat(canonical: &[u8], text: &[u8]) -> Option<usize> {
    let mut taken = 0;
    let mut wanted = text;
    while let Some(first) = wanted.first() {
        if taken == canonical.len() {
            return None;
        }
        let (unit, length) = next_unit(&canonical[taken..]);
        wanted = match unit {
            Unit::Byte(byte) if byte == *first => &wanted[1..],
            Unit::EncodedSlash => wanted.strip_prefix(b"%2F")?,
            Unit::Byte(_) => return None,
        };
        taken += length;
    }
    Some(taken)
}
