//! The pattern of a rewrite rule: what it is compared with, and how.

use std::borrow::Cow;

use super::clean::clean_path;
use super::glob::Glob;
use super::work::{Spent, Work};
use crate::path::{Unit, comparable, next_unit};

/// A pattern whose placeholders are filled in, ready for use.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: Box<[u8]>,
    shape: Shape,
    /// It names no empty segment itself.
    merges_slashes: bool,
}

/// How a pattern reads.
#[derive(Debug, Clone)]
enum Shape {
    Any,
    /// It holds a percent sign: compared with the path as it is escaped.
    Escaped(Glob),
    Contains,
    Suffix,
    Prefix,
    Glob(Glob),
}

// === impl Pattern ===

impl Pattern {
    /// `None`: it is malformed, and would never take anything.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let shape = match (memchr::memchr_iter(b'*', text).count(), text) {
            (1, b"*") => Shape::Any,
            _ if text.contains(&b'%') => Shape::Escaped(Glob::parse(&replace_escaped_stars(text))?),
            (2, [b'*', .., b'*']) => Shape::Contains,
            (1, [b'*', ..]) => Shape::Suffix,
            (1, [.., b'*']) => Shape::Prefix,
            _ => Shape::Glob(Glob::parse(text)?),
        };
        let merges_slashes = memchr::memmem::find(text, b"//").is_none();
        Some(Self {
            text: text.into(),
            shape,
            merges_slashes,
        })
    }

    /// Does it take this canonical path?
    pub(super) fn matches(&self, path: &str, work: &Work) -> Result<bool, Spent> {
        match &self.shape {
            Shape::Any => return Ok(true),
            Shape::Escaped(glob) => {
                work.spend(path.len() + self.text.len())?;
                let path = clean_path(path.as_bytes(), self.merges_slashes);
                return glob.matches(&align(&self.text, &path), work);
            }
            _ => {}
        }
        work.spend(path.len() + self.text.len())?;
        let decoded = comparable(path);
        let lower = lower_case(&decoded);
        let path = clean_path(&lower, self.merges_slashes);
        let text = &*self.text;
        Ok(match &self.shape {
            Shape::Contains => memchr::memmem::find(&path, &text[1..text.len() - 1]).is_some(),
            Shape::Suffix => path.ends_with(&text[1..]),
            Shape::Prefix => path.starts_with(&text[..text.len() - 1]),
            Shape::Glob(glob) => return glob.matches(&path, work),
            Shape::Any | Shape::Escaped(_) => false,
        })
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
