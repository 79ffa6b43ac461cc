//! `rewrite`: `pattern target`. The target is a path, a query, or both.

use std::borrow::Cow;

use super::pattern::Pattern;
use super::placeholder::{Name, Piece, Template, check_length, push_query_text};
use super::{Halt, RewriteState};

#[derive(Debug, Clone)]
pub(super) struct RewriteRule {
    condition: Condition,
    /// Absent: the path stays.
    path: Option<Template>,
    /// Absent: the query stays.
    query: Option<Box<[Component]>>,
}

#[derive(Debug, Clone)]
enum Condition {
    Fixed(Pattern),
    /// With placeholders.
    Open(Template),
}

/// A key or a value of the query.
#[derive(Debug, Clone)]
struct Component {
    is_value: bool,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// `{query}` alone between two ampersands: the old query, unescaped.
    WholeQuery,
    Text(Template),
}

// === impl RewriteRule ===

impl RewriteRule {
    /// `None`: a rule without a target does nothing.
    pub(super) fn parse(item: &str) -> Result<Option<Self>, String> {
        let mut words = item.split(' ');
        let (pattern, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let condition = Condition::parse(pattern)?;
        if target.is_empty() {
            return Ok(None);
        }
        if target.bytes().any(|byte| byte.is_ascii_control()) {
            return Err("the target holds a control character".into());
        }
        let target = target.split_once('#').map_or(target, |(before, _)| before);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let path = if path.is_empty() {
            None
        } else {
            Some(Template::parse(path, None)?)
        };
        let query = query.map(parse_query).transpose()?;
        Ok(Some(Self {
            condition,
            path,
            query,
        }))
    }

    pub(super) fn apply(&self, state: &mut RewriteState<'_>) -> Result<(), Halt> {
        if !self.condition.holds(state)? {
            return Ok(());
        }
        let path = self
            .path
            .as_ref()
            .map(|path| path.render_path(state))
            .transpose()?;
        let query = self
            .query
            .as_ref()
            .map(|query| render_query(query, state))
            .transpose()?;
        if let Some(path) = path {
            state.path = Cow::Owned(path);
        }
        if let Some(query) = query {
            state.query = (!query.is_empty()).then_some(Cow::Owned(query));
        }
        Ok(())
    }
}

// === impl Condition ===

impl Condition {
    fn parse(pattern: &str) -> Result<Self, String> {
        let template = Template::parse(pattern, None)?;
        if template
            .names()
            .any(|name| matches!(name, Name::Host | Name::Method))
        {
            return Err("only the placeholders {path} and {query} work in a pattern".into());
        }
        let Some(literal) = template.literal() else {
            return Ok(Self::Open(template));
        };
        Pattern::parse(literal).map(Self::Fixed).ok_or_else(|| {
            format!("{pattern:?} is not a valid pattern: a class is not closed, or a backslash ends it")
        })
    }

    fn holds(&self, state: &RewriteState<'_>) -> Result<bool, Halt> {
        match self {
            Self::Fixed(pattern) => Ok(pattern.matches(&state.path, &state.work)?),
            Self::Open(template) => {
                let pattern = Pattern::parse(&template.render_raw(state, true)?);
                let matches = pattern.map(|pattern| pattern.matches(&state.path, &state.work));
                Ok(matches.transpose()?.unwrap_or_default())
            }
        }
    }
}

/// A query is cut at `&` and `=`; a value at the very end that is empty loses its `=`.
fn parse_query(query: &str) -> Result<Box<[Component]>, String> {
    let mut components = Vec::new();
    let mut is_value = false;
    let mut rest = query;
    while !rest.is_empty() {
        let end = rest.find(['&', '=']).unwrap_or(rest.len());
        let (text, delimiter) = (&rest[..end], rest[end..].chars().next());
        let template = Template::parse(text, None)?;
        let whole = !is_value && delimiter != Some('=') && *template.pieces == [Piece::Name(Name::Query)];
        let content = if whole {
            Content::WholeQuery
        } else {
            Content::Text(template)
        };
        components.push(Component { is_value, content });
        is_value = delimiter == Some('=');
        rest = &rest[(end + 1).min(rest.len())..];
    }
    Ok(components.into())
}

fn render_query(components: &[Component], state: &RewriteState<'_>) -> Result<Vec<u8>, Halt> {
    let mut out = Vec::new();
    let mut value = Vec::new();
    for component in components {
        value.clear();
        match &component.content {
            Content::WholeQuery => value.extend_from_slice(Name::Query.raw(state)),
            Content::Text(template) => {
                for piece in &template.pieces {
                    match piece {
                        Piece::Text(text) => push_query_text(&mut value, text),
                        Piece::Name(name) => name.push_to_query(&mut value, state),
                        Piece::Group(_) => {}
                    }
                    // One value can name a query of many KiB a thousand times.
                    check_length(value.len())?;
                }
            }
        }
        if component.is_value {
            out.push(b'=');
        } else if !out.is_empty() && !value.is_empty() {
            out.push(b'&');
        }
        out.extend_from_slice(&value);
        check_length(out.len())?;
    }
    state.work.spend(out.len())?;
    Ok(out)
}
