use super::{Capture, Edit, Mover};
use crate::links::text::Language;

/// Style sheets and declarations, by the tokens of CSS: `url()`, `@import`, and the texts of `image-set()`.
#[derive(Debug, Default)]
pub struct Style {
    at: At,
    word: Word,
    /// A text here is what `@import` names.
    is_import: bool,
    /// Names of vocabularies are no links.
    is_namespace: bool,
    depth: u32,
    /// How deep the texts of `image-set()` stand.
    images: Option<u32>,
    pub(super) capture: Capture,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Base,
    Slash,
    Comment,
    /// Behind an asterisk in a comment.
    Asterisk,
    Escape,
    Text(u8),
    TextEscape(u8),
    UrlStart,
    Url,
    UrlEscape,
    UrlEnd,
    BadUrl,
    BadUrlEscape,
}

/// The word that stands in front of what is read, in lower case.
#[derive(Debug, Default)]
struct Word {
    letters: [u8; LONGEST_WORD],
    length: usize,
    kind: Kind,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[default]
    Plain,
    /// Behind an `@`.
    Rule,
    /// Behind a `#`.
    Hash,
}

const LONGEST_WORD: usize = 20;

// === impl Style ===

impl Style {
    pub(super) fn write(&mut self, piece: &[u8], at: usize, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        for (offset, byte) in piece.iter().enumerate() {
            self.take(*byte, at + offset, mover, edits);
        }
    }

    fn take(&mut self, byte: u8, at: usize, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        const CSS: Language = Language::Css;
        self.at = match (self.at, byte) {
            (At::Base, _) => self.base(byte, at),
            (At::Slash, b'*') => At::Comment,
            (At::Slash, _) => {
                self.is_import = false;
                self.base(byte, at)
            }
            (At::Comment, b'*') | (At::Asterisk, b'*') => At::Asterisk,
            (At::Asterisk, b'/') => At::Base,
            (At::Comment | At::Asterisk, _) => At::Comment,
            (At::Escape, _) => At::Base,
            (At::Text(quote), _) if byte == quote => {
                self.capture.decide(CSS, mover, edits);
                At::Base
            }
            // It ends without its quote, and is none.
            (At::Text(_), b'\n' | b'\r' | b'\x0c') => {
                self.capture.forget();
                At::Base
            }
            (At::Text(quote), b'\\') => {
                self.capture.push(byte, CSS, mover, edits);
                At::TextEscape(quote)
            }
            (At::Text(quote) | At::TextEscape(quote), _) => {
                self.capture.push(byte, CSS, mover, edits);
                At::Text(quote)
            }
            (At::UrlStart, _) if is_blank(byte) => At::UrlStart,
            (At::UrlStart, b'"' | b'\'') => {
                self.begin(at + 1);
                At::Text(byte)
            }
            (At::UrlStart | At::Url | At::UrlEnd | At::BadUrl, b')') => {
                self.capture.decide(CSS, mover, edits);
                self.depth = self.depth.saturating_sub(1);
                At::Base
            }
            (At::UrlStart | At::Url, b'"' | b'\'' | b'(') => {
                self.capture.forget();
                At::BadUrl
            }
            (At::UrlStart, _) => {
                self.begin(at);
                self.capture.push(byte, CSS, mover, edits);
                if byte == b'\\' { At::UrlEscape } else { At::Url }
            }
            (At::Url, _) if is_blank(byte) => {
                self.capture.decide(CSS, mover, edits);
                At::UrlEnd
            }
            (At::Url, b'\\') => {
                self.capture.push(byte, CSS, mover, edits);
                At::UrlEscape
            }
            (At::Url | At::UrlEscape, _) => {
                self.capture.push(byte, CSS, mover, edits);
                At::Url
            }
            (At::UrlEnd, _) if is_blank(byte) => At::UrlEnd,
            (At::UrlEnd | At::BadUrl, b'\\') => At::BadUrlEscape,
            (At::UrlEnd | At::BadUrl | At::BadUrlEscape, _) => At::BadUrl,
        };
    }

    fn base(&mut self, byte: u8, at: usize) -> At {
        if is_of_word(byte) {
            self.word.push(byte);
            return At::Base;
        }
        let (is_rule, is_function) = (self.word.kind == Kind::Rule, self.word.kind == Kind::Plain);
        let word = self.word.letters();
        let is_word = !word.is_empty();
        let is_url = is_function && word == b"url";
        let is_images = is_function && matches!(word, b"image-set" | b"-webkit-image-set");
        if is_word {
            self.is_import = is_rule && word == b"import";
            self.is_namespace |= is_rule && word == b"namespace";
        }
        self.word.clear();
        match byte {
            b'(' => {
                self.depth = self.depth.saturating_add(1);
                if is_images && self.images.is_none() {
                    self.images = Some(self.depth);
                }
                self.is_import = false;
                if is_url { At::UrlStart } else { At::Base }
            }
            b')' => {
                if self.images.is_some_and(|images| self.depth <= images) {
                    self.images = None;
                }
                self.depth = self.depth.saturating_sub(1);
                At::Base
            }
            b'"' | b'\'' => {
                if std::mem::take(&mut self.is_import) || self.images == Some(self.depth) {
                    self.begin(at + 1);
                }
                At::Text(byte)
            }
            b'/' => At::Slash,
            b'\\' => {
                // A word with an escape is none of those that matter.
                self.word.push(byte);
                At::Escape
            }
            b'@' | b'#' => {
                self.is_import = false;
                self.word.kind = if byte == b'@' { Kind::Rule } else { Kind::Hash };
                At::Base
            }
            b';' | b'{' | b'}' => {
                (self.is_import, self.is_namespace) = (false, false);
                // Whatever was not closed before.
                (self.depth, self.images) = (0, None);
                At::Base
            }
            _ if is_blank(byte) => At::Base,
            _ => {
                self.is_import = false;
                At::Base
            }
        }
    }

    fn begin(&mut self, at: usize) {
        if !self.is_namespace {
            self.capture.begin(at);
        }
    }
}

// === impl Word ===

impl Word {
    fn push(&mut self, letter: u8) {
        if let Some(place) = self.letters.get_mut(self.length) {
            *place = letter.to_ascii_lowercase();
        }
        self.length = self.length.saturating_add(1);
    }

    /// One that is longer is none of those that matter.
    fn letters(&self) -> &[u8] {
        self.letters.get(..self.length).unwrap_or(b"?")
    }

    fn clear(&mut self) {
        (self.length, self.kind) = (0, Kind::Plain);
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || !byte.is_ascii()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}
