//! What is no manifest: a DataPower zip, or the YAML of a policy. It is judged as the extension that would hold it.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_extensions::policy::{self, Reading};
use genkan_extensions::{Designated, EntryType};
use serde_json::{Value, json};

use super::document::Document;

/// The extension of a zip.
pub(super) fn archive<'t>(file: &'t str, bytes: &[u8]) -> Document<'t> {
    let spec = json!({"archive": {"source": {"inline": {"base64": STANDARD.encode(bytes)}}}});
    document(file, spec)
}

/// The extension of a YAML that is a policy of DataPower's; `None`: it is none.
pub(super) fn policy<'t>(file: &'t str, before: usize, text: &'t str, value: &Value) -> Option<Document<'t>> {
    let has = |member: &str| value.get(member).is_some();
    if !has("info") || !has("policy") {
        return None;
    }
    let kind = EntryType::UserDefinedPolicyYaml;
    let entry = json!({"name": stem(file), "type": kind.as_str(), "source": {"inline": {"text": text}}});
    Some(Document {
        text,
        before,
        ..document(file, json!({"entries": [entry]}))
    })
}

/// What is wrong with a YAML that is a global policy of DataPower's, whatever it is used for; `None`: it is none.
pub(super) fn global(file: &str, text: &str, value: &Value) -> Option<Result<(), String>> {
    value.get("global-policy")?;
    let uses = [Designated::Prehook, Designated::Posthook, Designated::Error];
    let refused = uses.map(|designated| {
        let reading = Reading {
            designated: Some(designated),
            ..Reading::default()
        };
        policy::read(file, text.as_bytes(), &reading).err()
    });
    let is_good = refused.iter().any(Option::is_none);
    let first = refused.into_iter().flatten().next();
    Some(match first.filter(|_| !is_good) {
        Some(refused) => Err(refused.message),
        None => Ok(()),
    })
}

/// An entry's name of the name of a file.
pub(super) fn stem(file: &str) -> String {
    let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    let words: Vec<String> = stem
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    match words.join("-") {
        name if name.is_empty() => "entry".to_owned(),
        name => name,
    }
}

fn document(file: &str, spec: Value) -> Document<'_> {
    let version = format!("{}/{}", genkan_crds::GATEWAY_GROUP, genkan_crds::VERSION);
    Document {
        file,
        text: "",
        before: 0,
        value: json!({
            "apiVersion": version,
            "kind": "GatewayExtension",
            "metadata": {"name": stem(file)},
            "spec": spec,
        }),
        is_made: true,
    }
}
