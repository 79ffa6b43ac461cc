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
    let mut rest = path.as_bytes();
    let mut wanted = suffix.as_bytes();
    while let Some(last) = wanted.last() {
        let unit = match rest {
            [] => return path,
            // In a canonical path a percent sign begins an escape, so this is one.
            [.., b'%', _, _] => &rest[rest.len() - 3..],
            _ => &rest[rest.len() - 1..],
        };
        let left = match next_unit(unit).0 {
            Unit::Byte(byte) if byte == *last => Some(&wanted[..wanted.len() - 1]),
            Unit::EncodedSlash => wanted.strip_suffix(b"%2F"),
            Unit::Byte(_) => None,
        };
        let Some(left) = left else { return path };
        wanted = left;
        rest = &rest[..rest.len() - unit.len()];
    }
    &path[..rest.len()]
}

/// How many canonical bytes are the decoded `text` that they begin with. An encoded slash is taken whole or not at all.
pub(crate) fn eat(canonical: &[u8], text: &[u8]) -> Option<usize> {
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
