use std::cmp::Reverse;

use genkan_routing::canonicalize;

/// A path of a document: `/items/{id}.json`.
#[derive(Debug)]
pub(super) struct Template {
    segments: Vec<Segment>,
}

/// What is written out between parameters: one part without any, and else one more than there are parameters.
#[derive(Debug)]
struct Segment(Vec<String>);

// === impl Template ===

impl Template {
    /// # Errors
    /// Why it is no path, in one sentence.
    pub(super) fn parse(path: &str) -> Result<Self, String> {
        let inside = path.strip_prefix('/').unwrap_or(path);
        let segments = inside.split('/').map(|segment| {
            let mut parts = Vec::new();
            let mut rest = segment;
            while let Some((before, after)) = rest.split_once('{') {
                let (_, after) = after
                    .split_once('}')
                    .ok_or_else(|| format!("{path}: {{ is not closed by }}"))?;
                parts.push(canonical(before).map_err(|error| format!("{path}: {error}"))?);
                rest = after;
            }
            parts.push(canonical(rest).map_err(|error| format!("{path}: {error}"))?);
            Ok(Segment(parts))
        });
        let segments = segments.collect::<Result<_, String>>()?;
        Ok(Self { segments })
    }

    /// A canonical path, whole.
    pub(super) fn matches(&self, path: &str) -> bool {
        let Some(inside) = path.strip_prefix('/') else {
            return false;
        };
        let mut segments = inside.split('/');
        self.segments
            .iter()
            .all(|known| segments.next().is_some_and(|segment| known.matches(segment)))
            && segments.next().is_none()
    }

    /// Smaller is looked at first: segment by segment what is written out, then what has more that is.
    pub(super) fn precedence(&self) -> Vec<(usize, Reverse<usize>)> {
        let each = self.segments.iter().map(|Segment(parts)| {
            let written = parts.iter().map(String::len).sum();
            (parts.len() - 1, Reverse(written))
        });
        each.collect()
    }
}

// === impl Segment ===

impl Segment {
    /// Each parameter is at least one byte.
    fn matches(&self, segment: &str) -> bool {
        let Self(parts) = self;
        let [first, middle @ .., last] = &**parts else {
            return parts.iter().all(|part| part == segment);
        };
        let Some(mut rest) = segment.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in middle {
            let found = rest.get(1..).and_then(|behind| behind.find(part.as_str()));
            let Some(at) = found else {
                return false;
            };
            rest = &rest[1 + at + part.len()..];
        }
        rest.len() > last.len() && rest.ends_with(last.as_str())
    }
}

fn canonical(part: &str) -> Result<String, genkan_routing::Refusal> {
    let path = format!("/{}", part.replace(' ', "%20"));
    // A dot alone would be a segment that leads elsewhere, and here it is part of one.
    if part.bytes().all(|byte| byte == b'.') {
        return Ok(part.to_owned());
    }
    Ok(canonicalize(path.as_bytes())?[1..].to_owned())
}
