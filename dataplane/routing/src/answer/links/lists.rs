//! Values that hold several links, or more than a link.

use std::ops::Range;

/// The places of links with blanks between them.
pub fn words(list: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + list[at..].iter().position(|byte| !is_blank(*byte))?;
        let length = list[start..].iter().position(|byte| is_blank(*byte));
        at = length.map_or(list.len(), |length| start + length);
        Some(start..at)
    })
}

/// The places of links of `srcset`, as the HTML standard reads it.
pub fn candidates(list: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let is_between = |byte: u8| is_blank(byte) || byte == b',';
        let start = at + list[at..].iter().position(|byte| !is_between(*byte))?;
        let length = list[start..].iter().position(|byte| is_blank(*byte));
        let mut end = length.map_or(list.len(), |length| start + length);
        at = end;
        if list[..end].ends_with(b",") {
            while list[..end].ends_with(b",") {
                end -= 1;
            }
        } else {
            at = behind_descriptors(list, at);
        }
        Some(start..end)
    })
}

/// A comma ends them, if it does not stand in brackets.
fn behind_descriptors(list: &[u8], mut at: usize) -> usize {
    let mut is_open = false;
    while let Some(byte) = list.get(at) {
        at += 1;
        match byte {
            b'(' => is_open = true,
            b')' => is_open = false,
            b',' if !is_open => break,
            _ => {}
        }
    }
    at
}

/// The place of the link in `Refresh` and its like: `5; url='/x'`.
pub fn refresh(value: &[u8]) -> Option<Range<usize>> {
    let skip = |at: usize, is: fn(u8) -> bool| {
        let rest = value.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| is(**byte)).count()
    };
    let time = skip(0, is_blank);
    let mut at = skip(time, |byte| byte.is_ascii_digit() || byte == b'.');
    if at == time {
        return None;
    }
    let blanks = skip(at, is_blank);
    if blanks == at && !matches!(value.get(at), Some(b';' | b',')) {
        return None;
    }
    at = blanks + usize::from(matches!(value.get(blanks), Some(b';' | b',')));
    at = skip(at, is_blank);
    let is_named = (value.get(at..at + 3)).is_some_and(|name| name.eq_ignore_ascii_case(b"url"));
    if is_named {
        let equals = skip(at + 3, is_blank);
        if value.get(equals) == Some(&b'=') {
            at = skip(equals + 1, is_blank);
        }
    }
    let end = match value.get(at)? {
        quote @ (b'"' | b'\'') => {
            at += 1;
            let length = memchr::memchr(*quote, &value[at..]);
            length.map_or(value.len(), |length| at + length)
        }
        _ => value.len(),
    };
    (at < end).then_some(at..end)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, places: impl Iterator<Item = Range<usize>>) -> Vec<&str> {
        places.map(|place| &text[place]).collect()
    }

    #[test]
    fn candidates_are_found_as_browsers_find_them() {
        for (list, links) in [
            ("/a 1x, /b 2x", &["/a", "/b"][..]),
            ("/a,/b", &["/a,/b"]),
            ("/a, /b", &["/a", "/b"]),
            ("/a,,, /b", &["/a", "/b"]),
            (",, /a 100w,/b 200w", &["/a", "/b"]),
            ("/a (1,2) 1x, /b", &["/a", "/b"]),
            (
                "data:image/png;base64,AAAA 1x, /b 2x",
                &["data:image/png;base64,AAAA", "/b"],
            ),
            ("/a\n1x,\n /b\t2x\n", &["/a", "/b"]),
            ("", &[]),
            (" ,", &[]),
            ("/a (", &["/a"]),
        ] {
            assert_eq!(texts(list, candidates(list.as_bytes())), links, "{list:?}");
        }
        assert_eq!(texts(" /a  /b ", words(b" /a  /b ")), ["/a", "/b"]);
    }

    #[test]
    fn what_a_page_is_refreshed_to_is_found() {
        for (value, link) in [
            ("5; url=/x", Some("/x")),
            ("0;URL='/x'", Some("/x")),
            ("0;url=\"/x\" y", Some("/x")),
            ("0 ; url = /x", Some("/x")),
            ("0, /x", Some("/x")),
            ("0 /x", Some("/x")),
            (" 1.5;url=/x", Some("/x")),
            ("5", None),
            ("5;", None),
            ("5; url=", None),
            ("5; url=''", None),
            ("x; url=/x", None),
            ("5url=/x", None),
            ("", None),
            ("5; url", Some("url")),
        ] {
            let found = refresh(value.as_bytes()).map(|place| &value[place]);
            assert_eq!(found, link, "{value:?}");
        }
    }
}
