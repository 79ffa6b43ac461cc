//! Rego for `authorize`: read once, evaluated for each request, bounded by a clock.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use serde_json::json;

use crate::exchange::{Exchange, Pairs};

pub(crate) struct Rego {
    engine: Engine,
    rule: String,
    /// The text mentions bodies.
    reads_body: bool,
}

/// Bytes of a text at most.
const LONGEST: usize = 64 << 10;
const LIMIT: Duration = Duration::from_millis(50);
/// Steps between two looks at the clock.
const INTERVAL: NonZeroU32 = NonZeroU32::new(64).expect("it is not zero");

// === impl Rego ===

impl Rego {
    /// # Errors
    /// Why it cannot be used, in one sentence.
    pub(crate) fn compile(text: &str, query: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it has {} bytes, and {LONGEST} are the most", text.len()));
        }
        genkan_rego::refuse_depth(text)?;
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !query.starts_with("data.") || !query.split('.').all(is_word) {
            return Err(format!(
                "the query {query:?} is no name of a rule such as data.genkan.allow"
            ));
        }
        let mut engine = Engine::new();
        let added = engine.add_policy("policy.rego".to_owned(), text.to_owned());
        added.map_err(|error| sentence(&error.to_string()))?;
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: LIMIT,
            check_interval: INTERVAL,
        });
        // Rules and functions are looked up when it is first evaluated: a mistake in them shows here, and not in a request.
        let mut trial = engine.clone();
        trial.set_input(Value::new_object());
        if let Err(error) = trial.eval_rule(query.to_owned()) {
            let text = error.to_string();
            let is_of_text = [
                "could not find",
                "not found",
                "undefined variable",
                "unsafe",
                "not a valid",
            ];
            if is_of_text.iter().any(|sign| text.contains(sign)) {
                return Err(sentence(&text));
            }
        }
        Ok(Self {
            engine,
            rule: query.to_owned(),
            reads_body: text.contains("body"),
        })
    }

    /// What is undefined is false.
    ///
    /// # Errors
    /// Why there is no verdict, in one sentence without anything of the request.
    pub(crate) fn truth(&self, exchange: &Exchange<'_>) -> Result<bool, String> {
        let mut engine = self.engine.clone();
        let body = if self.reads_body {
            exchange.body_value()?
        } else {
            None
        };
        let input = input(exchange, body).to_string();
        let input = Value::from_json_str(&input);
        engine.set_input(input.map_err(|_| "the request cannot be written as input")?);
        match engine.eval_rule(self.rule.clone()) {
            Ok(Value::Bool(verdict)) => Ok(verdict),
            Ok(Value::Undefined) => Ok(false),
            Ok(_) => Err("the rule is neither true nor false".to_owned()),
            Err(error) if error.to_string().contains("time limit") => {
                Err(format!("the rule took longer than {} ms", LIMIT.as_millis()))
            }
            Err(_) => Err("the rule cannot be evaluated".to_owned()),
        }
    }
}

fn input(exchange: &Exchange<'_>, body: Option<&serde_json::Value>) -> serde_json::Value {
    let request = &exchange.request;
    let mut headers = serde_json::Map::new();
    let mut lists = serde_json::Map::new();
    for name in exchange.request_headers().keys() {
        let values = exchange.request_headers().get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        headers.insert(name.as_str().to_owned(), values.first().cloned().into());
        lists.insert(name.as_str().to_owned(), values.into());
    }
    let mut query = serde_json::Map::new();
    for (name, value) in Pairs(exchange.query()).decoded() {
        query
            .entry(name.into_owned())
            .or_insert(value.into_owned().into());
    }
    let auth = exchange.auth();
    let certificate = request.source.certificate.map(
        |certificate| json!({"subject": certificate.subject, "dns": certificate.dns, "uri": certificate.uri}),
    );
    json!({
        "request": {
            "id": request.id,
            "method": request.method,
            "scheme": request.scheme,
            "host": request.host,
            "path": request.path,
            "query": query,
            "query_string": exchange.query(),
            "headers": headers,
            "header_lists": lists,
            "body": body,
        },
        "auth": {
            "user": auth.user,
            "groups": auth.groups,
            "claims": auth.claims,
            "key": auth.key,
            "method": auth.method,
        },
        "source": {
            "address": request.source.address.map(|address| address.to_canonical().to_string()),
            "certificate": certificate,
        },
        "params": exchange.params.as_deref(),
    })
}

impl fmt::Debug for Rego {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rego(..)")
    }
}

/// The first line that says something, without where in the engine it was found.
fn sentence(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = lines.clone().find(|line| line.starts_with("error:"));
    let said = said.or_else(|| lines.clone().next());
    let said = said.unwrap_or("it cannot be read");
    said.trim_start_matches("error:").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_texts_are_refused() {
        let run = || {
            for (one, many) in [
                ("1", "+1"),
                ("", "("),
                ("", "["),
                ("a", ".a"),
                ("a", "[0]"),
                ("", "not "),
                ("", "{1:"),
                ("", "-"),
                ("", "{x|"),
            ] {
                let mut text = format!("package genkan\nimport rego.v1\nallow if {{ x := {one}");
                while text.len() + many.len() < LONGEST - 100 {
                    text += many;
                }
                text += "\n}\n";
                let _ = Rego::compile(&text, "data.genkan.allow");
            }
        };
        // As threads of the data plane have it.
        std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(run)
            .unwrap()
            .join()
            .unwrap();
    }
}
