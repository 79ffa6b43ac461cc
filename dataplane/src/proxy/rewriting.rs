mod coding;
mod members;
mod pace;
mod page;
mod prefix;
mod splice;
mod tag;

use std::time::Duration;

use http::header::CONTENT_TYPE;
use pingora_http::ResponseHeader;

use genkan_routing::links::PublicPrefix;

use coding::{Coding, Decoder, Encoder};
use pace::PACE;
use page::Page;
use prefix::OwnPrefix;

/// Moves the links of an HTML body below the public prefix while the body passes. Nothing but the values of links is
/// touched, byte for byte. What cannot be read passes as it is; memory is bounded whatever comes.
pub struct LinkRewriter {
    decoder: Decoder,
    page: Page,
    encoder: Encoder,
    /// What came, as long as nothing could be unpacked of it.
    packed: Option<Vec<u8>>,
    /// It is not packed as its head says.
    is_foreign: bool,
    /// In all.
    unpacked: usize,
    left: Option<Left>,
}

/// A piece of the body for the client.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Vec<u8>,
    /// To be waited before it is sent.
    pub pause: Option<Duration>,
}

/// Why links were left as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    LargeTag,
    Growth,
    Unpackable,
}

#[derive(Debug, thiserror::Error)]
#[error("its compression is broken: {0}")]
pub struct Broken(#[from] std::io::Error);

/// So much is unpacked at a time: it becomes a thousand times as much at most.
const PACKED: usize = 1 << 10;
/// So much is rewritten at a time: a tag of ten bytes can become some thousands.
const PLAIN: usize = 16 << 10;
/// By so much a piece may grow by its links.
const MOST_GROWTH: usize = 8 << 20;
/// What is held of a body that nothing comes out of.
const MOST_HELD: usize = 64 << 10;
/// So much of an answer may be unpacked as fast as can be, and beyond that what is not much larger than it was.
const UNPACED: usize = 64 << 20;
const USUAL_RATIO: usize = 32;

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
        Self {
            decoder: Decoder::new(coding),
            page: Page::new(OwnPrefix::new(prefix)),
            encoder: Encoder::new(coding),
            packed: (coding != Coding::Identity).then(Vec::new),
            is_foreign: false,
            unpacked: 0,
            left: None,
        }
    }

    /// Takes a piece of the body and gives what can be sent of it.
    ///
    /// # Errors
    /// When the compression breaks off where something has been sent already.
    pub fn write(&mut self, piece: &[u8], is_end: bool) -> Result<Piece, Broken> {
        if self.is_foreign {
            return Ok(Piece {
                bytes: piece.to_vec(),
                pause: None,
            });
        }
        if let Some(packed) = &mut self.packed {
            packed.extend_from_slice(piece);
        }
        let before = self.unpacked;
        let bytes = match self.rewrite(piece, is_end) {
            Ok(bytes) => bytes,
            Err(error) => match self.packed.take() {
                Some(packed) => {
                    self.is_foreign = true;
                    self.left.get_or_insert(Left::Unpackable);
                    packed
                }
                None => return Err(error.into()),
            },
        };
        if self.unpacked > 0
            || self
                .packed
                .as_ref()
                .is_some_and(|packed| packed.len() > MOST_HELD)
        {
            self.packed = None;
        }
        let excess = (self.unpacked - before).saturating_sub(piece.len() * USUAL_RATIO);
        let is_paced = self.unpacked > UNPACED && excess > 0;
        Ok(Piece {
            bytes,
            pause: is_paced.then(|| PACE.take(excess)),
        })
    }

    /// Why links were left as they are, if some were; told once.
    pub fn take_left(&mut self) -> Option<Left> {
        self.left.take()
    }

    fn rewrite(&mut self, piece: &[u8], is_end: bool) -> std::io::Result<Vec<u8>> {
        let mut growth: usize = 0;
        let mut rest = piece;
        loop {
            let (packed, after) = rest.split_at(rest.len().min(PACKED));
            rest = after;
            let is_last = is_end && rest.is_empty();
            let plain = self.decoder.write(packed, is_last)?;
            self.unpacked += plain.len();
            for plain in plain.chunks(PLAIN) {
                if let Some(left) = self.page.write(plain) {
                    self.left = Some(left);
                }
                let rewritten = self.page.take();
                growth += rewritten.len().saturating_sub(plain.len());
                self.encoder.write(&rewritten)?;
                if growth > MOST_GROWTH {
                    self.page.pass_on();
                    self.left = Some(Left::Growth);
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        if is_end {
            self.page.end();
        }
        self.encoder.write(&self.page.take())?;
        self.encoder.take(is_end)
    }
}

impl std::fmt::Debug for LinkRewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkRewriter")
    }
}

// === impl Left ===

impl Left {
    /// For the log.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::LargeTag => "links of the answer were left as they are: a tag of it is larger than 2 MiB",
            Self::Growth => {
                "links of the answer were left as they are: it would have grown by more than 8 MiB at once"
            }
            Self::Unpackable => {
                "links of the answer were left as they are: it is not packed as its Content-Encoding says"
            }
        }
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
            out.extend(links.write(piece, index + 1 == pieces.len()).unwrap().bytes);
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

    fn pack(coding: Coding, plain: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(coding);
        encoder.write(plain).unwrap();
        encoder.take(true).unwrap()
    }

    fn unpack(packed: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::new(Coding::Gzip);
        let mut plain: Vec<u8> = packed
            .chunks(100)
            .flat_map(|piece| decoder.write(piece, false).unwrap())
            .collect();
        plain.extend(decoder.write(b"", true).unwrap());
        plain
    }

    #[test]
    fn what_would_grow_without_end_passes_as_it_is() {
        let prefix = format!("/{}", "p".repeat(1_000));
        let moved = format!("<a href={prefix}/>");
        let prefix = PublicPrefix::new("", Some(&prefix), genkan_routing::Scheme::Http, "b.example:81");
        let links = "<a href=/>".repeat(1_000_000);
        let packed = pack(Coding::Gzip, links.as_bytes());
        assert!(packed.len() * 50 < links.len());
        for (coding, body) in [
            (Coding::Gzip, packed.as_slice()),
            (Coding::Identity, links.as_bytes()),
        ] {
            let mut rewriter = LinkRewriter::new(coding, &prefix);
            let written = rewriter.write(body, true).unwrap().bytes;
            let plain = if coding == Coding::Gzip {
                unpack(&written)
            } else {
                written
            };
            let plain = String::from_utf8(plain).unwrap();
            let many = plain.matches(&moved).count();
            assert!((8_000..12_000).contains(&many), "{many}");
            assert!(plain == moved.repeat(many) + &"<a href=/>".repeat(1_000_000 - many));
            assert_eq!(rewriter.take_left(), Some(Left::Growth));
        }
        // As much as one piece can hold without compression passes, however it grows.
        let plain = &links.as_bytes()[..65_530];
        let written = LinkRewriter::new(Coding::Identity, &prefix)
            .write(plain, true)
            .unwrap();
        assert_eq!(written.bytes.len(), 65_530 + 6_553 * 1_001);
    }

    #[test]
    fn well_packed_pages_pass_in_one_piece() {
        for page in [
            (0..20_000)
                .map(|n| format!("<p>{n}<a href=/{n}></a>"))
                .collect::<String>(),
            format!(
                "<a href=/x>{}<a href=/y>",
                "<tr><td>INFO</td><td>ok</td></tr>\n".repeat(700_000)
            ),
        ] {
            let packed = pack(Coding::Gzip, page.as_bytes());
            let mut links = LinkRewriter::new(Coding::Gzip, &mk_prefix());
            let written = links.write(&packed, true).unwrap();
            assert_eq!(written.pause, None);
            let moved = page.replace("href=/", "href=/proxy/o&#39;x/");
            assert!(unpack(&written.bytes) == moved.as_bytes());
            assert_eq!(links.take_left(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bombs_wait_and_take_little_memory() {
        let mut links = LinkRewriter::new(Coding::Gzip, &mk_prefix());
        let packed = pack(Coding::Gzip, &vec![b' '; 128 << 20]);
        assert!(packed.len() < 2 << 20, "{}", packed.len());
        let mut pauses = Vec::new();
        for piece in packed.chunks(16 << 10) {
            let written = links.write(piece, false).unwrap();
            assert!(written.bytes.len() < 1 << 20);
            pauses.extend(written.pause);
        }
        assert!(
            !pauses.is_empty() && pauses.iter().all(|pause| *pause > Duration::ZERO),
            "{pauses:?}"
        );
    }

    #[test]
    fn what_is_not_packed_as_it_says_passes_as_it_is() {
        for (coding, body) in [
            (Coding::Gzip, &b"<a href=/x>"[..]),
            (Coding::Deflate, b"<a href=/x>"),
            (Coding::Gzip, b"\x1f\x8b no such thing"),
        ] {
            for step in [1, body.len()] {
                let mut links = LinkRewriter::new(coding, &mk_prefix());
                let mut passed = Vec::new();
                for piece in body.chunks(step) {
                    passed.extend(links.write(piece, false).unwrap().bytes);
                }
                passed.extend(links.write(b"", true).unwrap().bytes);
                assert_eq!(passed, body, "{coding:?} by {step}");
                assert_eq!(links.take_left(), Some(Left::Unpackable));
            }
        }
        // What breaks later has begun, and is not whole however it ends.
        let packed = pack(Coding::Gzip, "<a href=/x>".repeat(10_000).as_bytes());
        let mut links = LinkRewriter::new(Coding::Gzip, &mk_prefix());
        assert!(
            !links
                .write(&packed[..packed.len() / 2], false)
                .unwrap()
                .bytes
                .is_empty()
        );
        assert!(links.write(b"", true).is_err());
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
