//! What a backend is asked where its answer will be rewritten: in codings that can be read, and whole where it is a page.

use http::header::{ACCEPT, ACCEPT_ENCODING, IF_RANGE, RANGE};
use http::{HeaderName, HeaderValue};

use crate::headers::{HeaderStore, HeaderView};

/// What browsers say of the use that an answer is for.
pub const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

const READABLE: [&[u8]; 4] = [b"gzip", b"x-gzip", b"deflate", b"identity"];
/// What becomes a document.
const DOCUMENTS: [&[u8]; 5] = [b"document", b"iframe", b"frame", b"embed", b"object"];
const STYLE: &[u8] = b"style";

/// Takes out of a request what would make an answer that cannot be rewritten.
pub(crate) fn prepare(
    headers: &mut (impl HeaderView + HeaderStore),
) -> Result<(), http::header::InvalidHeaderValue> {
    if let Some(narrowed) = narrowed(headers)? {
        headers.put("Accept-Encoding", narrowed);
    }
    if headers.first(RANGE).is_some() && is_for_rewritten(headers) {
        headers.remove_name(&RANGE);
        headers.remove_name(&IF_RANGE);
    }
    Ok(())
}

/// Whether the answer becomes a document of a browser. One that does not say so is believed to want what it accepts.
pub fn is_for_document(headers: &impl HeaderView) -> bool {
    match headers.first(FETCH_DEST) {
        Some(dest) => DOCUMENTS.contains(&dest.as_bytes()),
        None => accepts(headers, b"text/html"),
    }
}

fn is_for_rewritten(headers: &impl HeaderView) -> bool {
    let is_style = match headers.first(FETCH_DEST) {
        Some(dest) => dest.as_bytes() == STYLE,
        None => accepts(headers, b"text/css"),
    };
    is_style || is_for_document(headers)
}

fn accepts(headers: &impl HeaderView, kind: &[u8]) -> bool {
    let of = |item: &[u8]| {
        item.split(|byte| *byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii()
            == kind
    };
    headers
        .lines(ACCEPT)
        .any(|line| line.split(|byte| *byte == b',').any(of))
}

/// What of `Accept-Encoding` can be read here; `None`: all of it.
fn narrowed(headers: &impl HeaderView) -> Result<Option<HeaderValue>, http::header::InvalidHeaderValue> {
    let items = || {
        let lines = headers.lines(ACCEPT_ENCODING);
        let items = lines.flat_map(|line| line.split(|byte| *byte == b','));
        items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
    };
    let is_readable = |item: &&[u8]| {
        let coding = item.split(|byte| *byte == b';').next().unwrap_or_default();
        let coding = coding.trim_ascii();
        READABLE.iter().any(|known| coding.eq_ignore_ascii_case(known))
    };
    if items().all(|item| is_readable(&item)) {
        return Ok(None);
    }
    let kept: Vec<&[u8]> = items().filter(is_readable).collect();
    match kept.is_empty() {
        true => Ok(Some(HeaderValue::from_static("identity"))),
        false => HeaderValue::from_bytes(&kept.join(&b", "[..])).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn prepared(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        prepare(&mut headers).unwrap();
        headers
    }

    #[test]
    fn codings_are_those_that_can_be_read() {
        for (sent, asked) in [
            (&["gzip, deflate, br, zstd"][..], &["gzip, deflate"][..]),
            (
                &["gzip;q=0.5, br;q=1.0, identity;q=0"],
                &["gzip;q=0.5, identity;q=0"],
            ),
            (&["br"], &["identity"]),
            (&["*"], &["identity"]),
            (&["br", "GZIP"], &["GZIP"]),
            (&["gzip", "deflate"], &["gzip", "deflate"]),
            (&[""], &[""]),
            (&[], &[]),
        ] {
            let lines: Vec<_> = sent.iter().map(|line| ("accept-encoding", *line)).collect();
            let headers = prepared(&lines);
            let seen: Vec<_> = headers.get_all(ACCEPT_ENCODING).into_iter().collect();
            assert_eq!(seen, asked, "{sent:?}");
        }
    }

    #[test]
    fn pages_are_asked_for_whole() {
        for (lines, is_whole) in [
            (&[("sec-fetch-dest", "document")][..], true),
            (&[("sec-fetch-dest", "iframe")], true),
            (&[("sec-fetch-dest", "style")], true),
            (&[("sec-fetch-dest", "video"), ("accept", "text/html")], false),
            (&[("sec-fetch-dest", "empty")], false),
            (&[("accept", "text/html,*/*;q=0.8")], true),
            (&[("accept", "text/css;q=1")], true),
            (&[("accept", "*/*")], false),
            (&[], false),
        ] {
            let lines = [&[("range", "bytes=0-9"), ("if-range", "\"a\"")], lines].concat();
            let headers = prepared(&lines);
            let is_gone = !headers.contains_key(RANGE) && !headers.contains_key(IF_RANGE);
            assert_eq!(is_gone, is_whole, "{lines:?}");
        }
    }
}
