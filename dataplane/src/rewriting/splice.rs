use std::sync::Arc;

use lol_html::OutputSink;
use parking_lot::Mutex;

use super::Edits;

/// Puts edits in their places while the document, itself unchanged, passes.
pub struct Splice {
    edits: Edits,
    output: Arc<Mutex<Vec<u8>>>,
    /// In the document as it came.
    position: usize,
    /// What lies before this place has been replaced.
    resume: usize,
}

// === impl Splice ===

impl Splice {
    pub fn new(edits: Edits, output: Arc<Mutex<Vec<u8>>>) -> Self {
        Self {
            edits,
            output,
            position: 0,
            resume: 0,
        }
    }
}

impl OutputSink for Splice {
    fn handle_chunk(&mut self, chunk: &[u8]) {
        let mut edits = self.edits.lock();
        let mut output = self.output.lock();
        let end = self.position + chunk.len();
        let mut copied = self.position.max(self.resume).min(end);
        let from = self.position;
        while let Some((place, value)) = edits.pop_front_if(|(place, _)| place.start < end) {
            if place.start < copied {
                continue;
            }
            output.extend_from_slice(&chunk[copied - from..place.start - from]);
            output.extend_from_slice(&value);
            self.resume = place.end;
            copied = place.end.min(end);
        }
        output.extend_from_slice(&chunk[copied - from..]);
        self.position = end;
    }
}
