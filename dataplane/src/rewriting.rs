mod coding;
mod splice;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use http::header::CONTENT_TYPE;
use lol_html::errors::RewritingError;
use lol_html::html_content::Attribute;
use lol_html::send::{Element, ElementContentHandlers, HtmlRewriter, Settings};
use lol_html::{MemorySettings, Selector};
use parking_lot::Mutex;
use pingora_http::ResponseHeader;

use genkan_routing::links::{LINK_ATTRIBUTES, PublicPrefix};

use coding::{Coding, Decoder, Encoder, MOST};
use splice::Splice;

/// Moves the links of an HTML body below the public prefix while the body passes. Nothing but the values of links is
/// touched, byte for byte; memory is bounded by the longest tag.
pub struct LinkRewriter {
    decoder: Decoder,
    html: Option<HtmlRewriter<'static, Splice>>,
    output: Arc<Mutex<Vec<u8>>>,
    encoder: Encoder,
}

/// Values to be replaced, by their place in the document.
type Edits = Arc<Mutex<VecDeque<(Range<usize>, Vec<u8>)>>>;

#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    #[error("its compression is broken: {0}")]
    Coding(#[from] std::io::Error),
    #[error("its HTML cannot be read: {0}")]
    Html(#[from] RewritingError),
    #[error("it is far more than it seems")]
    TooMuch,
}

/// One tag with its attributes, and the names of the elements that are open: in old pages nobody closes them.
const MEMORY: usize = 4 << 20;
/// So much is unpacked at a time: it becomes a thousand times as much at most.
const PACKED: usize = 4 << 10;
/// So much is rewritten at a time: a tag of ten bytes can become a thousand.
const PLAIN: usize = 16 << 10;

static SELECTOR: LazyLock<Selector> = LazyLock::new(|| {
    let selectors = LINK_ATTRIBUTES.iter().map(|(element, attribute)| match *element {
        "" => format!("[{attribute}]"),
        element => format!("{element}[{attribute}]"),
    });
    let selectors: Vec<_> = selectors.collect();
    selectors
        .join(",")
        .parse()
        .expect("the list of attributes makes valid selectors")
});

// === impl LinkRewriter ===

impl LinkRewriter {
    /// `None` for an answer that holds no HTML that can be read.
    pub fn for_response(response: &ResponseHeader, prefix: &PublicPrefix<'_>) -> Option<Self> {
        let content_type = response
            .headers
            .get(CONTENT_TYPE)?
            .to_str()
            .ok()?
            .to_ascii_lowercase();
        let (kind, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
        if kind.trim() != "text/html" || parameters.contains("utf-16") {
            return None;
        }
        Some(Self::new(Coding::of(response)?, prefix))
    }

    fn new(coding: Coding, prefix: &PublicPrefix<'_>) -> Self {
        let edits = Edits::default();
        let output = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Splice::new(Arc::clone(&edits), Arc::clone(&output));
        let prefix = OwnPrefix::new(prefix);
        let handler = move |element: &mut Element<'_, '_>| {
            prefix.note_links(element, &edits);
            Ok(())
        };
        let handlers = ElementContentHandlers::default().element(handler);
        let settings = Settings::new_send()
            .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(MEMORY))
            .with_strict(false)
            .append_element_content_handler((Cow::Borrowed(&*SELECTOR), handlers));
        let html = Some(HtmlRewriter::new(settings, sink));
        Self {
            decoder: Decoder::new(coding),
            html,
            output,
            encoder: Encoder::new(coding),
        }
    }

    /// Takes a piece of the body and gives what can be sent of it.
    ///
    /// # Errors
    /// When the body is not what its head says, or so much more that it can only be an attack.
    pub fn write(&mut self, piece: &[u8], is_end: bool) -> Result<Vec<u8>, RewriteError> {
        let mut written = Vec::new();
        let (mut unpacked, mut rewritten) = (0, 0);
        let mut rest = piece;
        loop {
            let (packed, after) = rest.split_at(rest.len().min(PACKED));
            rest = after;
            let is_last = is_end && rest.is_empty();
            let plain = self.decoder.write(packed, is_last)?;
            unpacked += plain.len();
            for plain in plain.chunks(PLAIN) {
                if let Some(html) = &mut self.html {
                    html.write(plain)?;
                }
                rewritten += self.pass_on(&mut written, false)?;
                if unpacked > MOST || rewritten > MOST {
                    return Err(RewriteError::TooMuch);
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        if let Some(html) = self.html.take_if(|_| is_end) {
            html.end()?;
        }
        self.pass_on(&mut written, is_end)?;
        Ok(written)
    }

    /// Packs what has been rewritten; gives how much it was before.
    fn pass_on(&mut self, written: &mut Vec<u8>, is_end: bool) -> Result<usize, RewriteError> {
        let rewritten = std::mem::take(&mut *self.output.lock());
        written.extend(self.encoder.write(&rewritten, is_end)?);
        Ok(rewritten.len())
    }
}

impl std::fmt::Debug for LinkRewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkRewriter")
    }
}

/// A [`PublicPrefix`] that lives as long as the body.
struct OwnPrefix {
    prefix: String,
    scheme: genkan_routing::Scheme,
    authority: String,
}

// === impl OwnPrefix ===

impl OwnPrefix {
    fn new(prefix: &PublicPrefix<'_>) -> Self {
        Self {
            prefix: prefix.prefix.clone().into_owned(),
            scheme: prefix.scheme,
            authority: prefix.authority.to_owned(),
        }
    }

    fn note_links(&self, element: &Element<'_, '_>, edits: &Edits) {
        let name = element.tag_name();
        for attribute in element.attributes() {
            let is_link = |&(of, link): &(&str, &str)| {
                (of.is_empty() || of == name) && attribute.name().eq_ignore_ascii_case(link)
            };
            if LINK_ATTRIBUTES.iter().any(is_link) {
                edits.lock().extend(self.edit(attribute));
            }
        }
    }

    fn edit(&self, attribute: &Attribute<'_>) -> Option<(Range<usize>, Vec<u8>)> {
        let place = attribute.value_source_location()?.bytes();
        let value = attribute.value();
        // Not in the encoding we read it in: better an unmoved link than a broken one.
        if value.len() != place.len() || value.contains(char::REPLACEMENT_CHARACTER) {
            return None;
        }
        let prefix = PublicPrefix {
            prefix: Cow::Borrowed(&self.prefix),
            scheme: self.scheme,
            authority: &self.authority,
        };
        let moved = prefix.link(value.as_bytes())?;
        // The value is kept as it is written; only what is new must not end it.
        let is_new = moved.starts_with(self.prefix.as_bytes());
        let (new, rest) = moved.split_at(if is_new { self.prefix.len() } else { 0 });
        let escaped = String::from_utf8_lossy(new)
            .replace('&', "&amp;")
            .replace('\'', "&#39;");
        Some((place, [escaped.as_bytes(), rest].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_prefix() -> PublicPrefix<'static> {
        PublicPrefix::new(
            "",
            Some("/proxy/o'x"),
            genkan_routing::Scheme::Http,
            "b.example:81",
        )
    }

    fn rewrite(pieces: &[&[u8]]) -> String {
        let mut links = LinkRewriter::new(Coding::Identity, &mk_prefix());
        let mut out = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            out.extend(links.write(piece, index + 1 == pieces.len()).unwrap());
        }
        String::from_utf8(out).unwrap()
    }

    const PAGE: &str = "<!doctype html><p>/x</p><A HREF = '/x?a=1&amp;b'>l</a><img src=/i.png alt=\"/no\">\
        <a href=\"http://b.example:81/y\" href=\"/twice\"><a href=\"http://o.example/\"><form action=\"/f\">\
        <a href=\"rel\"><a href><script>\"<a href='/no'>\"</script><!-- <a href='/no'> --><a href=\"/proxy/o'x/z\">";
    const MOVED: &str = "<!doctype html><p>/x</p><A HREF = '/proxy/o&#39;x/x?a=1&amp;b'>l</a>\
        <img src=/proxy/o&#39;x/i.png alt=\"/no\"><a href=\"/proxy/o&#39;x/y\" href=\"/proxy/o&#39;x/twice\">\
        <a href=\"http://o.example/\"><form action=\"/proxy/o&#39;x/f\"><a href=\"rel\"><a href>\
        <script>\"<a href='/no'>\"</script><!-- <a href='/no'> --><a href=\"/proxy/o'x/z\">";

    #[test]
    fn links_move_and_nothing_else_changes() {
        assert_eq!(rewrite(&[PAGE.as_bytes()]), MOVED);
    }

    #[test]
    fn pieces_may_end_anywhere() {
        for at in 0..PAGE.len() {
            let (one, two) = PAGE.as_bytes().split_at(at);
            assert_eq!(rewrite(&[one, two, b""]), MOVED, "split at {at}");
        }
        let single: Vec<_> = PAGE.as_bytes().chunks(1).collect();
        assert_eq!(rewrite(&single), MOVED);
    }

    #[test]
    fn small_bodies_cannot_become_huge_ones() {
        let prefix = format!("/{}", "p".repeat(1_000));
        let prefix = PublicPrefix::new("", Some(&prefix), genkan_routing::Scheme::Http, "b.example:81");
        let links = "<a href=/>".repeat(1_000_000);
        let packed = Encoder::new(Coding::Gzip).write(links.as_bytes(), true).unwrap();
        assert!(packed.len() * 50 < links.len());
        let outcome = LinkRewriter::new(Coding::Gzip, &prefix).write(&packed, true);
        assert!(matches!(outcome, Err(RewriteError::TooMuch)), "{outcome:?}");
        // As much as one piece can hold without compression passes, however it grows.
        let plain = &links.as_bytes()[..65_530];
        let written = LinkRewriter::new(Coding::Identity, &prefix)
            .write(plain, true)
            .unwrap();
        assert_eq!(written.len(), 65_530 + 6_553 * 1_001);
    }

    #[test]
    fn ordinary_compressed_pages_pass_in_one_piece() {
        let page: String = (0..20_000).map(|n| format!("<p>{n}<a href=/{n}></a>")).collect();
        let packed = Encoder::new(Coding::Gzip).write(page.as_bytes(), true).unwrap();
        let written = LinkRewriter::new(Coding::Gzip, &mk_prefix())
            .write(&packed, true)
            .unwrap();
        let plain = Decoder::new(Coding::Gzip).write(&written, true).unwrap();
        let moved = page.replace("href=/", "href=/proxy/o&#39;x/");
        assert!(plain == moved.as_bytes());
    }

    #[test]
    fn only_readable_html_is_taken() {
        let mk = |kind: &str, coding: &str| {
            let mut response = ResponseHeader::build(200, None).unwrap();
            response.insert_header(CONTENT_TYPE, kind.to_owned()).unwrap();
            response
                .insert_header("content-encoding", coding.to_owned())
                .unwrap();
            LinkRewriter::for_response(&response, &mk_prefix()).is_some()
        };
        assert!(
            mk("text/html", "identity")
                && mk("Text/HTML; charset=utf-8", "GZIP")
                && mk("text/html", "deflate")
        );
        assert!(
            !mk("text/plain", "identity") && !mk("text/html", "br") && !mk("text/html; charset=utf-16", "")
        );
    }
}
