use genkan_routing::answer::reason;
use genkan_routing::model::policy::{Direction, Mode, PolicyStep};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::Value;

use crate::answer::PolicyAnswer;
use crate::expr::Expr;
use crate::json;
use crate::jsonata::Jsonata;
use crate::link::definition;
use crate::template::Template;
use crate::world::World;

/// Bytes of a request body that is read before it is sent on.
pub const EARLY_BODY: u64 = 65_536;

/// What a plan needs of the bodies that pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Nothing is held back.
    #[default]
    HeaderOnly,
    /// Request bodies are read first.
    EarlyBody,
    /// Bodies of answers are looked at, which this version cannot do.
    ResponseBody,
}

/// What is known of a request in front of its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading<'a> {
    /// Of the body, where the head says it; 0 without one.
    pub bytes: Option<u64>,
    pub is_upgrade: bool,
    pub content_type: Option<&'a str>,
    /// The first that changes the bytes.
    pub content_encoding: Option<&'a str>,
    /// Its type can be read in more than one way.
    pub is_of_two_types: bool,
}

/// How a request is served.
#[derive(Debug)]
pub enum Coming {
    HeaderOnly,
    EarlyBody,
    Answer(Box<PolicyAnswer>),
}

/// Which bodies steps look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touches {
    pub(crate) request: bool,
    pub(crate) response: bool,
}

/// Definitions inside of definitions at most.
const DEEPEST: usize = 8;

// === impl Reading ===

impl<'a> Reading<'a> {
    /// `is_open`: a body may come whose length is not said.
    pub fn of(headers: &'a HeaderMap, is_upgrade: bool, is_open: bool) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let length = length.and_then(|length| length.parse().ok());
        let codings = headers.get_all(CONTENT_ENCODING).iter();
        // What cannot be read is no coding that is known here.
        let codings = codings.flat_map(|line| line.to_str().unwrap_or("?").split(','));
        let mut codings = codings.map(str::trim).filter(|coding| !coding.is_empty());
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        let first = types.next();
        Self {
            bytes: length.or((!is_open).then_some(0)),
            is_upgrade,
            content_type: json::media_type(headers),
            content_encoding: codings.find(|coding| is_coded(coding)),
            is_of_two_types: types.next().is_some()
                || first.is_some_and(|value| !json::is_one_type(value.as_bytes())),
        }
    }
}

fn is_coded(coding: &str) -> bool {
    !coding.eq_ignore_ascii_case("identity")
}

// === impl Touches ===

impl Touches {
    pub(crate) fn class(self) -> Class {
        match (self.response, self.request) {
            (true, _) => Class::ResponseBody,
            (false, true) => Class::EarlyBody,
            (false, false) => Class::HeaderOnly,
        }
    }

    pub(crate) fn coming(self, reading: &Reading<'_>) -> Coming {
        let answer = |answer: PolicyAnswer| Coming::Answer(Box::new(answer));
        let kind = reading.content_type.unwrap_or_default();
        let is_stream = kind
            .get(..16)
            .is_some_and(|start| start.eq_ignore_ascii_case("application/grpc"));
        match self.class() {
            Class::HeaderOnly => Coming::HeaderOnly,
            _ if reading.is_upgrade || is_stream => answer(PolicyAnswer::refused(
                501,
                reason::STREAM_WITH_BODY_POLICY,
                "a policy of this object looks at bodies, and this request opens a stream",
            )),
            Class::ResponseBody => answer(PolicyAnswer::body_too_long_for_now(
                "a policy of this object looks at the body of the answer, which this version of genkan cannot hold back",
            )),
            Class::EarlyBody if reading.content_encoding.is_some_and(is_coded) => {
                answer(PolicyAnswer::refused(
                    415,
                    reason::UNSUPPORTED_MEDIA_TYPE,
                    "a policy of this object looks at the body; send it without Content-Encoding",
                ))
            }
            Class::EarlyBody if reading.is_of_two_types && reading.bytes != Some(0) => {
                answer(PolicyAnswer::refused(
                    415,
                    reason::UNSUPPORTED_MEDIA_TYPE,
                    "a policy of this object looks at the body; send it with one Content-Type of the form type/subtype",
                ))
            }
            Class::EarlyBody if reading.bytes.is_some_and(|bytes| bytes > EARLY_BODY) => {
                answer(body_too_long())
            }
            Class::EarlyBody => Coming::EarlyBody,
        }
    }

    pub(crate) fn of(steps: &[PolicyStep], on: Option<Direction>, world: &World) -> Self {
        let mut touches = Self::default();
        for step in steps {
            touches.add(step, on.unwrap_or(step.on), world, 0);
        }
        touches
    }

    fn add(&mut self, step: &PolicyStep, on: Direction, world: &World, depth: usize) {
        if step.mode == Mode::Disabled || depth > DEEPEST {
            return;
        }
        if let Some(when) = &step.when {
            self.add_cel(when, on);
        }
        for (_, value) in &step.with {
            self.add_templates(value, on);
        }
        if let Some(definition) = definition(&step.uses, world) {
            let inner = |inner: &PolicyStep| match on {
                Direction::Request => inner.on,
                Direction::Response => on,
            };
            for step in &definition.steps {
                self.add(step, inner(step), world, depth + 1);
            }
            let catch = definition.catch.iter().flat_map(|catch| &catch.steps);
            for step in catch.chain(&definition.finally) {
                self.add(step, inner(step), world, depth + 1);
            }
            if let Some(script) = &definition.script
                && script_reads_body(script.get("source"))
            {
                self.mark(on);
            }
            return;
        }
        if reads_body(step, world) {
            self.mark(on);
        }
        for text in expressions(step) {
            self.add_cel(text, on);
        }
        for text in conditions(step) {
            self.add_jsonata(text, on);
        }
        for inner in inner_steps(step) {
            self.add(&inner, on, world, depth + 1);
        }
    }

    fn mark(&mut self, on: Direction) {
        match on {
            Direction::Request => self.request = true,
            Direction::Response => self.response = true,
        }
    }

    /// What cannot be compiled is said when it is linked.
    fn add_cel(&mut self, text: &str, on: Direction) {
        if let Ok(expr) = Expr::compile(text) {
            self.add_expr(&expr, on);
        }
    }

    fn add_expr(&mut self, expr: &Expr, on: Direction) {
        self.request |= expr.reads_body("request");
        self.response |= expr.reads_body("response");
        if expr.reads_body("message") {
            self.mark(on);
        }
    }

    fn add_jsonata(&mut self, text: &str, on: Direction) {
        if let Ok(jsonata) = Jsonata::compile(text) {
            self.request |= jsonata.reads_body("request");
            if jsonata.reads_body("message") {
                self.mark(on);
            }
        }
    }

    fn add_templates(&mut self, value: &Value, on: Direction) {
        match value {
            Value::String(text) if text.contains("{{") => {
                if let Ok(template) = Template::parse(text) {
                    template.exprs().for_each(|expr| self.add_expr(expr, on));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add_templates(item, on)),
            Value::Object(members) => members.values().for_each(|item| self.add_templates(item, on)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// The body of a request turned out to be longer than is read before it is sent on.
pub fn body_too_long() -> PolicyAnswer {
    PolicyAnswer::body_too_long_for_now(format!(
        "a policy of this object looks at the body, and this version of genkan holds back {EARLY_BODY} bytes"
    ))
}

/// By its configuration alone.
pub(crate) fn reads_body(step: &PolicyStep, world: &World) -> bool {
    let with = &step.with;
    let list = |name: &str| with.get(name).and_then(Value::as_array);
    let names = |items: &Vec<Value>, wanted: &str| items.iter().any(|item| item.as_str() == Some(wanted));
    match step.uses.as_str() {
        "validateSchema" | "antivirus" | "encrypt" | "decrypt" | "transform" => true,
        "redact" => !list("rules").is_some_and(|rules| {
            let is_of_log = |rule: &Value| {
                let places = rule.get("in").and_then(Value::as_array);
                places.is_some_and(|places| places.iter().all(|place| place.as_str() == Some("log")))
            };
            rules.iter().all(is_of_log)
        }),
        "sign" | "verifySignature" => {
            let is_httpsig = with.get("format").and_then(Value::as_str) == Some("httpsig");
            let covers = |name: &str| list(name).is_some_and(|items| names(items, "content-digest"));
            !is_httpsig || covers("required") || covers("components")
        }
        "filter" => {
            let is_of_body = |pattern: &Value| match pattern.get("in").and_then(Value::as_array) {
                Some(places) => names(places, "body"),
                None => true,
            };
            with.contains_key("body")
                || with.contains_key("json")
                || with.contains_key("xml")
                || list("patterns").is_some_and(|patterns| patterns.iter().any(is_of_body))
        }
        "hmac" => match with.get("payload").and_then(Value::as_str) {
            Some(payload) => payload
                .split("{{")
                .skip(1)
                .any(|rest| rest.trim_start().starts_with("body")),
            None => true,
        },
        "authorize" => {
            let text = |name: &str| with.get(name).and_then(Value::as_str);
            // What is a parameter, or is not here, may say anything.
            let is_of_body = |text: &str| text.contains("body") || text.contains("{{");
            let is_file_of_body = |path: &str| {
                let mut files = world.files.named(path).peekable();
                files.peek().is_none() || files.any(|file| file.windows(4).any(|window| window == b"body"))
            };
            text("rego").is_some_and(is_of_body) || text("file").is_some_and(is_file_of_body)
        }
        "set" | "extAuth" => with.contains_key("body"),
        "call" => with.get("into").and_then(Value::as_str) == Some("message"),
        "extProc" => with.contains_key("processingMode"),
        "script" => script_reads_body(with.get("source")),
        _ => false,
    }
}

/// A source that is not there to be looked at may read anything.
fn script_reads_body(source: Option<&Value>) -> bool {
    let Some(source) = source.and_then(Value::as_str) else {
        return true;
    };
    let names = ["body", "readAs", "readInput", "session"];
    names.iter().any(|name| source.contains(name))
}

/// CEL of a built-in that stands without braces.
fn expressions(step: &PolicyStep) -> Vec<&str> {
    let with = &step.with;
    let text = |name: &str| with.get(name).and_then(Value::as_str);
    let of_rules = || {
        let rules = with.get("rules").and_then(Value::as_array);
        let rules = rules.into_iter().flatten();
        rules.filter_map(|rule| rule.get("cel").and_then(Value::as_str))
    };
    match step.uses.as_str() {
        "authorize" => text("cel").into_iter().collect(),
        "check" | "filter" => of_rules().collect(),
        "rateLimit" | "countLimit" => text("key").into_iter().chain(text("weight")).collect(),
        "log" => {
            let fields = with.get("fields").and_then(Value::as_object);
            let fields = fields.into_iter().flat_map(|fields| fields.values());
            fields.filter_map(Value::as_str).collect()
        }
        "switch" => {
            let cases = with.get("cases").and_then(Value::as_array);
            let cases = cases.into_iter().flatten();
            cases
                .filter_map(|case| case.get("when").and_then(Value::as_str))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// JSONata of a built-in.
fn conditions(step: &PolicyStep) -> impl Iterator<Item = &str> {
    let list = match step.uses.as_str() {
        "check" => step.with.get("rules"),
        "switch" => step.with.get("cases"),
        _ => None,
    };
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.get("jsonata").and_then(Value::as_str))
}

/// Of `switch`.
pub(crate) fn inner_steps(step: &PolicyStep) -> Vec<PolicyStep> {
    if step.uses != "switch" {
        return Vec::new();
    }
    let cases = step.with.get("cases").and_then(Value::as_array);
    let of_cases = cases.into_iter().flatten().filter_map(|case| case.get("steps"));
    let all = of_cases.chain(step.with.get("otherwise"));
    all.filter_map(Value::as_array)
        .flatten()
        .filter_map(|step| serde_json::from_value(step.clone()).ok())
        .collect()
}
