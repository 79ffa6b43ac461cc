use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use lol_html::errors::RewritingError;
use lol_html::html_content::{Attribute, BailOut, EndTag};
use lol_html::send::{Element, ElementContentHandlers, HtmlRewriter, Settings};
use lol_html::{MemorySettings, Selector};
use parking_lot::Mutex;

use genkan_routing::links::lists;
use genkan_routing::links::places::{ATTRIBUTES, Holds, holds};
use genkan_routing::links::scan::{Edit, ImportMap, Modules, Scanner, Style};
use genkan_routing::links::text::{Language, Text};

use super::page::MEMORY;
use super::prefix::OwnPrefix;
use super::splice::{Notes, Output, Splice};
use super::tag::APART;

/// How the elements of a document are read, whichever parser reads them.
#[derive(Debug)]
pub struct Markup {
    pub prefix: Arc<OwnPrefix>,
    pub dialect: Dialect,
    /// Texts that stand in the page are known by their hashes, and have to stay as they are.
    pub keeps_texts: bool,
    additions: Arc<Mutex<Additions>>,
    /// How many documents this one stands in.
    depth: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Html,
    /// Elements may end where they begin.
    Xml,
}

/// What is to be put into a page.
#[derive(Debug)]
pub struct Addition {
    /// An element, before everything else that acts.
    pub script: String,
    /// Members of the imports of its import map.
    pub imports: String,
}

/// How far a document has come.
#[derive(Debug, Default)]
struct Additions {
    script: Option<String>,
    imports: Option<String>,
    has_base: bool,
    /// An element that ended where it began was taken for the beginning of a text.
    is_astray: bool,
}

/// An element may grow by so much.
const MOST_NEW: usize = 1 << 20;
const MOST_DEPTH: u8 = 2;
const HTML: &str = "http://www.w3.org/1999/xhtml";

/// Those that hold a link or a text, and those that matter for where such lead.
static MARKUP: LazyLock<Selector> = LazyLock::new(|| selector(&[]));
/// A document begins with one of these, if its author left out what may be left out.
static WHOLE: LazyLock<Selector> = LazyLock::new(|| {
    selector(&[
        "a", "body", "center", "div", "form", "frameset", "h1", "h2", "head", "link", "main", "meta",
        "noscript", "p", "pre", "table", "template", "title", "ul",
    ])
});

/// Whatever may be taken for the beginning of a text is to be seen.
static XML: LazyLock<Selector> = LazyLock::new(|| selector(&APART));

fn selector(more: &[&str]) -> Selector {
    let attributes = ATTRIBUTES.iter().map(|(element, attribute, _)| {
        let attribute = attribute.replace(':', "\\:");
        format!("{element}[{attribute}]")
    });
    let others = ["[href]", "base", "style", "script", "meta[http-equiv]"];
    let others = others.iter().chain(more).map(|text| (*text).to_owned());
    let all: Vec<_> = attributes.chain(others).collect();
    all.join(",")
        .parse()
        .expect("the list of attributes makes valid selectors")
}

// === impl Markup ===

impl Markup {
    pub fn new(prefix: Arc<OwnPrefix>, dialect: Dialect) -> Self {
        Self {
            prefix,
            dialect,
            keeps_texts: false,
            additions: Arc::default(),
            depth: 0,
        }
    }

    /// The page gets this, too.
    pub fn add(&self, addition: Addition) {
        let mut additions = self.additions.lock();
        additions.script = Some(addition.script);
        additions.imports = Some(addition.imports);
    }

    /// A parser that notes what has to be changed.
    pub fn parser(
        self: &Arc<Self>,
        output: &Arc<Mutex<Output>>,
        notes: &Arc<Mutex<Notes>>,
        hidden: usize,
    ) -> HtmlRewriter<'static, Splice> {
        let prefix = Arc::clone(&self.prefix);
        let splice = Splice::new(prefix, Arc::clone(notes), Arc::clone(output), hidden);
        let (markup, notes) = (Arc::clone(self), Arc::clone(notes));
        let note = move |element: &mut Element<'_, '_>| {
            markup.note(element, &notes);
            Ok(())
        };
        let output = Arc::clone(output);
        let give_up = move |_: &RewritingError, _: &mut BailOut<'_>| {
            output.lock().unread = Some(Vec::new());
        };
        let memory = MemorySettings::new()
            .with_max_allowed_memory_usage(MEMORY)
            .with_graceful_bail_out_on_memory_limit_exceeded(true);
        let selector = match (self.dialect, &self.additions.lock().imports) {
            (Dialect::Xml, _) => &*XML,
            (Dialect::Html, None) => &*MARKUP,
            (Dialect::Html, Some(_)) => &*WHOLE,
        };
        let handlers = ElementContentHandlers::default().element(note);
        let settings = Settings::new_send()
            .with_memory_settings(memory)
            .with_strict(false)
            .append_bail_out_handler(give_up)
            .append_element_content_handler((Cow::Borrowed(selector), handlers));
        HtmlRewriter::new(settings, splice)
    }

    /// How much of a piece may be read before it is asked whether the parser went astray.
    pub fn end_of_step(&self, piece: &[u8], end: usize) -> usize {
        match self.dialect {
            Dialect::Html => end,
            // Only behind a slash elements end where they begin.
            Dialect::Xml => memchr::memchr(b'>', &piece[..end]).map_or(end, |at| at + 1),
        }
    }

    /// Whether the parser reads markup as a text; told once.
    pub fn went_astray(&self) -> bool {
        self.dialect == Dialect::Xml && std::mem::take(&mut self.additions.lock().is_astray)
    }

    fn note(&self, element: &mut Element<'_, '_>, notes: &Arc<Mutex<Notes>>) {
        let name = element.tag_name();
        let is_html = element.namespace_uri() == HTML;
        let tag = element.source_location().bytes();
        let kind = kind(element, &name);
        let scanner = self.scanner(element, &name, is_html, kind.as_deref());
        let mut additions = self.additions.lock();
        let mut noted = notes.lock();
        // Whatever was read as a text has ended.
        noted.end(tag.start);
        if is_html && name != "html" {
            let at = if name == "head" { tag.end } else { tag.start };
            if let Some(script) = additions.script.take() {
                noted.add((at..at, script));
            }
        }
        let loads_module = match &*name {
            "script" => kind.as_deref() == Some("module"),
            "link" => kind.as_deref().is_some_and(|rel| rel.contains("modulepreload")),
            _ => false,
        };
        if loads_module && let Some(imports) = additions.imports.take() {
            noted.add((tag.start..tag.start, import_map(&imports)));
        }
        let mut left = MOST_NEW;
        for attribute in element.attributes() {
            let holds = holds(&name, &attribute.name(), is_html);
            let edits = holds.map(|holds| self.edits(attribute, holds, &name, &mut additions));
            for edit in edits.unwrap_or_default() {
                let Some(rest) = left.checked_sub(edit.1.len()) else {
                    break;
                };
                left = rest;
                noted.add(edit);
            }
        }
        if name == "meta" {
            self.refresh(element).into_iter().for_each(|edit| noted.add(edit));
        }
        drop(noted);
        if self.dialect == Dialect::Xml && element.is_self_closing() {
            additions.is_astray |= is_html && APART.contains(&&*name);
            return;
        }
        if name == "body" && additions.imports.is_some() {
            self.add_at_end(element, notes);
        }
        let mut scanner = scanner;
        if let Some(Scanner::ImportMap(map)) = &mut scanner {
            *map = ImportMap::with(additions.imports.take());
        }
        let Some(scanner) = scanner.filter(|_| !self.keeps_texts) else {
            return;
        };
        let ended = Arc::clone(notes);
        let end = move |end: &mut EndTag<'_>| {
            ended.lock().end(end.source_location().bytes().start);
            Ok(())
        };
        if let Some(handlers) = element.end_tag_handlers() {
            handlers.push(Box::new(end));
            notes.lock().begin(tag.end, scanner);
        }
    }

    /// Who reads the text of an element.
    fn scanner(
        &self,
        element: &Element<'_, '_>,
        name: &str,
        is_html: bool,
        kind: Option<&str>,
    ) -> Option<Scanner> {
        match (name, kind) {
            ("style", None | Some("" | "text/css")) => Some(Scanner::Style(Style::default())),
            ("script", Some("importmap")) if is_html => Some(Scanner::ImportMap(ImportMap::default())),
            ("script", Some("module")) if is_html && !element.has_attribute("src") => {
                Some(Scanner::Modules(Modules::default()))
            }
            _ => None,
        }
    }

    fn edits(
        &self,
        attribute: &Attribute<'_>,
        holds: Holds,
        element: &str,
        additions: &mut Additions,
    ) -> Vec<Edit> {
        let Some((start, value)) = value(attribute) else {
            return Vec::new();
        };
        let text = Text::decode(value.as_bytes(), Language::Html);
        let decoded = &*text.decoded;
        let mover = |link: &[u8]| self.prefix.edit(link);
        let within = |place: std::ops::Range<usize>| {
            let (found, new) = mover(&decoded[place.clone()])?;
            Some((place.start + found.start..place.start + found.end, new))
        };
        let edits: Vec<Edit> = match holds {
            Holds::Link => {
                if element == "base" && !std::mem::replace(&mut additions.has_base, true) {
                    self.prefix.note_base(decoded);
                }
                mover(decoded).into_iter().collect()
            }
            Holds::List => limited(lists::words(decoded).filter_map(within)),
            Holds::Candidates => limited(lists::candidates(decoded).filter_map(within)),
            Holds::Style => Scanner::Style(Style::default()).edits(decoded, &mover, MOST_NEW),
            Holds::Document => self.of_document(decoded),
        };
        of_value(edits, &text, start)
    }

    /// Of the link in `content` that a page is refreshed to.
    fn refresh(&self, element: &Element<'_, '_>) -> Vec<Edit> {
        let is = |attribute: &&Attribute<'_>, name: &str| attribute.name() == name;
        let find = |name: &str| element.attributes().iter().find(|attribute| is(attribute, name));
        let is_refresh = |attribute: &Attribute<'_>| {
            let value = attribute.value();
            let text = Text::decode(value.as_bytes(), Language::Html);
            text.decoded.trim_ascii().eq_ignore_ascii_case(b"refresh")
        };
        let found = find("http-equiv")
            .filter(|attribute| is_refresh(attribute))
            .and_then(|_| find("content"))
            .and_then(value);
        let Some((start, value)) = found else {
            return Vec::new();
        };
        let text = Text::decode(value.as_bytes(), Language::Html);
        let place = lists::refresh(&text.decoded);
        let edit = place.and_then(|place| {
            let (found, new) = self.prefix.edit(&text.decoded[place.clone()])?;
            Some((place.start + found.start..place.start + found.end, new))
        });
        of_value(edit.into_iter().collect(), &text, start)
    }

    /// Of a document in an attribute, by places in it.
    fn of_document(&self, document: &[u8]) -> Vec<Edit> {
        if self.depth >= MOST_DEPTH {
            return Vec::new();
        }
        let inner = Arc::new(Self {
            keeps_texts: self.keeps_texts,
            depth: self.depth + 1,
            ..Self::new(Arc::clone(&self.prefix), Dialect::Html)
        });
        let output = Arc::new(Mutex::new(Output {
            recorded: Some(Vec::new()),
            ..Output::default()
        }));
        let notes = Arc::default();
        let mut parser = inner.parser(&output, &notes, 0);
        let (mut edits, mut left) = (Vec::new(), MOST_NEW);
        for piece in document.chunks(PIECE) {
            let is_read = parser.write(piece).is_ok();
            for edit in output.lock().recorded.iter_mut().flat_map(|all| all.drain(..)) {
                left = left.saturating_sub(edit.1.len());
                edits.push(edit);
            }
            if !is_read || left == 0 {
                return edits;
            }
        }
        notes.lock().finish();
        let _ = parser.end();
        edits.extend(output.lock().recorded.take().unwrap_or_default());
        edits
    }

    /// Import maps count as long as nothing has been imported: better at the end than never.
    fn add_at_end(&self, element: &mut Element<'_, '_>, notes: &Arc<Mutex<Notes>>) {
        let (notes, additions) = (Arc::clone(notes), Arc::clone(&self.additions));
        let end = move |end: &mut EndTag<'_>| {
            let at = end.source_location().bytes().start;
            if let Some(imports) = additions.lock().imports.take() {
                notes.lock().add((at..at, import_map(&imports)));
            }
            Ok(())
        };
        if let Some(handlers) = element.end_tag_handlers() {
            handlers.push(Box::new(end));
        }
    }
}

/// A document in a document is read in pieces of so much.
const PIECE: usize = 16 << 10;

/// The element that says where the imports of a page lead.
fn import_map(imports: &str) -> String {
    let map = imports_of(imports);
    format!("<script type=\"importmap\">{map}</script>")
}

/// What stands in it.
pub fn imports_of(imports: &str) -> String {
    format!("{{\"imports\":{{{imports}}}}}")
}

/// What an element is by its attributes, in lower case: the type of a script or style, the relation of a link.
fn kind(element: &Element<'_, '_>, name: &str) -> Option<String> {
    let attribute = match name {
        "script" | "style" => "type",
        "link" => "rel",
        _ => return None,
    };
    let written = element.get_attribute(attribute)?;
    let text = Text::decode(written.as_bytes(), Language::Html);
    let kind = String::from_utf8_lossy(text.decoded.trim_ascii());
    Some(kind.to_ascii_lowercase())
}

/// Where a value begins, and what is written there.
fn value(attribute: &Attribute<'_>) -> Option<(usize, String)> {
    let place = attribute.value_source_location()?.bytes();
    let value = attribute.value();
    // Not in the encoding we read it in: better an unmoved link than a broken one.
    let is_readable = value.len() == place.len() && !value.contains(char::REPLACEMENT_CHARACTER);
    is_readable.then_some((place.start, value))
}

/// Edits of what a value means become edits of the document: the value is kept as it is written, and what is new does not end
/// it.
fn of_value(edits: Vec<Edit>, text: &Text<'_>, start: usize) -> Vec<Edit> {
    let placed = edits.into_iter().map(|(place, new)| {
        let place = text.place(&place);
        let place = start + place.start..start + place.end;
        (place, Language::Html.escape(&new))
    });
    placed.collect()
}

fn limited(edits: impl Iterator<Item = Edit>) -> Vec<Edit> {
    let mut left = MOST_NEW;
    let is_within = |(_, new): &Edit| {
        left = left.saturating_sub(new.len());
        left > 0
    };
    edits.take_while(is_within).collect()
}
