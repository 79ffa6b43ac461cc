//! The functions of an API context.

use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::value::JValue;

use super::bound::Mentions;
use super::values;
use crate::exchange::{Exchange, Pairs};
use crate::json;

/// Those that DataPower adds to the language.
pub(super) const OURS: [&str; 9] = [
    "apiCtx",
    "header",
    "httpVerb",
    "operationID",
    "operationPath",
    "queryParameter",
    "statusCode",
    "storageType",
    "urlParameter",
];

/// Those of the language, without `$eval`.
pub(super) const THEIRS: [&str; 63] = [
    "abs",
    "append",
    "assert",
    "average",
    "base64decode",
    "base64encode",
    "boolean",
    "ceil",
    "contains",
    "count",
    "decodeUrl",
    "decodeUrlComponent",
    "distinct",
    "each",
    "encodeUrl",
    "encodeUrlComponent",
    "error",
    "exists",
    "filter",
    "floor",
    "formatBase",
    "formatInteger",
    "formatNumber",
    "fromMillis",
    "join",
    "keys",
    "length",
    "lookup",
    "lowercase",
    "map",
    "match",
    "max",
    "merge",
    "millis",
    "min",
    "not",
    "now",
    "number",
    "pad",
    "parseInteger",
    "power",
    "random",
    "reduce",
    "replace",
    "reverse",
    "round",
    "shuffle",
    "sift",
    "single",
    "sort",
    "split",
    "spread",
    "sqrt",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "sum",
    "toMillis",
    "trim",
    "type",
    "uppercase",
    "zip",
];

/// With those of ours that an expression names.
pub(super) fn add(
    evaluator: &mut Evaluator,
    mentions: &Mentions,
    root: &JValue,
    exchange: &Exchange<'_>,
) -> Result<(), EvaluatorError> {
    for name in OURS.iter().filter(|name| mentions.calls(name)) {
        match *name {
            "header" => {
                let headers = exchange.headers().clone();
                evaluator.register_fn(*name, move |args: &[JValue]| {
                    let value = first_text(args).and_then(|name| headers.get(name));
                    Ok(value.map_or(JValue::Undefined, values::header))
                })?;
            }
            "queryParameter" => {
                let query = exchange.query().to_owned();
                evaluator.register_fn(*name, move |args: &[JValue]| {
                    let mut pairs = Pairs(&query).decoded();
                    let wanted = first_text(args);
                    let found = pairs.find(|(name, _)| Some(&**name) == wanted);
                    Ok(found.map_or(JValue::Undefined, |(_, value)| JValue::string(&*value)))
                })?;
            }
            "urlParameter" => {
                let vars = exchange.state.vars.clone();
                evaluator.register_fn(*name, move |args: &[JValue]| {
                    let value =
                        first_text(args).and_then(|name| vars.get(&format!("request.parameters.{name}")));
                    Ok(value.map_or(JValue::Undefined, values::of_json))
                })?;
            }
            "storageType" => {
                let of_body = storage_type(exchange);
                evaluator.register_fn(*name, move |args: &[JValue]| {
                    Ok(JValue::string(match args.first() {
                        None | Some(JValue::Undefined) => of_body,
                        Some(JValue::String(name)) if matches!(&**name, "message.body" | "request.body") => {
                            of_body
                        }
                        Some(_) => return Err(EvaluatorError::TypeError("no message".to_owned())),
                    }))
                })?;
            }
            other => {
                let value = fixed(other, root, exchange);
                evaluator.register_fn(other, move |_: &[JValue]| Ok(value.clone()))?;
            }
        }
    }
    Ok(())
}

/// Of a function without an argument.
fn fixed(name: &str, root: &JValue, exchange: &Exchange<'_>) -> JValue {
    let variable = |name: &str| exchange.state.vars.get(name).map(values::of_json);
    match name {
        "apiCtx" => root.clone(),
        "httpVerb" => JValue::string(exchange.request.method),
        "operationID" => variable("api.operation.id").unwrap_or(JValue::Undefined),
        "operationPath" => {
            variable("api.operation.path").unwrap_or_else(|| JValue::string(exchange.request.path))
        }
        "statusCode" => exchange
            .status()
            .map_or(JValue::Undefined, |status| JValue::from(i64::from(status))),
        _ => JValue::Undefined,
    }
}

fn first_text(args: &[JValue]) -> Option<&str> {
    args.first().and_then(JValue::as_str)
}

/// What the body is, by its type; a body that is not what it says is binary.
fn storage_type(exchange: &Exchange<'_>) -> &'static str {
    let is_empty = exchange.body().is_none_or(|body| body.is_empty());
    let kind = json::media_type(exchange.request_headers()).unwrap_or_default();
    let is_xml = kind.ends_with("/xml") || kind.ends_with("+xml");
    let is_json = kind.is_empty() || json::is_json(kind);
    match exchange.body_value().ok().flatten() {
        _ if is_empty => "empty",
        Some(_) if is_json => "json",
        Some(_) if is_xml => "xml",
        Some(_) | None => "binary",
    }
}
