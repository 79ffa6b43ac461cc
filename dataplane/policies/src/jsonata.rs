//! JSONata, as converted conditions have it: texts of at most 16 KiB, 50 ms, 1,000 levels and 100,000 items.
//!
//! What the library does not bound is bounded where an expression is read: its parts are measured before they are put
//! together ([`bound`]), so that no value grows without an end while one function works on it.

mod bound;
mod functions;
mod measure;
mod path;
mod values;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions};
use jsonata_core::parser;
use jsonata_core::value::JValue;
use parking_lot::Mutex;

use crate::exchange::Exchange;
use crate::limiters::Table;
use bound::Mentions;

pub(crate) use path::path;

/// An expression, read once, however many steps of however many objects have it.
#[derive(Clone)]
pub(crate) struct Jsonata(Arc<Read>);

struct Read {
    tree: AstNode,
    mentions: Mentions,
}

/// Bytes of a text at most.
pub(crate) const LONGEST: usize = 16 << 10;

const MOST_MILLISECONDS: u64 = 50;
const DEEPEST: usize = 1000;
const MOST_ITEMS: usize = 100_000;

/// Bytes of stack to read any text of the longest.
const ROOM: usize = 64 << 20;

/// Texts that are kept with what they mean.
const MOST_KNOWN: usize = 1024;

static KNOWN: LazyLock<Mutex<Table<Box<str>, Jsonata>>> =
    LazyLock::new(|| Mutex::new(Table::new(MOST_KNOWN)));

// === impl Jsonata ===

impl Jsonata {
    /// # Errors
    /// Why it cannot be used, in one sentence.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        if let Some(known) = KNOWN.lock().get(text) {
            return Ok(known.clone());
        }
        let read = with_room(|| read(text))??;
        let made = Self(Arc::new(read));
        KNOWN.lock().insert(text.into(), made.clone());
        Ok(made)
    }

    /// It looks at the body of this message: `request`; `message` is the one at hand.
    pub(crate) fn reads_body(&self, root: &str) -> bool {
        match root {
            "request" => self.0.mentions.request_body,
            "message" => self.0.mentions.message_body || self.0.mentions.body_kind,
            _ => false,
        }
    }

    /// As a condition: nothing, `null`, zero, and what is empty or holds only such values are false.
    ///
    /// # Errors
    /// Why there is no value, in one sentence without anything of the message.
    pub(crate) fn truth(&self, exchange: &Exchange<'_>) -> Result<bool, String> {
        let evaluate = || {
            let options = EvaluatorOptions {
                timeout_ms: Some(MOST_MILLISECONDS),
                max_stack_depth: Some(DEEPEST),
                max_sequence_length: Some(MOST_ITEMS),
                ..EvaluatorOptions::default()
            };
            let mut evaluator = Evaluator::with_options(Context::new(), options);
            let root = match values::root(&self.0.mentions, exchange) {
                Ok(root) => root,
                Err(problem) => return Ok(Err(problem)),
            };
            measure::add(&mut evaluator)?;
            functions::add(&mut evaluator, &self.0.mentions, &root, exchange)?;
            let value = evaluator.evaluate(&self.0.tree, &root)?;
            measure::measured(&value)?;
            Ok(Ok(is_true(&value)))
        };
        // The library is young, and a request must not end with it.
        match catch_unwind(AssertUnwindSafe(evaluate)) {
            Ok(Ok(truth)) => truth,
            Ok(Err(error)) => Err(sentence(&error).to_owned()),
            Err(_) => Err("the expression cannot be evaluated".to_owned()),
        }
    }
}

impl fmt::Debug for Jsonata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jsonata(..)")
    }
}

fn read(text: &str) -> Result<Read, String> {
    let mut tree = parsed(text)?;
    let mentions = bound::bounded(&mut tree)?;
    Ok(Read { tree, mentions })
}

fn parsed(text: &str) -> Result<AstNode, String> {
    if text.len() > LONGEST {
        return Err(format!("it has {} bytes, and {LONGEST} are the most", text.len()));
    }
    // What the library says of a text shows nothing but the text.
    let tree = catch_unwind(|| parser::parse(text)).map_err(|_| "it cannot be read".to_owned())?;
    tree.map_err(|error| {
        let text = error.to_string();
        text.lines().next().unwrap_or("it cannot be read").to_owned()
    })
}

/// Trees are read, walked and dropped level by level: where there is room for that.
fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(ROOM);
        let reader = reader.spawn_scoped(scope, work);
        let reader = reader.map_err(|_| "there is no room to read it")?;
        reader.join().map_err(|_| "it cannot be read".to_owned())
    })
}

fn is_true(value: &JValue) -> bool {
    match value {
        JValue::Bool(truth) => *truth,
        JValue::Number(number) => *number != 0.0 && !number.is_nan(),
        JValue::String(text) => !text.is_empty(),
        JValue::Array(items) => items.iter().any(is_true),
        JValue::Object(members) => !members.is_empty(),
        JValue::Null
        | JValue::Undefined
        | JValue::Lambda(_)
        | JValue::Builtin { .. }
        | JValue::Regex { .. } => false,
    }
}

/// The texts of the library show values, and values can be secret.
fn sentence(error: &EvaluatorError) -> &'static str {
    let text = error.message();
    let ours = measure::SENTENCES
        .iter()
        .find(|sentence| text.contains(**sentence));
    if let Some(sentence) = ours {
        return sentence;
    }
    match error.code() {
        Some("D1012" | "U1003") => "the expression takes longer than 50 ms",
        Some("D1011" | "U1001") => "the expression calls itself deeper than 1,000 levels",
        Some("D2014" | "D2015") => "the expression makes a list of more than 100,000 items",
        Some("T1005" | "T1006") => "the expression calls something that is no function",
        Some(_) | None => "the expression does not fit the values that it finds",
    }
}

#[cfg(test)]
mod tests;
