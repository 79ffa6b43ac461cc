//! Parameters that are known when a plan is linked are put in then, so that built-ins see values.

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::exchange::{Caller, Exchange, Request, Source, Stage, State};
use crate::template::Template;

/// Texts whose expressions are about `params` alone become what they are.
///
/// # Errors
/// The path of a text that has no value, and why.
pub(super) fn folded(
    with: &Map<String, Value>,
    params: &Map<String, Value>,
) -> Result<Map<String, Value>, (String, String)> {
    let mut made = Map::new();
    for (name, value) in with {
        made.insert(name.clone(), fold(value, params, &format!("with.{name}"))?);
    }
    Ok(made)
}

/// A text of it is computed for each request.
pub(super) fn is_computed(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(is_computed),
        Value::Object(members) => members.values().any(is_computed),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn fold(value: &Value, params: &Map<String, Value>, path: &str) -> Result<Value, (String, String)> {
    Ok(match value {
        Value::String(text) if text.contains("{{") => of_text(text, params, path)?,
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| fold(item, params, &format!("{path}[{index}]")));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let members = members.iter();
            let members = members
                .map(|(name, item)| Ok((name.clone(), fold(item, params, &format!("{path}.{name}"))?)));
            Value::Object(members.collect::<Result<_, (String, String)>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    })
}

fn of_text(text: &str, params: &Map<String, Value>, path: &str) -> Result<Value, (String, String)> {
    // What is no expression may be a placeholder of the built-in; it says so itself.
    let Ok(template) = Template::parse(text) else {
        return Ok(text.into());
    };
    if !template.exprs().all(|expr| expr.is_about_only(&["params"])) {
        return Ok(text.into());
    }
    let mut headers = HeaderMap::new();
    let mut state = State::default();
    let request = Request {
        id: "",
        method: "",
        scheme: "",
        host: "",
        path: "",
        query: "",
        route: "",
        source: Source::default(),
        caller: Caller::default(),
    };
    let exchange =
        Exchange::new(request, Stage::Request(&mut headers), &mut state).with_params(params.clone());
    // A parameter that is computed later is not there yet.
    match template.value(&exchange, Duration::ZERO) {
        Ok(value) if is_computed(&value) && !is_computed(&Value::Object(params.clone())) => {
            Err((path.to_owned(), "a parameter may not make {{".to_owned()))
        }
        Ok(value) if is_computed(&value) => Ok(text.into()),
        Ok(value) => Ok(value),
        Err(_) if is_computed(&Value::Object(params.clone())) => Ok(text.into()),
        Err(error) => Err((path.to_owned(), error)),
    }
}
