//! Links in texts that are no markup, found while the text passes: nothing is held but the beginning of one link.

mod css;
mod import_map;
mod modules;

use std::ops::Range;

use super::text::{Language, Text};

pub use css::Style;
pub use import_map::ImportMap;
pub use modules::Modules;

/// What comes in the place of what.
pub type Edit = (Range<usize>, String);
/// Says what has to be changed of a link.
pub type Mover<'m> = &'m dyn Fn(&[u8]) -> Option<Edit>;

/// Reads a text of one kind, piece by piece.
#[derive(Debug)]
pub enum Scanner {
    Style(Style),
    Modules(Modules),
    ImportMap(ImportMap),
}

/// The link that is being read.
#[derive(Debug, Default)]
struct Capture {
    /// Where it begins, in the whole text.
    start: usize,
    written: Vec<u8>,
    is_open: bool,
}

/// A link is known by what it begins with: an origin and a prefix.
const LONGEST: usize = 8 << 10;
const PIECE: usize = 4 << 10;

// === impl Scanner ===

impl Scanner {
    /// `at` is the place of the piece in the whole text, where edits have theirs.
    pub fn write(&mut self, piece: &[u8], at: usize, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        match self {
            Self::Style(style) => style.write(piece, at, mover, edits),
            Self::Modules(modules) => modules.write(piece, at, mover, edits),
            Self::ImportMap(map) => map.write(piece, at, mover, edits),
        }
    }

    /// What is behind this place may still be changed.
    pub fn holds(&self) -> Option<usize> {
        let capture = match self {
            Self::Style(style) => &style.capture,
            Self::Modules(modules) => &modules.capture,
            Self::ImportMap(map) => &map.capture,
        };
        capture.is_open.then_some(capture.start)
    }

    /// The edits of a whole text, until it has grown by so much.
    pub fn edits(mut self, text: &[u8], mover: Mover<'_>, most: usize) -> Vec<Edit> {
        let (mut edits, mut grown, mut counted) = (Vec::new(), 0, 0);
        for (index, piece) in text.chunks(PIECE).enumerate() {
            self.write(piece, index * PIECE, mover, &mut edits);
            grown += edits[counted..].iter().map(|(_, new)| new.len()).sum::<usize>();
            counted = edits.len();
            if grown > most {
                break;
            }
        }
        edits
    }
}

// === impl Capture ===

impl Capture {
    fn begin(&mut self, at: usize) {
        self.start = at;
        self.written.clear();
        self.is_open = true;
    }

    /// Takes a byte of it. Of one that is very long the beginning is enough.
    fn push(&mut self, byte: u8, language: Language, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        if !self.is_open {
            return;
        }
        self.written.push(byte);
        if self.written.len() >= LONGEST {
            self.decide(language, mover, edits);
        }
    }

    /// It has ended, and is one.
    fn decide(&mut self, language: Language, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let text = Text::decode(&self.written, language);
        if let Some((place, new)) = mover(&text.decoded) {
            let place = text.place(&place);
            let place = self.start + place.start..self.start + place.end;
            edits.push((place, language.escape(&new)));
        }
    }

    /// It is none.
    fn forget(&mut self) {
        self.is_open = false;
    }
}

#[cfg(test)]
mod tests;
