//! Reading the cases.

use serde_json::Value;

pub struct Case {
    pub id: String,
    pub area: String,
    pub json: Value,
}

pub enum Outcome {
    Passed,
    LeftOut(&'static str),
    Failed(String),
}

pub fn load() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/kubesphere.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(Case::parse).collect()
}

impl Case {
    fn parse(line: &str) -> Self {
        let json: Value = serde_json::from_str(line).unwrap();
        Self {
            id: text(&json["id"]),
            area: text(&json["area"]),
            json,
        }
    }

    pub fn request(&self) -> &Value {
        &self.json["request"]
    }

    pub fn method(&self) -> &str {
        self.request()["method"].as_str().unwrap()
    }

    pub fn target(&self) -> &[u8] {
        self.request()["target"].as_str().unwrap().as_bytes()
    }

    pub fn headers(&self) -> Vec<(String, String)> {
        let headers = self.request()["headers"].as_array().into_iter().flatten();
        headers.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
    }

    pub fn expect(&self) -> &Value {
        &self.json["expect"]
    }
}

/// Compares what came out with what was expected.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), Outcome> {
    if got == expected {
        return Ok(());
    }
    Err(Outcome::Failed(format!(
        "{what} is {got:?}, expected {expected:?}"
    )))
}

pub fn outcome(result: Result<(), Outcome>) -> Outcome {
    result.err().unwrap_or(Outcome::Passed)
}

/// Is this what a case says about a refused object?
pub fn refusal(case: &Case, problems: &[(String, String)]) -> Outcome {
    let (field, reason) = (
        text(&case.json["admission"]["field"]),
        text(&case.json["admission"]["reason"]),
    );
    let found = problems
        .iter()
        .any(|(of, why)| *of == field && why.to_lowercase().contains(&reason.to_lowercase()));
    if found {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("expected {field}: …{reason}…, found {problems:?}"))
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Null => Vec::new(),
        one => vec![text(one)],
    }
}
