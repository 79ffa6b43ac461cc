use std::collections::BTreeMap;

use genkan_routing::model::Secret;
use regorus::Value;
use serde_json::json;

use crate::LARGEST_INPUT;

/// What a policy looks at.
#[derive(Clone, Default)]
pub struct Input<'a> {
    /// Of a generator alone.
    pub secret: Option<&'a Secret>,
    pub method: &'a str,
    pub path: &'a str,
    pub host: &'a str,
    /// Names in any case.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Decoded.
    pub query: Vec<(String, String)>,
    pub body: Option<serde_json::Value>,
}

// === impl Input ===

impl Input<'_> {
    /// `None`: a value of the Secret is no text, or it is too large.
    pub(crate) fn value(&self) -> Option<Value> {
        let mut data = serde_json::Map::new();
        for (key, value) in self.secret.into_iter().flat_map(|secret| &secret.data) {
            let text = std::str::from_utf8(value).ok()?;
            data.insert(key.clone(), text.trim_end_matches(['\r', '\n']).into());
        }
        let mut headers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.headers {
            headers.entry(canonical(name)).or_default().push(value);
        }
        let mut query: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.query {
            query.entry(name).or_default().push(value);
        }
        let input = json!({
            "data": data,
            "request": {
                "method": self.method,
                "path": self.path,
                "host": self.host,
                "headers": headers,
                "query": query,
                "body": self.body,
            },
        });
        let text = zeroize::Zeroizing::new(input.to_string());
        if text.len() > LARGEST_INPUT {
            return None;
        }
        Value::from_json_str(&text).ok()
    }
}

/// What it holds is nobody else's.
impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Input(..)")
    }
}

/// `content-type` becomes `Content-Type`.
fn canonical(name: &str) -> String {
    let mut is_first = true;
    name.chars()
        .map(|letter| {
            let made = if is_first {
                letter.to_ascii_uppercase()
            } else {
                letter.to_ascii_lowercase()
            };
            is_first = letter == '-';
            made
        })
        .collect()
}
