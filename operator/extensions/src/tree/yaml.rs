use std::collections::BTreeSet;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::Number;

use super::{DEEPEST, Node};

/// Why a text is no YAML that is taken, and in which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Anchor,
    Tag,
    SecondDocument,
    Deep,
    Syntax,
}

/// Reads the one document of a text.
///
/// # Errors
///
/// It is no YAML, has a key twice, or holds what can be used to make small texts large.
pub fn read(text: &[u8]) -> Result<Node, Fault> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|error| {
        let lines = text[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n');
        What::Syntax.at(lines.count() + 1)
    })?;
    let mut building = Building::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            // An alias of nothing is one nevertheless.
            let is_alias = error.info().contains("unknown anchor");
            let what = if is_alias { What::Anchor } else { What::Syntax };
            what.at(error.marker().line())
        })?;
        building.take(event, span)?;
    }
    Ok(building.root.unwrap_or(Node::Null))
}

// === impl What ===

impl What {
    fn at(self, line: usize) -> Fault {
        Fault {
            line: line.max(1),
            what: self,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Anchor => "YAML anchors and aliases are not allowed",
            Self::Tag => "YAML tags are not allowed",
            Self::SecondDocument => "more than one YAML document",
            Self::Deep => "YAML nested deeper than 64",
            Self::Syntax => "not YAML",
        })
    }
}

/// Lists and maps that are not closed yet.
#[derive(Default)]
struct Building {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

enum Open {
    List(Vec<Node>),
    Map(Members),
}

#[derive(Default)]
struct Members {
    members: Vec<(String, Node)>,
    names: BTreeSet<String>,
    /// The key whose value comes next.
    next: Option<String>,
}

// === impl Building ===

impl Building {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(What::SecondDocument.at(line));
                }
            }
            Event::Alias(_) => return Err(What::Anchor.at(line)),
            Event::Scalar(text, style, anchor, tag) => {
                plain(anchor, tag.as_deref(), line)?;
                self.place(scalar(&text, style), line)?;
            }
            Event::SequenceStart(anchor, tag) => {
                plain(anchor, tag.as_deref(), line)?;
                self.open(Open::List(Vec::new()), line)?;
            }
            Event::MappingStart(anchor, tag) => {
                plain(anchor, tag.as_deref(), line)?;
                self.open(Open::Map(Members::default()), line)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop() {
                    Some(Open::List(items)) => Node::List(items),
                    Some(Open::Map(map)) if map.next.is_none() => Node::Map(map.members),
                    Some(Open::Map(_)) | None => return Err(What::Syntax.at(line)),
                };
                self.place(node, line)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => (),
        }
        Ok(())
    }

    fn open(&mut self, open: Open, line: usize) -> Result<(), Fault> {
        if self.open.len() >= DEEPEST {
            return Err(What::Deep.at(line));
        }
        self.open.push(open);
        Ok(())
    }

    fn place(&mut self, node: Node, line: usize) -> Result<(), Fault> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map(map)) => match map.next.take() {
                Some(key) => map.members.push((key, node)),
                None => {
                    let key = key(&node).ok_or(What::Syntax.at(line))?;
                    if !map.names.insert(key.clone()) {
                        return Err(What::Syntax.at(line));
                    }
                    map.next = Some(key);
                }
            },
        }
        Ok(())
    }
}

fn plain(anchor: usize, tag: Option<&Tag>, line: usize) -> Result<(), Fault> {
    if anchor > 0 {
        return Err(What::Anchor.at(line));
    }
    match tag {
        Some(_) => Err(What::Tag.at(line)),
        None => Ok(()),
    }
}

fn key(node: &Node) -> Option<String> {
    match node {
        Node::Null => Some("null".to_owned()),
        Node::Bool(_) | Node::Number(_) | Node::Text(_) => node.scalar(),
        Node::List(_) | Node::Map(_) => None,
    }
}

/// By the core schema of YAML 1.2; numbers that JSON does not have stay texts.
fn scalar(text: &str, style: ScalarStyle) -> Node {
    if style != ScalarStyle::Plain {
        return Node::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "true" | "True" | "TRUE" => Node::Bool(true),
        "false" | "False" | "FALSE" => Node::Bool(false),
        text => number(text).map_or_else(|| Node::Text(text.to_owned()), Node::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return u64::from_str_radix(digits, radix).ok().map(Number::from);
        }
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let of_a_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if !digits.bytes().all(of_a_number) || !digits.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = whole.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = whole.parse::<u64>() {
        return Some(number.into());
    }
    Number::from_f64(whole.parse::<f64>().ok()?)
}
