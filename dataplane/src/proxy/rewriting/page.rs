use std::sync::Arc;

use lol_html::send::HtmlRewriter;
use parking_lot::Mutex;

use super::Left;
use super::markup::Markup;
use super::splice::{Notes, Output, Splice};
use super::tag::Tag;

/// A document of any length that is read in bounded memory. The parser notes every element that is open, and holds every
/// tag until it ends: when its memory is full it is given up, and another one begins at the very tag.
pub struct Page {
    markup: Arc<Markup>,
    output: Arc<Mutex<Output>>,
    notes: Arc<Mutex<Notes>>,
    state: State,
    /// Angle brackets since the parser began: no more elements than that are open.
    brackets: usize,
    /// The parser is new, and has what the one before gave up on.
    is_recovering: bool,
}

enum State {
    Read(Box<HtmlRewriter<'static, Splice>>),
    /// In a tag that is too large.
    Skip(Tag),
    /// Nothing is read any more.
    PassOn,
}

/// One tag with its attributes, and the elements that are open: in old pages nobody closes them.
pub const MEMORY: usize = 2 << 20;
/// A parser that gives up while it holds so much does so because of one tag.
const LARGE_TAG: usize = MEMORY / 4;
/// So many open elements fit into the memory. Beyond that the parser gets pieces that begin with a bracket: it may give up
/// within each, and what it has not read then begins with a tag.
const MANY_BRACKETS: usize = 4_000;

// === impl Page ===

impl Page {
    pub fn new(markup: Markup) -> Self {
        let mut page = Self {
            markup: Arc::new(markup),
            output: Arc::default(),
            notes: Arc::default(),
            state: State::PassOn,
            brackets: 0,
            is_recovering: false,
        };
        page.begin(&[]);
        page
    }

    /// Takes a piece of the document. What was left as it is, if anything was.
    pub fn write(&mut self, mut piece: &[u8]) -> Option<Left> {
        let mut left = None;
        while !piece.is_empty() {
            match &mut self.state {
                State::PassOn => {
                    self.output.lock().bytes.extend_from_slice(piece);
                    return left;
                }
                State::Skip(tag) => {
                    let (taken, is_over) = tag.take(piece);
                    self.output.lock().bytes.extend_from_slice(&piece[..taken]);
                    piece = &piece[taken..];
                    if is_over {
                        let context = tag.context();
                        self.begin(&context);
                    }
                }
                State::Read(html) => {
                    let brackets = memchr::memchr_iter(b'<', piece).count();
                    let end = match self.brackets + brackets > MANY_BRACKETS {
                        true => next_bracket(piece),
                        false => piece.len(),
                    };
                    let end = self.markup.end_of_step(piece, end);
                    let (now, then) = piece.split_at(end);
                    self.brackets += brackets.min(now.len());
                    piece = then;
                    if html.write(now).is_err() {
                        left = left.or(self.recover());
                    } else if self.markup.went_astray() {
                        self.pass_on();
                        self.begin(&[]);
                    }
                }
            }
        }
        left
    }

    /// From here on nothing is read.
    pub fn pass_on(&mut self) {
        if let State::Read(html) = std::mem::replace(&mut self.state, State::PassOn) {
            self.notes.lock().finish();
            // A tag that has not ended is text for it.
            let outcome = html.end();
            let mut output = self.output.lock();
            let unread = output.unread.take().filter(|_| outcome.is_err());
            output.bytes.extend(unread.unwrap_or_default());
        }
    }

    /// What can be sent.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output.lock().bytes)
    }

    /// Another parser, for what follows `context` in an element that is no ordinary one.
    fn begin(&mut self, context: &[u8]) {
        self.notes = Arc::default();
        let mut html = self.markup.parser(&self.output, &self.notes, context.len());
        self.brackets = 0;
        self.state = match html.write(context) {
            Ok(()) => State::Read(Box::new(html)),
            Err(_) => State::PassOn,
        };
    }

    /// The parser gave up. What it held begins with a tag that it has not read.
    fn recover(&mut self) -> Option<Left> {
        let unread = self.output.lock().unread.take().unwrap_or_default();
        let is_again = std::mem::take(&mut self.is_recovering);
        if unread.len() < LARGE_TAG && !is_again {
            // Too many elements were open. For what is a link they do not matter.
            self.begin(&[]);
            self.is_recovering = true;
            let left = self.write(&unread);
            self.is_recovering = false;
            return left;
        }
        self.state = match Tag::begins(&unread) {
            Some(tag) => State::Skip(tag),
            None => State::PassOn,
        };
        self.write(&unread);
        Some(Left::LargeTag)
    }
}

fn next_bracket(piece: &[u8]) -> usize {
    let behind = piece.get(1..).unwrap_or_default();
    memchr::memchr(b'<', behind).map_or(piece.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use genkan_routing::Scheme;
    use genkan_routing::links::PublicPrefix;

    use super::super::markup::Dialect;
    use super::super::prefix::OwnPrefix;
    use super::*;

    fn mk_page() -> Page {
        let prefix = PublicPrefix::new("", Some("/p"), Scheme::Http, "b.example");
        let prefix = Arc::new(OwnPrefix::new(&prefix, None));
        Page::new(Markup::new(prefix, Dialect::Html))
    }

    fn pass(document: &str, step: usize) -> (String, Option<Left>) {
        let mut page = mk_page();
        let (mut out, mut left) = (Vec::new(), None);
        for piece in document.as_bytes().chunks(step) {
            left = left.or(page.write(piece));
            out.extend(page.take());
        }
        page.pass_on();
        out.extend(page.take());
        (String::from_utf8(out).unwrap(), left)
    }

    fn moved(document: &str) -> String {
        document.replace("href='/", "href='/p/")
    }

    const STEPS: [usize; 3] = [1_000, 16 << 10, 65_521];

    #[test]
    fn elements_that_nobody_closes_do_not_end_the_reading() {
        let row = "<tr><td title='<a>'><a href='/x'>x</a><td>y\n<p><script>'<a href=\"/no\"><td>'</script>";
        let document = row.repeat(60_000);
        for step in STEPS {
            let (passed, left) = pass(&document, step);
            assert!(passed == moved(&document) && left.is_none(), "{step}: {left:?}");
        }
    }

    #[test]
    fn large_tags_pass_and_what_follows_is_read() {
        let large = "x".repeat(MEMORY + 5);
        // Nothing is held of a tag that can have no link.
        let large_tag = Some(Left::LargeTag);
        for (before, after, expected) in [
            ("<img alt='>\"' src=\"data:", "\">", large_tag),
            ("<img src=data:", " alt='>'>", large_tag),
            ("<script src=\"", "\">'<a href=\"/no\">'</script>", large_tag),
            ("<iframe src='", "'><a href=\"/no\"></iframe>", large_tag),
            ("<textarea title='", "'><a href=\"/no\"></textarea>", large_tag),
            ("</p ", ">", None),
        ] {
            let document = format!("<a href='/before'>{before}{large}{after}<a href='/after'>");
            for step in STEPS {
                let (passed, left) = pass(&document, step);
                assert!(
                    passed == moved(&document),
                    "{before} {step}: {}",
                    &passed[passed.len() - 60..]
                );
                assert_eq!(left, expected, "{before} {step}");
            }
        }
    }

    #[test]
    fn what_is_large_but_no_tag_is_no_matter() {
        let large = "x".repeat(MEMORY + 5);
        for (before, after) in [
            ("<!-- ", "-->"),
            ("<p>", "</p>"),
            ("<script>", "</script>"),
            ("<style>", "</style>"),
            ("<svg><![CDATA[", "]]></svg>"),
        ] {
            let document = format!("<a href='/before'>{before}{large}{after}<a href='/after'>");
            let (passed, left) = pass(&document, 16 << 10);
            assert!(passed == moved(&document) && left.is_none(), "{before}");
        }
    }

    #[test]
    fn a_tag_without_end_passes_whole() {
        let document = format!("<a href='/x'><a title='{}", "<b>".repeat(MEMORY));
        for step in STEPS {
            let (passed, left) = pass(&document, step);
            assert!(passed == moved(&document));
            assert_eq!(left, Some(Left::LargeTag));
        }
    }
}
