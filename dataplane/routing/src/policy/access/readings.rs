//! One path, read in other ways: by servers that decode it before they take it apart, that take the parameters of segments
//! off, or that take empty segments out.

use super::Attributes;
use crate::info::RequestInfo;
use crate::path::{escaped_byte, has_dot_segment};

/// Whoever decodes more often than this reads what nobody else does.
const MOST_DECODINGS: usize = 2;

/// What else may be asked for by `path`, beside `first`. Nothing is allocated where there is one way to read it.
pub(super) fn others<'a>(
    method: &str,
    path: &str,
    query: Option<&[u8]>,
    first: &Attributes<'_>,
) -> Vec<Attributes<'a>> {
    let mut others = Vec::new();
    if !path.contains(['%', ';']) && !path.contains("//") {
        return others;
    }
    let mut paths = vec![path.to_owned()];
    while paths.len() <= MOST_DECODINGS
        && let Some(decoded) = paths.last().and_then(|path| decode(path))
    {
        paths.push(decoded);
    }
    for change in [without_parameters, merge] {
        let changed: Vec<_> = paths.iter().filter_map(|path| change(path)).collect();
        paths.extend(changed);
    }
    for path in paths.iter().skip(1) {
        let attributes = read(method, path, query);
        if attributes != *first && !others.contains(&attributes) {
            others.push(attributes);
        }
    }
    others
}

/// What a server reads in a path that is not canonical. One that leads elsewhere, or that it cannot read, is asked about
/// as a path: that is allowed to those only who may do everything.
fn read(method: &str, path: &str, query: Option<&[u8]>) -> Attributes<'static> {
    let info = RequestInfo::parse(method, path, query);
    let info = info.ok().filter(|_| !has_dot_segment(path));
    let attributes = info.as_ref().map(|info| Attributes::of(method, info));
    attributes
        .unwrap_or_else(|| Attributes::of_path(method, path))
        .into_owned()
}

/// Decoded once; absent if there is nothing to decode.
fn decode(path: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let escaped = (*byte == b'%').then(|| escaped_byte(tail)).flatten();
        match escaped {
            Some(escaped) => {
                decoded.push(escaped);
                rest = &tail[2..];
            }
            None => decoded.push(*byte),
        }
    }
    (decoded.len() < path.len()).then(|| String::from_utf8_lossy(&decoded).into_owned())
}

/// Without what stands behind a semicolon in each segment; absent if nothing does.
fn without_parameters(path: &str) -> Option<String> {
    let names = path
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default());
    path.contains(';').then(|| names.collect::<Vec<_>>().join("/"))
}

/// Without empty segments; absent if there are none.
fn merge(path: &str) -> Option<String> {
    let is_first = |at: usize| !path[..at].ends_with('/');
    let kept = path
        .char_indices()
        .filter(|(at, letter)| *letter != '/' || is_first(*at));
    path.contains("//")
        .then(|| kept.map(|(_, letter)| letter).collect())
}
