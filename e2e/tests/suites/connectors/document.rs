//! The cases: the project's own copy, or the file that `GENKAN_CONNECTOR_VECTORS` names.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::left_out::LEFT_OUT;

const OWN: &str = include_str!("vectors.json");
/// Members of the file that hold cases.
const KINDS: [&str; 4] = ["request_cases", "probe_cases", "resolve_cases", "condition_cases"];

/// Fixtures and cases.
#[derive(Debug)]
pub struct Document(pub Value);

// === impl Document ===

impl Document {
    pub fn load() -> Result<Self> {
        let text = match std::env::var_os("GENKAN_CONNECTOR_VECTORS").filter(|path| !path.is_empty()) {
            Some(path) => std::fs::read_to_string(&path).with_context(|| path.display().to_string())?,
            None => OWN.to_owned(),
        };
        // JSON is YAML.
        Ok(Self(
            serde_yaml::from_str(&text).context("the cases of connectors")?,
        ))
    }

    /// The cases of one kind that are carried out.
    pub fn cases(&self, kind: &str) -> Vec<&Value> {
        let is_left_out = |id: &str| LEFT_OUT.iter().any(|(_, ids)| ids.contains(&id));
        let all = self.0[kind].as_array().into_iter().flatten();
        all.filter(|case| !is_left_out(id(case))).collect()
    }

    /// A fixture of this name.
    pub fn fixture(&self, what: &str, name: &str) -> Result<&Value> {
        let mut all = self.0["fixtures"][what].as_array().into_iter().flatten();
        let found = all.find(|fixture| fixture["metadata"]["name"] == name);
        found.with_context(|| format!("there is no {name} among the {what}"))
    }

    /// An error unless each case is of the Connector API and carried out, or left out by its name.
    pub fn expect_known(&self) -> Result<()> {
        let all = || {
            let of = |kind: &'static str| self.0[kind].as_array().into_iter().flatten();
            KINDS.into_iter().flat_map(of)
        };
        let mut known = BTreeSet::new();
        for case in all() {
            ensure!(known.insert(id(case)), "{} is there twice", id(case));
        }
        for (why, ids) in LEFT_OUT {
            let gone: Vec<_> = ids.iter().filter(|id| !known.contains(**id)).collect();
            ensure!(gone.is_empty(), "left out ({why}), and not in the file: {gone:?}");
        }
        for case in self.cases("request_cases") {
            let listener = &case["request"]["listener"];
            if listener != "connector-api" {
                bail!(
                    "{} is of the listener {listener}; leave it out by its name",
                    id(case)
                );
            }
        }
        Ok(())
    }

    /// The host names that URLs and references to Services name, and all ports.
    pub fn hosts(&self) -> (BTreeSet<String>, BTreeSet<u16>) {
        let mut found = (["tools.example.test".to_owned()].into(), [80, 443].into());
        collect(&self.0, &mut found);
        found
    }

    /// Namespace and name of the Services that are referred to.
    pub fn services(&self) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        let mut todo = vec![&self.0];
        while let Some(value) = todo.pop() {
            let reference = &value["ref"];
            if let (Some(namespace), Some(name)) =
                (reference["namespace"].as_str(), reference["name"].as_str())
            {
                found.insert((namespace.to_owned(), name.to_owned()));
            }
            todo.extend(children(value));
        }
        found
    }
}

pub fn id(case: &Value) -> &str {
    case["id"].as_str().unwrap_or_default()
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(all) => all.iter().collect(),
        Value::Object(all) => all.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn collect(value: &Value, found: &mut (BTreeSet<String>, BTreeSet<u16>)) {
    for part in value
        .as_str()
        .into_iter()
        .flat_map(|text| text.split("://").skip(1))
    {
        let authority = part.split(['/', '?', '#', '"', ' ']).next().unwrap_or_default();
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        let is_host = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
        if host.contains('.')
            && host.chars().all(is_host)
            && host.contains(|letter: char| letter.is_alphabetic())
        {
            found.0.insert(host.to_ascii_lowercase());
        }
        found.1.extend(port.parse::<u16>().ok().filter(|port| *port > 0));
    }
    for child in children(value) {
        collect(child, found);
    }
}
