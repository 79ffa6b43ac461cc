use std::sync::Arc;

use genkan_routing::links::scan::{Scanner, Style};
use lol_html::OutputSink;
use parking_lot::Mutex;

use super::prefix::OwnPrefix;
use super::splice::{Notes, Output, Splice};

/// A style sheet of any length: one text that is no markup.
pub struct Sheet {
    splice: Splice,
    notes: Arc<Mutex<Notes>>,
    output: Arc<Mutex<Output>>,
}

// === impl Sheet ===

impl Sheet {
    pub fn new(prefix: Arc<OwnPrefix>) -> Self {
        let (notes, output) = (Arc::<Mutex<Notes>>::default(), Arc::default());
        notes.lock().begin(0, Scanner::Style(Style::default()));
        Self {
            splice: Splice::new(prefix, Arc::clone(&notes), Arc::clone(&output), 0),
            notes,
            output,
        }
    }

    pub fn write(&mut self, piece: &[u8]) {
        self.splice.handle_chunk(piece);
    }

    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output.lock().bytes)
    }

    /// From here on nothing is read.
    pub fn pass_on(&mut self) {
        let mut notes = self.notes.lock();
        notes.finish();
        drop(notes);
        self.splice.handle_chunk(&[]);
    }
}
