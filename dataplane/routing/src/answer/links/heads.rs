//! Links in header fields.

use std::ops::Range;

use super::lists;

/// Puts edits in their places; `None`: there are none.
pub fn splice(value: &[u8], edits: impl Iterator<Item = (Range<usize>, String)>) -> Option<Vec<u8>> {
    let mut made: Option<(Vec<u8>, usize)> = None;
    for (place, new) in edits {
        let (out, copied) = made.get_or_insert_with(|| (Vec::with_capacity(value.len() + 64), 0));
        out.extend_from_slice(&value[*copied..place.start]);
        out.extend_from_slice(new.as_bytes());
        *copied = place.end;
    }
    let (mut out, copied) = made?;
    out.extend_from_slice(&value[copied..]);
    Some(out)
}

/// The places of the targets of `Link` (RFC 8288): between angle brackets that stand in no quotes.
pub fn targets(value: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(byte) = value.get(at) {
            at += 1;
            match byte {
                b'"' => at = behind_quotes(value, at),
                b'<' => {
                    let start = at;
                    at = start + memchr::memchr(b'>', &value[start..])?;
                    return Some(start..at);
                }
                _ => {}
            }
        }
        None
    })
}

fn behind_quotes(value: &[u8], mut at: usize) -> usize {
    while let Some(byte) = value.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    value.len()
}

/// `Link`, with its targets changed.
pub fn link(value: &[u8], edit: impl Fn(&[u8]) -> Option<(Range<usize>, String)>) -> Option<Vec<u8>> {
    splice(value, targets(value).filter_map(|place| at(value, place, &edit)))
}

/// `Refresh`, with its target changed.
pub fn refresh(value: &[u8], edit: impl Fn(&[u8]) -> Option<(Range<usize>, String)>) -> Option<Vec<u8>> {
    let place = lists::refresh(value)?;
    splice(value, at(value, place, &edit).into_iter())
}

fn at(
    value: &[u8],
    place: Range<usize>,
    edit: impl Fn(&[u8]) -> Option<(Range<usize>, String)>,
) -> Option<(Range<usize>, String)> {
    let (found, new) = edit(&value[place.clone()])?;
    Some((place.start + found.start..place.start + found.end, new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scheme;
    use crate::links::PublicPrefix;

    #[test]
    fn targets_are_moved_and_nothing_else() {
        let prefix = PublicPrefix::new("", Some("/p"), Scheme::Http, "b.example");
        for (value, moved) in [
            (
                "</a.css>; rel=preload; as=style, <http://b.example/b>; title=\"</no>, \\\"</no>\"",
                Some("</p/a.css>; rel=preload; as=style, </p/b>; title=\"</no>, \\\"</no>\""),
            ),
            ("<a>, <//o.example/x>", None),
            ("</open", None),
            ("", None),
        ] {
            let seen = link(value.as_bytes(), |link| prefix.edit(link));
            assert_eq!(seen.as_deref(), moved.map(str::as_bytes), "{value}");
        }
        let seen = refresh(b"5; url=/x", |link| prefix.edit(link));
        assert_eq!(seen.as_deref(), Some(&b"5; url=/p/x"[..]));
        assert_eq!(refresh(b"5; url=x", |link| prefix.edit(link)), None);
    }
}
