//! CEL: one environment a process, texts of at most 4 KiB and 96 levels, loops of at most two levels over at most 1,000
//! items.

mod bound;
mod values;
mod wants;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cel::common::ast::IdedExpr;
use cel::{Context, Env, ExecutionError, Value};
use genkan_routing::model::policy::Direction;
use parking_lot::Mutex;

use crate::exchange::Exchange;
use crate::limiters::Table;
use wants::Wants;

/// An expression, compiled once, however many steps of however many objects have it.
#[derive(Clone)]
pub(crate) struct Expr(Arc<Compiled>);

struct Compiled {
    tree: IdedExpr,
    wants: Wants,
}

/// Bytes of a text at most.
pub(crate) const LONGEST: usize = 4 << 10;

/// Texts with no more signs than that are no deeper.
const FEW_SIGNS: usize = 64;
/// Bytes of stack to read any text of the longest.
const ROOM: usize = 64 << 20;

/// Texts that are kept with what they mean: objects are linked again whenever one of them changes.
const MOST_KNOWN: usize = 4096;

static KNOWN: LazyLock<Mutex<Table<Box<str>, Expr>>> = LazyLock::new(|| Mutex::new(Table::new(MOST_KNOWN)));

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    bound::add(&mut env);
    Arc::new(env)
});

// === impl Expr ===

impl Expr {
    /// # Errors
    /// Why it cannot be used, in one sentence.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it has {} bytes, and {LONGEST} are the most", text.len()));
        }
        if let Some(known) = KNOWN.lock().get(text) {
            return Ok(known.clone());
        }
        let expr = Self::read_with_room(text)?;
        KNOWN.lock().insert(text.into(), expr.clone());
        Ok(expr)
    }

    fn read_with_room(text: &str) -> Result<Self, String> {
        if text.bytes().filter(|byte| byte.is_ascii_punctuation()).count() <= FEW_SIGNS {
            return Self::read(text);
        }
        // The parser calls itself for each term of a chain: what may be long is read where there is room for that.
        std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().stack_size(ROOM);
            let reader = reader.spawn_scoped(scope, || Self::read(text));
            let reader = reader.map_err(|_| "there is no room to read it")?;
            reader.join().map_err(|_| "it cannot be read")?
        })
    }

    fn read(text: &str) -> Result<Self, String> {
        // The parser is known to panic on some texts that are no expressions.
        let read = catch_unwind(AssertUnwindSafe(|| ENV.compile(text)));
        let program = match read {
            Ok(Ok(program)) => program,
            Ok(Err(error)) => {
                let text = error.to_string();
                let line = text.lines().next().unwrap_or("it cannot be read");
                return Err(line.to_owned());
            }
            Err(_) => return Err("it cannot be read".to_owned()),
        };
        let tree = bound::bounded(program.expression().clone())?;
        let wants = Wants::of(&tree)?;
        Ok(Self(Arc::new(Compiled { tree, wants })))
    }

    /// It looks at the body of this message: `request`, `response`; `message` is either.
    pub(crate) fn reads_body(&self, root: &str) -> bool {
        self.0.wants.has(root, "body")
    }

    /// It looks at nothing but these.
    pub(crate) fn is_about_only(&self, roots: &[&str]) -> bool {
        self.0.wants.roots().all(|root| roots.contains(&root))
    }

    /// # Errors
    /// Why there is no value, in one sentence without anything of the message.
    pub(crate) fn value(&self, exchange: &Exchange<'_>, now: Duration) -> Result<Value, String> {
        let of_message = exchange.direction() == Direction::Request && self.reads_body("message");
        if of_message || self.reads_body("request") {
            // One that cannot be read is not the same as none.
            exchange.body_value()?;
        }
        let evaluate = || {
            let mut context = Context::with_env(Arc::clone(&ENV));
            values::add(&mut context, &self.0.wants, exchange, now);
            let value = Value::resolve_val(&self.0.tree, &context)?;
            Value::try_from(value.as_ref())
        };
        match catch_unwind(AssertUnwindSafe(evaluate)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(sentence(&error).to_owned()),
            Err(_) => Err("the expression cannot be evaluated".to_owned()),
        }
    }

    /// # Errors
    /// As [`Self::value`], and when it is neither true nor false.
    pub(crate) fn truth(&self, exchange: &Exchange<'_>, now: Duration) -> Result<bool, String> {
        let value = self.value(exchange, now)?;
        if let Value::Bool(truth) = value {
            Ok(truth)
        } else {
            Err("the expression is neither true nor false".to_owned())
        }
    }

    /// # Errors
    /// As [`Self::value`], and when it cannot be written as JSON.
    pub(crate) fn json(&self, exchange: &Exchange<'_>, now: Duration) -> Result<serde_json::Value, String> {
        let value = self.value(exchange, now)?;
        let value = value.json();
        let mut value = value.map_err(|_| "the value cannot be written as JSON".to_owned())?;
        // Maps of CEL have no order, and what is written has to be the same each time.
        value.sort_all_objects();
        Ok(value)
    }

    /// Behind what is there already: texts as they are, lists and maps as JSON.
    ///
    /// # Errors
    /// As [`Self::value`], and when there is nothing to write.
    pub(crate) fn write(
        &self,
        out: &mut String,
        exchange: &Exchange<'_>,
        now: Duration,
    ) -> Result<(), String> {
        let value = self.value(exchange, now)?;
        if let Value::String(text) = &value {
            out.push_str(text);
            return Ok(());
        }
        if matches!(value, Value::Null) {
            return Err("the expression has no value".to_owned());
        }
        let value = value.json();
        let mut value = value.map_err(|_| "the value cannot be written as text".to_owned())?;
        value.sort_all_objects();
        out.push_str(&value.to_string());
        Ok(())
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expr(..)")
    }
}

/// The texts of the library show values, and values can be secret.
fn sentence(error: &ExecutionError) -> &'static str {
    if matches!(error, ExecutionError::NoSuchKey(_)) {
        "a member that the expression names is not there"
    } else if matches!(error, ExecutionError::UndeclaredReference(_)) {
        "the expression names something that is not known here"
    } else if matches!(error, ExecutionError::FunctionError { message, .. } if message == bound::TOO_MANY) {
        bound::TOO_MANY
    } else {
        "the expression does not fit the values that it finds"
    }
}

#[cfg(test)]
mod tests;
