//! `rewrite`: `pattern target`. The target is a path, a query, or both.

use std::borrow::Cow;

use super::pattern;
use super::placeholder::{Name, Piece, Template, check_length, push_query_text};
use super::{Course, RewriteError};

#[derive(Debug, Clone)]
pub(super) struct RewriteRule {
    pattern: Template,
    /// Absent: the path stays.
    path: Option<Template>,
    /// Absent: the query stays.
    query: Option<Box<[Component]>>,
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
        let pattern = parse_pattern(pattern)?;
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
        Ok(Some(Self { pattern, path, query }))
    }

    pub(super) fn apply(&self, course: &mut Course<'_>) -> Result<(), RewriteError> {
        let applies = match self.pattern.literal() {
            Some(literal) => pattern::matches(literal, &course.path),
            None => pattern::matches(&self.pattern.render_raw(course, true)?, &course.path),
        };
        if !applies {
            return Ok(());
        }
        let path = self
            .path
            .as_ref()
            .map(|path| path.render_path(course))
            .transpose()?;
        let query = self
            .query
            .as_ref()
            .map(|query| render_query(query, course))
            .transpose()?;
        if let Some(path) = path {
            course.path = Cow::Owned(path);
        }
        if let Some(query) = query {
            course.query = (!query.is_empty()).then_some(Cow::Owned(query));
        }
        Ok(())
    }
}

fn parse_pattern(pattern: &str) -> Result<Template, String> {
    let template = Template::parse(pattern, None)?;
    if template
        .names()
        .any(|name| matches!(name, Name::Host | Name::Method))
    {
        return Err("only the placeholders {path} and {query} work in a pattern".into());
    }
    if template
        .literal()
        .is_some_and(|literal| !pattern::is_well_formed(literal))
    {
        return Err(format!(
            "{pattern:?} is not a valid pattern: a class is not closed, or a backslash ends it"
        ));
    }
    Ok(template)
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

fn render_query(components: &[Component], course: &Course<'_>) -> Result<Vec<u8>, RewriteError> {
    let mut out = Vec::new();
    let mut value = Vec::new();
    for component in components {
        value.clear();
        match &component.content {
            Content::WholeQuery => value.extend_from_slice(Name::Query.raw(course)),
            Content::Text(template) => {
                for piece in &template.pieces {
                    match piece {
                        Piece::Text(text) => push_query_text(&mut value, text),
                        Piece::Name(name) => name.push_to_query(&mut value, course),
                        Piece::Group(_) => {}
                    }
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
    Ok(out)
}
