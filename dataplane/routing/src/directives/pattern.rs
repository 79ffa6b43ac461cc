//! The pattern of a rewrite rule: what it is compared with, and how.

use std::borrow::Cow;

use super::clean::clean_path;
use super::glob;
use crate::path::{Unit, comparable, next_unit};

/// How a pattern reads.
#[derive(Debug, PartialEq, Eq)]
enum Shape<'p> {
    Any,
    /// It holds a percent sign: compared with the path as it is escaped.
    Escaped,
    Contains(&'p [u8]),
    Suffix(&'p [u8]),
    Prefix(&'p [u8]),
    Glob,
}

/// Does the pattern, with its placeholders filled in, take this canonical path?
pub(super) fn matches(pattern: &[u8], path: &str) -> bool {
    let shape = shape_of(pattern);
    if shape == Shape::Any {
        return true;
    }
    let merge = memchr::memmem::find(pattern, b"//").is_none();
    if shape == Shape::Escaped {
        let path = clean_path(path.as_bytes(), merge);
        let pattern_in_glob = replace_escaped_stars(pattern);
        return glob::matches(&pattern_in_glob, &align(pattern, &path));
    }
    let decoded = comparable(path);
    let lower = lower_case(&decoded);
    let path = clean_path(&lower, merge);
    match shape {
        Shape::Contains(part) => memchr::memmem::find(&path, part).is_some(),
        Shape::Suffix(part) => path.ends_with(part),
        Shape::Prefix(part) => path.starts_with(part),
        _ => glob::matches(pattern, &path),
    }
}

/// Could the pattern ever take anything? Only a malformed glob cannot.
pub(super) fn is_well_formed(pattern: &[u8]) -> bool {
    match shape_of(pattern) {
        Shape::Escaped => glob::is_well_formed(&replace_escaped_stars(pattern)),
        Shape::Glob => glob::is_well_formed(pattern),
        _ => true,
    }
}

fn shape_of(pattern: &[u8]) -> Shape<'_> {
    if pattern == b"*" {
        return Shape::Any;
    }
    if pattern.contains(&b'%') {
        return Shape::Escaped;
    }
    match (memchr::memchr_iter(b'*', pattern).count(), pattern) {
        (2, [b'*', middle @ .., b'*']) => Shape::Contains(middle),
        (1, [b'*', suffix @ ..]) => Shape::Suffix(suffix),
        (1, [prefix @ .., b'*']) => Shape::Prefix(prefix),
        _ => Shape::Glob,
    }
}

/// The path in the form in which the pattern is written: where the pattern has an escape or `%*`, the path stays escaped (in
/// lower case), elsewhere it is decoded. An encoded slash is never decoded.
fn align(pattern: &[u8], path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let (mut in_pattern, mut at) = (0, 0);
    while in_pattern < pattern.len() && at < path.len() {
        let (unit, length) = next_unit(&path[at..]);
        let here = &path[at..at + length];
        match &pattern[in_pattern..] {
            [b'%', b'*', ..] => {
                let span = span_of_star(pattern.get(in_pattern + 2), &path[at..]);
                push_escaped(&mut out, &path[at..at + span]);
                at += span;
                in_pattern += 2;
            }
            [b'%', _, _, ..] => {
                push_escaped(&mut out, here);
                at += length;
                in_pattern += 3;
            }
            [b'*', ..] => {
                let span = span_of_star(pattern.get(in_pattern + 1), &path[at..]);
                push_decoded(&mut out, &path[at..at + span]);
                at += span;
                in_pattern += 1;
            }
            _ => {
                push_unit(&mut out, unit);
                at += length;
                in_pattern += 1;
            }
        }
    }
    push_decoded(&mut out, &path[at..]);
    out
}

/// A star reaches to the character that the pattern wants next, or to the end.
fn span_of_star(next: Option<&u8>, path: &[u8]) -> usize {
    next.and_then(|&next| memchr::memchr(next, path))
        .unwrap_or(path.len())
}

/// Escapes in lower case, everything else as it is.
fn push_escaped(out: &mut Vec<u8>, path: &[u8]) {
    let mut rest = path;
    while !rest.is_empty() {
        let (_, length) = next_unit(rest);
        let unit = &rest[..length];
        if length == 3 {
            out.extend(unit.iter().map(u8::to_ascii_lowercase))
        } else {
            out.extend_from_slice(unit)
        }
        rest = &rest[length..];
    }
}

fn push_decoded(out: &mut Vec<u8>, path: &[u8]) {
    let mut rest = path;
    while !rest.is_empty() {
        let (unit, length) = next_unit(rest);
        push_unit(out, unit);
        rest = &rest[length..];
    }
}

fn push_unit(out: &mut Vec<u8>, unit: Unit) {
    match unit {
        Unit::Byte(byte) => out.push(byte),
        Unit::EncodedSlash => out.extend_from_slice(b"%2f"),
    }
}

fn replace_escaped_stars(pattern: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' || tail.first() != Some(&b'*') {
            out.push(*first);
        }
    }
    out
}

/// Characters that are one character in lower case too; bytes that are no UTF-8 stay.
fn lower_case(text: &[u8]) -> Cow<'_, [u8]> {
    if text
        .iter()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Cow::Borrowed(text);
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return Cow::Owned(text.to_ascii_lowercase());
    };
    let lower = |character: char| {
        let mut lower = character.to_lowercase();
        match (lower.next(), lower.next()) {
            (Some(only), None) => only,
            _ => character,
        }
    };
    Cow::Owned(text.chars().map(lower).collect::<String>().into_bytes())
}
