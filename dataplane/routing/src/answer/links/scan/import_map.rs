use super::{Capture, Edit, Mover};
use crate::links::text::Language;

/// Import maps: every text of one that looks like a link is one, be it a key or a value.
#[derive(Debug, Default)]
pub struct ImportMap {
    /// Members that its imports get in front of their own.
    added: Option<String>,
    depth: u32,
    is_text: bool,
    is_escaped: bool,
    /// The text that is read at the first level, if it is short.
    key: Vec<u8>,
    /// What follows are the imports.
    is_imports: bool,
    /// They have begun, and nothing stands in them yet.
    is_due: bool,
    has_member: bool,
    pub(super) capture: Capture,
}

const IMPORTS: &[u8] = b"imports";

// === impl ImportMap ===

impl ImportMap {
    /// `added` are members of JSON without braces.
    pub fn with(added: Option<String>) -> Self {
        Self {
            added,
            ..Self::default()
        }
    }

    pub(super) fn write(&mut self, piece: &[u8], at: usize, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        for (offset, byte) in piece.iter().enumerate() {
            match self.is_text {
                true => self.text(*byte, mover, edits),
                false => self.base(*byte, at + offset, edits),
            }
        }
    }

    fn text(&mut self, byte: u8, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        let is_escaped = self.is_escaped;
        self.is_escaped = byte == b'\\' && !is_escaped;
        if byte == b'"' && !is_escaped {
            self.is_text = false;
            self.is_imports = self.depth == 1 && self.key == IMPORTS;
            self.capture.decide(Language::Json, mover, edits);
            return;
        }
        if self.key.len() <= IMPORTS.len() {
            self.key.push(byte);
        }
        self.capture.push(byte, Language::Json, mover, edits);
    }

    fn base(&mut self, byte: u8, at: usize, edits: &mut Vec<Edit>) {
        if byte.is_ascii_whitespace() {
            return;
        }
        if std::mem::take(&mut self.is_due)
            && let Some(added) = self.added.take()
        {
            let comma = if byte == b'}' { "" } else { "," };
            edits.push((at..at, added + comma));
        }
        match byte {
            b'"' => {
                self.has_member |= self.depth == 1;
                (self.is_text, self.is_escaped) = (true, false);
                self.key.clear();
                self.capture.begin(at + 1);
            }
            b'{' => {
                self.is_due = std::mem::take(&mut self.is_imports) && self.depth == 1;
                self.depth = self.depth.saturating_add(1);
            }
            b'}' => {
                if self.depth == 1
                    && let Some(added) = self.added.take()
                {
                    let comma = if self.has_member { "," } else { "" };
                    edits.push((at..at, format!("{comma}\"imports\":{{{added}}}")));
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' => {}
            _ => self.is_imports = false,
        }
    }
}
