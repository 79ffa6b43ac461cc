//! The one canonical path that matching, authorisation, rewriting, logging and forwarding all use.

use std::borrow::Cow;

use thiserror::Error;

use crate::alphabet::{PATH, UNRESERVED};

/// Bytes of a target at most: as it is sent, in its canonical form, and as a backend gets it.
pub const LONGEST_TARGET: usize = 32 * 1024;

/// Why a path is not served at all. The text is the message of the 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error(
        "the path has a dot segment (\".\" or \"..\", also with a \";\" behind it); send the path that is meant"
    )]
    DotSegment,
    #[error("the path holds a control character")]
    ControlCharacter,
    #[error("the path holds a backslash")]
    Backslash,
    #[error("the path holds a space; write %20")]
    Space,
    #[error("the path holds a percent sign that is not followed by two hexadecimal digits; write %25")]
    InvalidEscape,
    #[error("the request target holds a \"#\"; a fragment is never sent")]
    Fragment,
    #[error("the request target does not begin with \"/\"")]
    NotOriginForm,
    #[error(
        "the path and query are longer than {LONGEST_TARGET} bytes once they are escaped; send fewer, or send them as a body"
    )]
    TooLong,
}

/// The canonical form of the path part of a request target (without the query).
///
/// Escapes of unreserved characters are decoded, other escapes get upper-case digits, bytes that a path may not hold are
/// escaped, everything else stays as it came. The result is ASCII. Borrows when the input is canonical already.
pub fn canonicalize(raw: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let clean = PATH.span(raw);
    if clean == raw.len() {
        let text = ascii(raw);
        check_segments(text)?;
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(raw.len() + 8);
    out.push_str(ascii(&raw[..clean]));
    let mut rest = &raw[clean..];
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match *byte {
            b'%' => {
                let decoded = escaped_byte(tail).ok_or(Refusal::InvalidEscape)?;
                rest = &tail[2..];
                push_decoded(&mut out, decoded)?;
            }
            b' ' => return Err(Refusal::Space),
            b'\\' => return Err(Refusal::Backslash),
            byte if byte.is_ascii_control() => return Err(Refusal::ControlCharacter),
            byte if is_kept(byte) => out.push(char::from(byte)),
            byte => push_escape(&mut out, byte),
        }
    }
    check_segments(&out)?;
    if out.as_bytes() == raw {
        Ok(Cow::Borrowed(ascii(raw)))
    } else {
        Ok(Cow::Owned(out))
    }
}

/// The decoded form in which paths are compared with what authors write. `%2F` stays these three bytes, so that an
/// escaped slash never separates segments. The input is canonical.
pub fn comparable(canonical: &str) -> Cow<'_, [u8]> {
    let bytes = canonical.as_bytes();
    let Some(first) = memchr::memchr(b'%', bytes) else {
        return Cow::Borrowed(bytes);
    };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while !rest.is_empty() {
        let (unit, length) = next_unit(rest);
        match unit {
            Unit::Byte(byte) => out.push(byte),
            Unit::EncodedSlash => out.extend_from_slice(b"%2F"),
        }
        rest = &rest[length..];
    }
    Cow::Owned(out)
}

/// One step of a comparison on a canonical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Byte(u8),
    EncodedSlash,
}

/// The first unit of a non-empty canonical text and how many of its bytes it takes.
pub(crate) fn next_unit(canonical: &[u8]) -> (Unit, usize) {
    match canonical {
        [b'%', tail @ ..] => match escaped_byte(tail) {
            Some(b'/') => (Unit::EncodedSlash, 3),
            Some(byte) => (Unit::Byte(byte), 3),
            None => (Unit::Byte(b'%'), 1),
        },
        [byte, ..] => (Unit::Byte(*byte), 1),
        [] => (Unit::Byte(0), 0),
    }
}

/// The canonical form of text that became a path without being a request. Escapes count if all of them are valid, else
/// every percent sign is literal. Never fails; what a path may not hold is for [`canonicalize`] to refuse.
pub(crate) fn normalize(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    push_normalized(&mut out, text, has_valid_escapes(text));
    out
}

/// As [`normalize`], with the percent signs read as the caller says.
pub(crate) fn push_normalized(out: &mut String, text: &[u8], escapes: bool) {
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let decoded = if *byte == b'%' && escapes {
            escaped_byte(tail)
        } else {
            None
        };
        match decoded {
            Some(decoded) => {
                rest = &tail[2..];
                if is_unreserved(decoded) {
                    out.push(char::from(decoded))
                } else {
                    push_escape(out, decoded)
                }
            }
            None if is_kept(*byte) => out.push(char::from(*byte)),
            None => push_escape(out, *byte),
        }
    }
}

pub(crate) fn has_valid_escapes(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).all(|at| escaped_byte(&text[at + 1..]).is_some())
}

/// The byte that the two hexadecimal digits in front stand for.
pub(crate) fn escaped_byte(digits: &[u8]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    let [high, low, ..] = digits else { return None };
    u8::try_from(value(*high)? * 16 + value(*low)?).ok()
}

/// `%XX` in upper case.
pub(crate) fn escape(byte: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [
        b'%',
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]
}

pub(crate) fn is_unreserved(byte: u8) -> bool {
    UNRESERVED.has(byte)
}

fn is_kept(byte: u8) -> bool {
    PATH.has(byte)
}

fn push_decoded(out: &mut String, byte: u8) -> Result<(), Refusal> {
    match byte {
        b'\\' => return Err(Refusal::Backslash),
        byte if byte.is_ascii_control() => return Err(Refusal::ControlCharacter),
        byte if is_unreserved(byte) => out.push(char::from(byte)),
        byte => push_escape(out, byte),
    }
    Ok(())
}

pub(crate) fn push_escape(out: &mut String, byte: u8) {
    out.extend(escape(byte).map(char::from));
}

fn check_segments(path: &str) -> Result<(), Refusal> {
    if has_dot_segment(path) {
        return Err(Refusal::DotSegment);
    }
    Ok(())
}

/// An encoded slash separates here too: a backend that decodes it would see the dot segment. So would one that takes the
/// parameters of a segment off, behind a semicolon, before it looks for dots.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    const ENDS: [&[u8]; 4] = [b"/", b"%2F", b";", b"%3B"];
    let bytes = path.as_bytes();
    for dot in memchr::memchr_iter(b'.', bytes) {
        let before = &bytes[..dot];
        let starts = before.is_empty() || before.ends_with(b"/") || before.ends_with(b"%2F");
        if !starts {
            continue;
        }
        let after = &bytes[dot + 1..];
        let after = after.strip_prefix(b".").unwrap_or(after);
        if after.is_empty() || ENDS.iter().any(|end| after.starts_with(end)) {
            return true;
        }
    }
    false
}

/// The callers have seen that every byte is ASCII.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("kept bytes are ASCII")
}
