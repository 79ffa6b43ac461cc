use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use lol_html::OutputSink;
use parking_lot::Mutex;

/// Values to be replaced, by their place in the document.
pub type Edits = Arc<Mutex<VecDeque<(Range<usize>, Vec<u8>)>>>;

/// What has left the parser.
#[derive(Debug, Default)]
pub struct Output {
    pub bytes: Vec<u8>,
    /// When the parser gave up: what it held, unread.
    pub unread: Option<Vec<u8>>,
}

/// Puts edits in their places while the document, itself unchanged, passes.
pub struct Splice {
    edits: Edits,
    output: Arc<Mutex<Output>>,
    /// In the document as it came.
    position: usize,
    /// What lies before this place has been replaced.
    resume: usize,
}

// === impl Splice ===

impl Splice {
    /// `hidden` is how much stands in front that is not part of the document.
    pub fn new(edits: Edits, output: Arc<Mutex<Output>>, hidden: usize) -> Self {
        Self {
            edits,
            output,
            position: 0,
            resume: hidden,
        }
    }
}

impl OutputSink for Splice {
    fn handle_chunk(&mut self, chunk: &[u8]) {
        let mut edits = self.edits.lock();
        let mut output = self.output.lock();
        if let Some(unread) = &mut output.unread {
            unread.extend_from_slice(chunk);
            return;
        }
        let output = &mut output.bytes;
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
