//! Text with placeholders, parsed once.

use std::borrow::Cow;

use super::{Halt, MAX_RESULT, RewriteState};
use crate::path::{comparable, escape, has_valid_escapes, is_unreserved, normalize, push_normalized};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Box<[u8]>),
    Name(Name),
    /// A capture group; none of this number exists when it is `None`.
    Group(Option<usize>),
}

/// What a placeholder stands for: the request as it is when the rule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Path,
    Query,
    Host,
    Method,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) pieces: Box<[Piece]>,
}

/// Finds the group of a name or number; `None` where groups mean nothing.
type Groups<'g> = Option<&'g dyn Fn(&str) -> Option<usize>>;

// === impl Name ===

impl Name {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "path" | "http.request.uri.path" => Self::Path,
            "query" | "http.request.uri.query" => Self::Query,
            "host" => Self::Host,
            "method" => Self::Method,
            _ => return None,
        })
    }

    /// As it is.
    pub(super) fn raw<'c>(self, state: &'c RewriteState<'_>) -> &'c [u8] {
        match self {
            Self::Path => state.path.as_bytes(),
            Self::Query => state.query.as_deref().unwrap_or_default(),
            Self::Host => state.host.as_bytes(),
            Self::Method => state.method.as_bytes(),
        }
    }

    /// As a part of a path: what is not canonical yet becomes so.
    pub(super) fn push_to_path(self, out: &mut String, state: &RewriteState<'_>) {
        match self {
            Self::Path => out.push_str(&state.path),
            Self::Query => out.push_str(&normalize(self.raw(state))),
            Self::Host | Self::Method => push_normalized(out, self.raw(state), false),
        }
    }

    /// As a part of a query: all but unreserved characters are escaped, once more if they were.
    pub(super) fn push_to_query(self, out: &mut Vec<u8>, state: &RewriteState<'_>) {
        for &byte in self.raw(state) {
            if is_unreserved(byte) {
                out.push(byte)
            } else {
                out.extend_from_slice(&escape(byte))
            }
        }
    }
}

// === impl Template ===

impl Template {
    /// `\{` and `\}` are braces; an open one that is never closed is literal.
    pub(super) fn parse(text: &str, groups: Groups<'_>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            let piece = match first {
                b'\\' if matches!(tail.first(), Some(b'{' | b'}')) => {
                    literal.push(tail[0]);
                    rest = &tail[1..];
                    continue;
                }
                b'{' => named(&mut rest)?,
                b'$' if groups.is_some() => group(&mut rest, &mut literal, groups),
                _ => None,
            };
            match piece {
                None => literal.push(*first),
                Some(Piece::Text(_)) => {}
                Some(piece) => {
                    flush(&mut pieces, &mut literal);
                    pieces.push(piece);
                }
            }
        }
        flush(&mut pieces, &mut literal);
        Ok(Self {
            pieces: pieces.into(),
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(*name),
            _ => None,
        })
    }

    /// The text of a template without placeholders.
    pub(super) fn literal(&self) -> Option<&[u8]> {
        match &*self.pieces {
            [] => Some(&[]),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Is every escape in the text valid? If not, its percent signs are literal.
    pub(super) fn has_valid_escapes(&self) -> bool {
        self.pieces.iter().all(|piece| match piece {
            Piece::Text(text) => has_valid_escapes(text),
            _ => true,
        })
    }

    /// As a path.
    pub(super) fn render_path(&self, state: &RewriteState<'_>) -> Result<String, Halt> {
        let escapes = self.has_valid_escapes();
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => push_normalized(&mut out, text, escapes),
                Piece::Name(name) => name.push_to_path(&mut out, state),
                Piece::Group(_) => {}
            }
            check_length(out.len())?;
        }
        state.work.spend(out.len())?;
        Ok(out)
    }

    /// With the values as they are; the path decoded where `decoded` says so.
    pub(super) fn render_raw(&self, state: &RewriteState<'_>, decoded: bool) -> Result<Cow<'_, [u8]>, Halt> {
        if let Some(literal) = self.literal() {
            return Ok(Cow::Borrowed(literal));
        }
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Name(Name::Path) if decoded => out.extend_from_slice(&comparable(&state.path)),
                Piece::Name(name) => out.extend_from_slice(name.raw(state)),
                Piece::Group(_) => {}
            }
            check_length(out.len())?;
        }
        state.work.spend(out.len())?;
        Ok(Cow::Owned(out))
    }
}

pub(super) fn check_length(length: usize) -> Result<(), Halt> {
    if length > MAX_RESULT {
        Err(Halt::TooLong)
    } else {
        Ok(())
    }
}

/// Bytes that would end the query, or the request line, become escapes.
pub(super) fn push_query_text(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        if byte <= b' ' || byte >= 0x7F || byte == b'#' {
            out.extend_from_slice(&escape(byte));
        } else {
            out.push(byte);
        }
    }
}

fn flush(pieces: &mut Vec<Piece>, literal: &mut Vec<u8>) {
    if !literal.is_empty() {
        pieces.push(Piece::Text(std::mem::take(literal).into()));
    }
}

/// The placeholder behind an open brace; `None` when the brace is never closed.
fn named(rest: &mut &[u8]) -> Result<Option<Piece>, String> {
    let Some(end) = closing_brace(rest) else {
        return Ok(None);
    };
    let name = String::from_utf8_lossy(&rest[..end]);
    let Some(known) = Name::parse(&name) else {
        return Err(format!(
            "unknown placeholder {{{name}}}; {{path}}, {{query}}, {{host}} and {{method}} exist"
        ));
    };
    *rest = &rest[end + 1..];
    Ok(Some(Piece::Name(known)))
}

fn closing_brace(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'}', text).find(|&at| at == 0 || text[at - 1] != b'\\')
}

/// What follows a dollar sign. `None`: the sign is literal; a piece of text: it has gone into `literal`.
fn group(rest: &mut &[u8], literal: &mut Vec<u8>, groups: Groups<'_>) -> Option<Piece> {
    let text = *rest;
    let word = |text: &[u8]| {
        text.iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count()
    };
    let (name, after) = match text {
        [b'$', ..] => {
            literal.push(b'$');
            *rest = &text[1..];
            return Some(Piece::Text(Box::default()));
        }
        [b'{', braced @ ..] => {
            let length = word(braced);
            if length == 0 || braced.get(length) != Some(&b'}') {
                return None;
            }
            (&braced[..length], &braced[length + 1..])
        }
        _ => {
            let length = word(text);
            if length == 0 {
                return None;
            }
            text.split_at(length)
        }
    };
    *rest = after;
    let name = std::str::from_utf8(name).unwrap_or_default();
    Some(Piece::Group(groups.and_then(|find| find(name))))
}
