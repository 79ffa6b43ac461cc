use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use genkan_extensions::Refused;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    pub id: String,
    pub area: String,
    pub input: Value,
    pub expect: Value,
    #[serde(default)]
    pub note: String,
}

pub enum Outcome {
    Passed,
    LeftOut(&'static str),
    Failed(String),
}

pub fn load() -> Vec<Case> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dataplane/vectors/extensions.jsonl");
    let path = env::var_os("GENKAN_EXTENSION_VECTORS").map_or(tree, PathBuf::from);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Both sides as JSON values.
pub fn compare(case: &Case, got: &Value) -> Outcome {
    if *got == case.expect {
        return Outcome::Passed;
    }
    Outcome::Failed(format!("\n  expected {}\n  got      {got}", case.expect))
}

pub fn refused(refused: &Refused) -> Value {
    json!({"error": {"reason": refused.reason.as_str(), "message": refused.message}})
}

pub fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

pub fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}
