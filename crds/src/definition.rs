//! The CustomResourceDefinitions, as objects and as files.

pub(crate) mod connectors;
pub(crate) mod free;
pub(crate) mod gateway;
pub(crate) mod refine;
pub mod rules;

use crate::all;

/// All definitions as files: name and content.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    all()
        .iter()
        .map(|crd| {
            let name = format!("{}.yaml", crd.metadata.name.as_deref().unwrap_or_default());
            let text = serde_yaml::to_string(crd).expect("a definition has only string keys");
            (name, quoted(&text))
        })
        .collect()
}

/// The name of a field that readers of YAML 1.1, as kubectl and Helm have them, take for a boolean gets its quotes.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.trim() {
            "on:" => out.push_str(&line.replace("on:", "'on':")),
            _ => out.push_str(line),
        }
    }
    out
}

/// All definitions as one YAML stream.
#[must_use]
pub fn yaml() -> String {
    files()
        .into_iter()
        .map(|(_, content)| format!("---\n{content}"))
        .collect()
}
