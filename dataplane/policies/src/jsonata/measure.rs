//! How large values may be that are put together or given to a function.

use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::value::JValue;

/// Names that cannot be written.
pub(super) const MEASURED: &str = "@measured";
pub(super) const SMALL: &str = "@small";
pub(super) const FEW: &str = "@few";
pub(super) const SHORT: &str = "@short";

/// Values inside of one, however often each of them is there.
const MOST_VALUES: usize = 100_000;
/// Bytes of the texts in one value.
const MOST_TEXT: usize = 256 << 10;
/// Levels of one value.
const DEEPEST: usize = 200;
/// What multiplies: bytes of a text, and a width.
const SMALL_TEXT: usize = 256;
const SMALL_NUMBER: f64 = 10_000.0;
/// What is written in the numerals of Rome has a letter for each thousand.
const LARGEST: f64 = 1_000_000.0;
/// What is compared one with each other.
const FEW_ITEMS: usize = 1000;

const TOO_MUCH: &str =
    "the expression makes a value of more than 100,000 values, 256 KiB of text or 200 levels";
const TOO_LARGE: &str =
    "the expression pads, joins or replaces with more than 256 bytes, or to more than 10,000";
const TOO_LONG: &str = "the expression formats an integer above 1,000,000";
const TOO_MANY: &str = "the expression compares more than 1,000 items with each other";

pub(super) const SENTENCES: [&str; 4] = [TOO_MUCH, TOO_LARGE, TOO_LONG, TOO_MANY];

/// With the functions that measure.
pub(super) fn add(evaluator: &mut Evaluator) -> Result<(), EvaluatorError> {
    for (name, check) in [
        (MEASURED, measured as fn(&JValue) -> Result<(), EvaluatorError>),
        (SMALL, small),
        (FEW, few),
        (SHORT, short),
    ] {
        evaluator.register_fn(name, move |args: &[JValue]| {
            let value = args.first().unwrap_or(&JValue::Undefined);
            check(value).map(|()| value.clone())
        })?;
    }
    Ok(())
}

/// # Errors
/// When there is too much of it.
pub(super) fn measured(value: &JValue) -> Result<(), EvaluatorError> {
    let mut left = Left {
        values: MOST_VALUES,
        text: MOST_TEXT,
    };
    left.take(value, 0).ok_or_else(|| error(TOO_MUCH))
}

fn small(value: &JValue) -> Result<(), EvaluatorError> {
    let is_large = value.as_f64().is_some_and(|number| number.abs() > SMALL_NUMBER)
        || value.as_str().is_some_and(|text| text.len() > SMALL_TEXT);
    if is_large {
        return Err(error(TOO_LARGE));
    }
    measured(value)
}

fn short(value: &JValue) -> Result<(), EvaluatorError> {
    if value.as_f64().is_some_and(|number| number.abs() > LARGEST) {
        return Err(error(TOO_LONG));
    }
    measured(value)
}

fn few(value: &JValue) -> Result<(), EvaluatorError> {
    if value.as_array().is_some_and(|items| items.len() > FEW_ITEMS) {
        return Err(error(TOO_MANY));
    }
    measured(value)
}

fn error(text: &str) -> EvaluatorError {
    EvaluatorError::EvaluationError(text.to_owned())
}

struct Left {
    values: usize,
    text: usize,
}

// === impl Left ===

impl Left {
    fn take(&mut self, value: &JValue, depth: usize) -> Option<()> {
        self.values = self.values.checked_sub(1)?;
        if depth > DEEPEST {
            return None;
        }
        match value {
            JValue::String(text) => self.text = self.text.checked_sub(text.len())?,
            JValue::Array(items) => {
                for item in items.iter() {
                    self.take(item, depth + 1)?;
                }
            }
            JValue::Object(members) => {
                for (name, member) in members.iter() {
                    self.text = self.text.checked_sub(name.len())?;
                    self.take(member, depth + 1)?;
                }
            }
            JValue::Null
            | JValue::Bool(_)
            | JValue::Number(_)
            | JValue::Undefined
            | JValue::Lambda(_)
            | JValue::Builtin { .. }
            | JValue::Regex { .. } => {}
        }
        Some(())
    }
}
