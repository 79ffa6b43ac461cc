//! `pathRegexp`: `regexp replacement`, on the canonical path.

mod expression;
mod scratch;
mod size;

use std::borrow::Cow;
use std::sync::Arc;

use regex_automata::util::captures::Captures;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;

pub(super) use expression::Expression;

use super::go_syntax::translate;
use super::placeholder::{Piece, Template, check_length};
use super::{Halt, RewriteState};
use crate::path::normalize;

#[derive(Debug, Clone)]
pub(super) struct RegexpRule {
    expression: Arc<Expression>,
    replacement: Template,
}

// === impl RegexpRule ===

impl RegexpRule {
    /// `None`: a rule without an expression or a replacement does nothing.
    pub(super) fn parse(item: &str) -> Result<Option<Self>, String> {
        let mut words = item.split(' ');
        let (written, replacement) = (words.next().unwrap_or_default(), words.next());
        let expression = Expression::of(written)?;
        let Some(replacement) = replacement else {
            return Ok(None);
        };
        if replacement.bytes().any(|byte| byte.is_ascii_control()) {
            return Err("the replacement holds a control character".into());
        }
        let replacement = Template::parse(replacement, Some(&|name: &str| expression.group_of(name)))?;
        // The empty expression would match between any two bytes.
        Ok((!written.is_empty()).then_some(Self {
            expression,
            replacement,
        }))
    }

    pub(super) fn expression(&self) -> &Expression {
        &self.expression
    }

    pub(super) fn apply(&self, state: &mut RewriteState<'_>) -> Result<(), Halt> {
        let path = state.path.as_bytes();
        let mut replaced: Option<(Vec<u8>, usize)> = None;
        self.expression.each_match(path, &state.work, |captures, span| {
            let (out, copied) = replaced.get_or_insert_default();
            out.extend_from_slice(&path[*copied..span.start]);
            *copied = span.end;
            self.expand(captures, state, out)
        })?;
        let Some((mut out, copied)) = replaced else {
            return Ok(());
        };
        out.extend_from_slice(&path[copied..]);
        check_length(out.len())?;
        let path = normalize(&out);
        check_length(path.len())?;
        state.path = Cow::Owned(path);
        Ok(())
    }

    fn expand(&self, captures: &Captures, state: &RewriteState<'_>, out: &mut Vec<u8>) -> Result<(), Halt> {
        for piece in &self.replacement.pieces {
            let before = out.len();
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Name(name) => {
                    let mut value = String::new();
                    name.push_to_path(&mut value, state);
                    out.extend_from_slice(value.as_bytes());
                }
                Piece::Group(group) => {
                    let span = group.and_then(|group| captures.get_group(group));
                    out.extend_from_slice(span.map_or(&[][..], |span| &state.path.as_bytes()[span]));
                }
            }
            // One replacement can name a path of many KiB a thousand times.
            check_length(out.len())?;
            state.work.spend(out.len() - before + 1)?;
        }
        check_length(out.len())
    }
}

/// What the expression says, in the syntax of Go.
fn parse(written: &str) -> Result<Hir, String> {
    let wrap = |reason: String| format!("{written:?} is not a regular expression that can be used: {reason}");
    let translated = translate(written).map_err(wrap)?;
    let parsed = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(&translated);
    parsed.map_err(|error| wrap(reason_of(&error)))
}

/// The parser's message spans lines and draws an arrow; its last line says what is wrong.
fn reason_of(error: &regex_syntax::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}
