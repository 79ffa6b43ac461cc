//! Policies of connector classes, in Rego: how a Secret becomes part of a request, and where in a request the token of a
//! caller stands. Pure but for the clock that bounds them: no I/O, no network, no environment.

mod depth;
mod functions;
mod input;

use std::num::NonZeroU32;
use std::time::Duration;

use genkan_routing::connectors::{Generated, Position};
use genkan_routing::decide::Verb;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

pub use depth::refuse_depth;
pub use input::Input;

/// A policy, read once and evaluated for each request.
#[derive(Clone)]
pub struct Policy {
    engine: Engine,
    rule: &'static str,
}

/// What a policy is for, and so which package and rule it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Package {
    /// Makes and finds credentials.
    Proxy,
    /// Says what a request counts as when rights are asked for.
    Permissions,
}

/// Why a policy gave nothing. The text never holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the policy took longer than {} ms", LIMIT.as_millis())]
    TooLong,
    #[error("the policy gave no value, or several that differ")]
    Undefined,
    #[error("the generator gave something that has no position, or no auth")]
    Shape,
    #[error("its permissions policy gave a verb that is none of read, write, delete and empty")]
    Verb,
}

/// Bytes of the text of a policy at most.
pub const LONGEST: usize = 64 << 10;
/// Bytes of what a policy is given at most.
pub const LARGEST_INPUT: usize = 1 << 20;
/// One evaluation.
pub const LIMIT: Duration = Duration::from_millis(5);
/// Steps between two looks at the clock.
const INTERVAL: NonZeroU32 = NonZeroU32::new(64).expect("it is not zero");

// === impl Policy ===

impl Policy {
    /// Reads a policy that makes or finds credentials, in the form of today or in that of before Rego 1.0.
    ///
    /// # Errors
    /// Why it is neither, in one sentence, by the rules of today.
    pub fn new(text: &str) -> Result<Self, String> {
        Self::of(Package::Proxy, text)
    }

    /// Reads a policy that says what requests count as.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn of_permissions(text: &str) -> Result<Self, String> {
        Self::of(Package::Permissions, text)
    }

    fn of(package: Package, text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it has {} bytes, and {LONGEST} are the most", text.len()));
        }
        refuse_depth(text)?;
        match Self::read(package, text, false) {
            Ok(policy) => Ok(policy),
            Err(error) => Self::read(package, text, true).map_err(|_| error),
        }
    }

    fn read(wanted: Package, text: &str, is_v0: bool) -> Result<Self, String> {
        let mut engine = Engine::new();
        engine.set_rego_v0(is_v0);
        functions::add(&mut engine).map_err(sentence)?;
        let package = engine.add_policy("policy.rego".to_owned(), text.to_owned());
        let package = package.map_err(sentence)?;
        if package.strip_prefix("data.") != Some(wanted.name()) {
            return Err(format!(
                "its package is {package:?}; write package {}",
                wanted.name()
            ));
        }
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: LIMIT,
            check_interval: INTERVAL,
        });
        // Rules and functions are looked up when it is first evaluated: a mistake in them shows here, and not in a request.
        let mut trial = engine.clone();
        trial.set_input(Value::new_object());
        let rule = wanted.rule();
        match trial.eval_rule(rule.to_owned()) {
            Err(error) if is_of_text(&error) => Err(sentence(error)),
            _ => Ok(Self { engine, rule }),
        }
    }

    /// What it makes of a Secret.
    ///
    /// # Errors
    /// When that is nothing, or nothing that can be used.
    pub fn generate(&self, input: &Input<'_>) -> Result<Generated, Failure> {
        let value = self.evaluate(input)?;
        let text = |name: &str| value[name].as_string().ok().map(|text| text.to_string());
        let position = match text("position").as_deref() {
            Some("header") => Position::Header,
            Some("query") => Position::Query,
            Some("body") => Position::Body,
            Some(_) | None => return Err(Failure::Shape),
        };
        let fields = value["auth"].as_object().map_err(|_| Failure::Shape)?;
        let mut auth = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let name = name.as_string().map_err(|_| Failure::Shape)?;
            let value = value
                .to_json_str()
                .ok()
                .and_then(|json| serde_json::from_str(&json).ok());
            auth.push((name.to_string(), value.ok_or(Failure::Shape)?));
        }
        Ok(Generated {
            position,
            content_type: text("contentType").unwrap_or_default(),
            auth,
        })
    }

    /// The token that it finds in a request; empty if it finds none.
    pub fn extract(&self, input: &Input<'_>) -> String {
        let value = self.evaluate(input).unwrap_or(Value::Undefined);
        let token = value["token"].as_string();
        token.map(|token| token.to_string()).unwrap_or_default()
    }

    /// What a request counts as; what is not said is what its method says.
    ///
    /// # Errors
    /// When it takes too long, or is none of the words.
    pub fn verb(&self, input: &Input<'_>) -> Result<Verb, Failure> {
        let value = match self.evaluate(input) {
            Ok(value) => value,
            Err(Failure::Undefined) => return Ok(Verb::OfMethod),
            Err(failure) => return Err(failure),
        };
        match &value["verb"] {
            Value::Undefined => Ok(Verb::OfMethod),
            Value::String(word) => match &**word {
                "" | "write" => Ok(Verb::OfMethod),
                "read" => Ok(Verb::Read),
                "delete" => Ok(Verb::Delete),
                _ => Err(Failure::Verb),
            },
            _ => Err(Failure::Verb),
        }
    }

    fn evaluate(&self, input: &Input<'_>) -> Result<Value, Failure> {
        let mut engine = self.engine.clone();
        engine.set_input(input.value().ok_or(Failure::Shape)?);
        match engine.eval_rule(self.rule.to_owned()) {
            Ok(Value::Undefined) => Err(Failure::Undefined),
            Ok(value) => Ok(value),
            Err(error) if is_late(&error) => Err(Failure::TooLong),
            Err(_) => Err(Failure::Undefined),
        }
    }
}

// === impl Package ===

impl Package {
    fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Permissions => "permissions",
        }
    }

    fn rule(self) -> &'static str {
        match self {
            Self::Proxy => "data.proxy.auth",
            Self::Permissions => "data.permissions.result",
        }
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Policy(..)")
    }
}

fn is_late(error: &anyhow::Error) -> bool {
    error.to_string().contains("time limit")
}

/// A mistake of the author, and not for want of an input.
fn is_of_text(error: &anyhow::Error) -> bool {
    let text = error.to_string();
    [
        "could not find function",
        "function not found",
        "undefined variable",
        "unsafe",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// The first line that says something, without where in the engine it was found.
fn sentence(error: anyhow::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = lines.clone().find(|line| line.starts_with("error:"));
    let said = said
        .or_else(|| lines.clone().next())
        .unwrap_or("it cannot be read");
    said.trim_start_matches("error:").trim().to_owned()
}

#[cfg(test)]
mod tests;
