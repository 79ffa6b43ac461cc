mod additions;
mod coding;
mod markup;
mod members;
mod pace;
mod page;
mod prefix;
mod replacing;
mod sheet;
mod splice;
mod tag;

use std::sync::Arc;
use std::time::Duration;

use genkan_routing::Directives;
use genkan_routing::directives::RewriteLinks;
use genkan_routing::links::policy::knows_hashes;
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use pingora_http::ResponseHeader;

use coding::{Coding, Decoder, Encoder};
use markup::{Dialect, Markup};
use pace::PACE;
use page::Page;
use replacing::Replacer;
use sheet::Sheet;

use additions::Script;

pub use prefix::{Origin, OwnPrefix};

/// Moves the links of a body below the public prefix while the body passes. Nothing but the values of links is touched, byte
/// for byte. What cannot be read passes as it is; memory is bounded whatever comes.
pub struct LinkRewriter {
    decoder: Decoder,
    replacer: Option<Replacer>,
    reader: Reader,
    encoder: Encoder,
    /// What came, as long as nothing could be unpacked of it.
    packed: Option<Vec<u8>>,
    /// It is not packed as its head says.
    is_foreign: bool,
    /// In all.
    unpacked: usize,
    left: Option<Left>,
}

/// Who finds the links.
enum Reader {
    Page(Page),
    Sheet(Sheet),
    /// Nobody.
    Nobody(Vec<u8>),
}

/// What a body is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Markup(Dialect),
    Style,
    Other,
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
    /// `None` for an answer of which nothing is to be changed, or that cannot be read. With [`RewriteLinks::Full`], documents
    /// get a script.
    pub fn for_response(
        response: &mut ResponseHeader,
        directives: &Directives,
        prefix: OwnPrefix,
        is_document: bool,
    ) -> Option<Self> {
        let content_type = response.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let content_type = content_type.to_ascii_lowercase();
        let (essence, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
        let essence = essence.trim();
        let form = match Form::of(essence, directives) {
            _ if is_attachment(response) => return None,
            Form::Other if directives.rewrite_body.is_empty() => return None,
            _ if parameters.contains("utf-16") => return None,
            form => form,
        };
        let replacer = Replacer::for_type(&directives.rewrite_body, essence);
        if form == Form::Other && replacer.is_none() {
            return None;
        }
        let coding = Coding::of(response)?;
        let prefix = Arc::new(prefix);
        let reader = match form {
            Form::Markup(dialect) => {
                let mut markup = Markup::new(prefix, dialect);
                let policies = response.headers.get_all(CONTENT_SECURITY_POLICY);
                let mut policies = policies.iter().filter_map(|policy| policy.to_str().ok());
                markup.keeps_texts = policies.any(knows_hashes);
                if is_document && dialect == Dialect::Html && directives.links == RewriteLinks::Full {
                    let script = Script::for_prefix(&markup.prefix);
                    let addition = script.and_then(|script| script.allow(response));
                    addition.into_iter().for_each(|addition| markup.add(addition));
                }
                Reader::Page(Page::new(markup))
            }
            Form::Style => Reader::Sheet(Sheet::new(prefix)),
            Form::Other => Reader::Nobody(Vec::new()),
        };
        Some(Self::new(coding, replacer, reader))
    }

    fn new(coding: Coding, replacer: Option<Replacer>, reader: Reader) -> Self {
        Self {
            decoder: Decoder::new(coding),
            replacer,
            reader,
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
                let replaced = self
                    .replacer
                    .as_mut()
                    .map(|replacer| replacer.write(plain, false));
                if let Some(left) = self.reader.write(replaced.as_deref().unwrap_or(plain)) {
                    self.left = Some(left);
                }
                let rewritten = self.reader.take();
                growth += rewritten.len().saturating_sub(plain.len());
                self.encoder.write(&rewritten)?;
                if growth > MOST_GROWTH {
                    self.pass_on();
                    self.left = Some(Left::Growth);
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        if is_end {
            self.pass_on();
        }
        self.encoder.write(&self.reader.take())?;
        self.encoder.take(is_end)
    }

    /// From here on nothing is changed.
    fn pass_on(&mut self) {
        if let Some(mut replacer) = self.replacer.take() {
            self.reader.write(&replacer.write(b"", true));
        }
        self.reader.pass_on();
    }
}

impl std::fmt::Debug for LinkRewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkRewriter")
    }
}

// === impl Form ===

impl Form {
    /// `essence` is in lower case.
    fn of(essence: &str, directives: &Directives) -> Self {
        if directives.links.is_off() {
            return Self::Other;
        }
        match essence {
            "text/html" => Self::Markup(Dialect::Html),
            "application/xhtml+xml" | "image/svg+xml" => Self::Markup(Dialect::Xml),
            "text/css" if directives.moves_styles => Self::Style,
            _ => Self::Other,
        }
    }
}

/// It is for the disk, and not for a browser.
fn is_attachment(response: &ResponseHeader) -> bool {
    let disposition = response.headers.get(CONTENT_DISPOSITION);
    let kind = disposition.and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"attachment"))
}

// === impl Reader ===

impl Reader {
    fn write(&mut self, piece: &[u8]) -> Option<Left> {
        match self {
            Self::Page(page) => return page.write(piece),
            Self::Sheet(sheet) => sheet.write(piece),
            Self::Nobody(passed) => passed.extend_from_slice(piece),
        }
        None
    }

    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Page(page) => page.take(),
            Self::Sheet(sheet) => sheet.take(),
            Self::Nobody(passed) => std::mem::take(passed),
        }
    }

    /// Nothing is read any more.
    fn pass_on(&mut self) {
        match self {
            Self::Page(page) => page.pass_on(),
            Self::Sheet(sheet) => sheet.pass_on(),
            Self::Nobody(_) => {}
        }
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
mod tests;
