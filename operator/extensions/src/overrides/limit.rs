//! Named limits, as commands set them.

use serde_json::Value;

use crate::policy::expression::{expression, quoted};
use crate::policy::object;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rate,
    Burst,
    Count,
}

const NEEDED: &str = "a name and a number are needed";

/// Name and limit of a command; `None`: it sets none.
///
/// # Errors
///
/// It is one of the three, and wrong.
pub(crate) fn read(words: &[&str]) -> Result<Option<(String, Value)>, String> {
    let Some((command, words)) = words.split_first() else {
        return Ok(None);
    };
    let kind = match *command {
        "assembly-rate-limit" => Kind::Rate,
        "assembly-burst-limit" => Kind::Burst,
        "assembly-count-limit" => Kind::Count,
        _ => return Ok(None),
    };
    let mut words = words.iter().copied();
    let name = words.next().filter(|name| !name.is_empty()).ok_or(NEEDED)?;
    let number = words.next().and_then(|number| number.parse::<u64>().ok());
    let number = number.ok_or(NEEDED)?;
    let per = match kind {
        Kind::Rate | Kind::Burst => Some(interval(words.next(), words.next())?),
        Kind::Count => None,
    };
    let mut flag = |default: bool| words.next().map_or(default, |word| word == "on");
    let hard = match kind {
        Kind::Rate => flag(false) && number > 0,
        Kind::Burst => number > 0,
        Kind::Count => flag(true),
    };
    let _cache_first = flag(true);
    let is_client = flag(kind != Kind::Count);
    let (api, app, client) = (flag(false), flag(false), flag(false));
    let dynamic = words.next().filter(|text| !matches!(*text, "" | "na"));
    let weight = words.next().filter(|text| !text.is_empty()).unwrap_or("1");
    let mut keys = Vec::new();
    if api {
        keys.push("route.name".to_owned());
    }
    if app || client {
        keys.push("auth.claims[\"client_id\"]".to_owned());
    }
    keys.extend(dynamic.map(expression));
    let key = match keys.is_empty() {
        true => quoted(""),
        false => keys.join(" + \"|\" + "),
    };
    let (kind, amount) = match kind {
        Kind::Rate => ("rate", "requests"),
        Kind::Burst => ("burst", "requests"),
        Kind::Count => ("count", "count"),
    };
    let mut limit = object([
        ("kind", Value::from(kind)),
        (amount, Value::from(number)),
        ("hard", Value::from(hard)),
        ("key", Value::from(key)),
        ("weight", Value::from(expression(weight))),
        ("status", Value::from(if is_client { 429 } else { 503 })),
    ]);
    if let Some(per) = per {
        limit.insert("per".to_owned(), Value::from(per));
    }
    Ok(Some((name.to_owned(), Value::Object(limit))))
}

fn interval(number: Option<&str>, unit: Option<&str>) -> Result<String, String> {
    let number = number.unwrap_or("1");
    let unit = unit.unwrap_or("second");
    let seconds: Option<u64> = match unit {
        "second" => Some(1),
        "minute" => Some(60),
        "hour" => Some(3_600),
        "day" => Some(86_400),
        "week" => Some(7 * 86_400),
        _ => None,
    };
    let many = number.parse::<u64>().ok().filter(|many| *many > 0);
    let product = seconds.zip(many).and_then(|(unit, many)| unit.checked_mul(many));
    let product = product.ok_or_else(|| format!("{number} {unit} is no interval"))?;
    Ok(format!("{product}s"))
}
