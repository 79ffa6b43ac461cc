//! `replace`: `find replacement`, on the canonical path and on the query.

use std::borrow::Cow;

use super::clean::clean_path;
use super::placeholder::{Template, check_length, push_query_text};
use super::{Halt, RewriteState};
use crate::path::normalize;

#[derive(Debug, Clone)]
pub(super) struct ReplaceRule {
    find: Template,
    replacement: Template,
    /// The text to find names an empty segment itself.
    keeps_slashes: bool,
}

// === impl ReplaceRule ===

impl ReplaceRule {
    /// `None`: without a text to find or a replacement, nothing happens.
    pub(super) fn parse(item: &str) -> Result<Option<Self>, String> {
        let mut words = item.split(' ');
        let find = words.next().unwrap_or_default();
        let Some(replacement) = words.next() else {
            Template::parse(find, None)?;
            return Ok(None);
        };
        if replacement.bytes().any(|byte| byte.is_ascii_control()) {
            return Err("the replacement holds a control character".into());
        }
        let rule = Self {
            find: Template::parse(find, None)?,
            replacement: Template::parse(replacement, None)?,
            keeps_slashes: find.contains("//"),
        };
        Ok((!find.is_empty()).then_some(rule))
    }

    pub(super) fn apply(&self, state: &mut RewriteState<'_>) -> Result<(), Halt> {
        let find = self.find.render_raw(state, false)?;
        let replacement = self.replacement.render_raw(state, false)?;
        let query_length = state.query.as_deref().map_or(0, <[u8]>::len);
        state.work.spend(state.path.len() + query_length + find.len())?;
        let cleaned = if state.path.is_empty() {
            Cow::Borrowed(&b""[..])
        } else {
            clean_path(state.path.as_bytes(), !self.keeps_slashes)
        };
        let path = match replace_all(&cleaned, &find, &replacement)? {
            Some(replaced) => Some(normalize(&replaced)),
            None if *cleaned != *state.path.as_bytes() => Some(normalize(&cleaned)),
            None => None,
        };
        let query = state.query.as_deref().unwrap_or_default();
        let query = replace_all(query, &find, &replacement)?;
        if let Some(path) = path {
            check_length(path.len())?;
            state.path = Cow::Owned(path);
        }
        if let Some(replaced) = query {
            let mut query = Vec::with_capacity(replaced.len());
            push_query_text(&mut query, &replaced);
            check_length(query.len())?;
            state.query = (!query.is_empty()).then_some(Cow::Owned(query));
        }
        Ok(())
    }
}

/// `None`: the text does not occur.
fn replace_all(text: &[u8], find: &[u8], replacement: &[u8]) -> Result<Option<Vec<u8>>, Halt> {
    if find.is_empty() {
        return Ok(None);
    }
    let mut out = Vec::new();
    let mut copied = 0;
    for at in memchr::memmem::find_iter(text, find) {
        out.extend_from_slice(&text[copied..at]);
        out.extend_from_slice(replacement);
        check_length(out.len())?;
        copied = at + find.len();
    }
    // An occurrence is never empty, so something was passed if there was one.
    if copied == 0 {
        return Ok(None);
    }
    out.extend_from_slice(&text[copied..]);
    Ok(Some(out))
}
