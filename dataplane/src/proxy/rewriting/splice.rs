use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use lol_html::OutputSink;
use parking_lot::Mutex;

use genkan_routing::links::scan::{Edit, Scanner};

use super::prefix::OwnPrefix;

/// What is known of a document, by places in it as it came.
#[derive(Debug, Default)]
pub struct Notes {
    /// In their order.
    edits: VecDeque<Edit>,
    regions: VecDeque<Region>,
    /// Nothing is waited for any more.
    is_over: bool,
}

/// A text that is no markup.
#[derive(Debug)]
struct Region {
    start: usize,
    /// As long as it is not known, it is that of the document.
    end: Option<usize>,
    scanner: Scanner,
}

/// What has left the parser.
#[derive(Debug, Default)]
pub struct Output {
    pub bytes: Vec<u8>,
    /// When the parser gave up: what it held, unread.
    pub unread: Option<Vec<u8>>,
    /// The edits, where they are wanted instead of the document.
    pub recorded: Option<Vec<Edit>>,
}

/// Puts edits in their places while the document, itself unchanged, passes.
#[derive(Debug)]
pub struct Splice {
    prefix: Arc<OwnPrefix>,
    notes: Arc<Mutex<Notes>>,
    output: Arc<Mutex<Output>>,
    /// In the document as it came.
    position: usize,
    /// What lies before this place has been replaced.
    resume: usize,
    /// What may still be changed.
    held: Vec<u8>,
}

// === impl Notes ===

impl Notes {
    pub fn add(&mut self, edit: Edit) {
        let at = self
            .edits
            .partition_point(|(place, _)| place.start <= edit.0.start);
        self.edits.insert(at, edit);
    }

    /// From here on stands a text that is no markup.
    pub fn begin(&mut self, start: usize, scanner: Scanner) {
        self.end(start);
        self.regions.push_back(Region {
            start,
            end: None,
            scanner,
        });
    }

    /// Here it is markup again.
    pub fn end(&mut self, end: usize) {
        if let Some(region) = self.regions.back_mut().filter(|region| region.end.is_none()) {
            region.end = Some(end.max(region.start));
        }
    }

    pub fn finish(&mut self) {
        self.is_over = true;
    }

    fn scan(&mut self, chunk: &[u8], from: usize, prefix: &OwnPrefix) {
        if self.is_over {
            return;
        }
        let end = from + chunk.len();
        let mut found = Vec::new();
        while let Some(region) = self.regions.front_mut().filter(|region| region.start < end) {
            let to = region.end.unwrap_or(end).min(end);
            let start = region.start.max(from);
            if start < to {
                let text = &chunk[start - from..to - from];
                region
                    .scanner
                    .write(text, start, &|link| prefix.edit(link), &mut found);
            }
            if region.end.is_none_or(|of_region| of_region > end) {
                break;
            }
            self.regions.pop_front();
        }
        found.into_iter().for_each(|edit| self.add(edit));
    }

    /// What is behind this place may still be changed.
    fn holds(&self, until: usize) -> Option<usize> {
        let region = self.regions.front().filter(|_| !self.is_over)?;
        region.scanner.holds().filter(|start| *start < until)
    }
}

// === impl Splice ===

impl Splice {
    /// `hidden` is how much stands in front that is not part of the document.
    pub fn new(
        prefix: Arc<OwnPrefix>,
        notes: Arc<Mutex<Notes>>,
        output: Arc<Mutex<Output>>,
        hidden: usize,
    ) -> Self {
        Self {
            prefix,
            notes,
            output,
            position: 0,
            resume: hidden,
            held: Vec::new(),
        }
    }

    fn emit(&mut self, bytes: &[u8], from: usize, notes: &mut Notes, output: &mut Output) {
        let end = from + bytes.len();
        let mut copied = from.max(self.resume).min(end);
        while let Some((place, value)) = notes.edits.pop_front_if(|(place, _)| place.start < end) {
            if place.start < copied {
                continue;
            }
            output.keep(&bytes[copied - from..place.start - from]);
            self.resume = place.end;
            copied = place.end.min(end);
            output.edit((place, value));
        }
        output.keep(&bytes[copied - from..]);
    }
}

impl OutputSink for Splice {
    fn handle_chunk(&mut self, chunk: &[u8]) {
        let (notes, output) = (Arc::clone(&self.notes), Arc::clone(&self.output));
        let (mut notes, mut output) = (notes.lock(), output.lock());
        if let Some(unread) = &mut output.unread {
            unread.extend_from_slice(chunk);
            let held = std::mem::take(&mut self.held);
            output.keep(&held);
            return;
        }
        let from = self.position;
        self.position += chunk.len();
        notes.scan(chunk, from, &self.prefix);
        let start = from - self.held.len();
        let limit = notes
            .holds(self.position)
            .map_or(self.position, |held| held.max(start));
        let bytes = match self.held.is_empty() {
            true => Cow::Borrowed(chunk),
            false => {
                self.held.extend_from_slice(chunk);
                Cow::Owned(std::mem::take(&mut self.held))
            }
        };
        let (now, then) = bytes.split_at(limit - start);
        self.emit(now, start, &mut notes, &mut output);
        self.held.extend_from_slice(then);
    }
}

// === impl Output ===

impl Output {
    fn keep(&mut self, bytes: &[u8]) {
        if self.recorded.is_none() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn edit(&mut self, edit: Edit) {
        match &mut self.recorded {
            Some(recorded) => recorded.push(edit),
            None => self.bytes.extend_from_slice(edit.1.as_bytes()),
        }
    }
}
