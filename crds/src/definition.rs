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
            (
                name,
                serde_yaml::to_string(crd).expect("a definition has only string keys"),
            )
        })
        .collect()
}

/// All definitions as one YAML stream.
#[must_use]
pub fn yaml() -> String {
    files()
        .into_iter()
        .map(|(_, content)| format!("---\n{content}"))
        .collect()
}
