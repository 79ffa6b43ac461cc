//! `pathRegexp`: `regexp replacement`, on the canonical path.

use std::borrow::Cow;

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::go_syntax::translate;
use super::placeholder::{Piece, Template, check_length};
use super::{Course, RewriteError};
use crate::path::normalize;

#[derive(Debug, Clone)]
pub(super) struct RegexpRule {
    regexp: Regex,
    replacement: Template,
}

/// Of the compiled program; an ordinary expression takes a few KiB.
const MAX_PROGRAM: usize = 1 << 20;

// === impl RegexpRule ===

impl RegexpRule {
    /// `None`: a rule without a replacement does nothing.
    pub(super) fn parse(item: &str) -> Result<Option<Self>, String> {
        let mut words = item.split(' ');
        let (written, replacement) = (words.next().unwrap_or_default(), words.next());
        let regexp = compile(written)?;
        let Some(replacement) = replacement else {
            return Ok(None);
        };
        if replacement.bytes().any(|byte| byte.is_ascii_control()) {
            return Err("the replacement holds a control character".into());
        }
        let replacement = Template::parse(replacement, Some(&|name: &str| group_of(&regexp, name)))?;
        Ok(Some(Self { regexp, replacement }))
    }

    pub(super) fn apply(&self, course: &mut Course<'_>) -> Result<(), RewriteError> {
        let path = course.path.as_bytes();
        // Asking for captures allocates, even in vain.
        if !self.regexp.is_match(path) {
            return Ok(());
        }
        let mut out = Vec::new();
        let mut copied = 0;
        for captures in self.regexp.captures_iter(path) {
            let Some(whole) = captures.get(0) else { continue };
            out.extend_from_slice(&path[copied..whole.start()]);
            self.expand(&captures, course, &mut out);
            check_length(out.len())?;
            copied = whole.end();
        }
        out.extend_from_slice(&path[copied..]);
        let path = normalize(&out);
        check_length(path.len())?;
        course.path = Cow::Owned(path);
        Ok(())
    }

    fn expand(&self, captures: &Captures<'_>, course: &Course<'_>, out: &mut Vec<u8>) {
        for piece in &self.replacement.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Name(name) => {
                    let mut value = String::new();
                    name.push_to_path(&mut value, course);
                    out.extend_from_slice(value.as_bytes());
                }
                Piece::Group(group) => {
                    let group = group.and_then(|group| captures.get(group));
                    out.extend_from_slice(group.map_or(&[][..], |group| group.as_bytes()));
                }
            }
        }
    }
}

fn compile(written: &str) -> Result<Regex, String> {
    let wrap = |reason: String| format!("{written:?} is not a regular expression that can be used: {reason}");
    let translated = translate(written).map_err(wrap)?;
    let built = RegexBuilder::new(&translated)
        .unicode(false)
        .size_limit(MAX_PROGRAM)
        .dfa_size_limit(MAX_PROGRAM)
        .build();
    built.map_err(|error| wrap(reason_of(&error)))
}

/// The parser's message spans lines and draws an arrow; its last line says what is wrong.
fn reason_of(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large when compiled; repeat less".into(),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}

fn group_of(regexp: &Regex, name: &str) -> Option<usize> {
    match name.parse::<usize>() {
        Ok(number) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            (number < regexp.captures_len()).then_some(number)
        }
        _ => regexp.capture_names().position(|known| known == Some(name)),
    }
}
