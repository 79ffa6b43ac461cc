use genkan_extensions::content::Content;
use genkan_extensions::package::{self, Entry, Options};
use serde_json::{Map, Value, json};

use crate::case::{Case, Outcome, compare, parsed, refused};
use crate::zip::zip;

const SCRIPTS: &str = "CLI scripts are converted by a later version";
const EXPORTS: &str = "exports are converted by a later version";

/// Cases that need what a later version converts.
const LATER: &[(&str, &str)] = &[
    ("ext-package-003", SCRIPTS),
    ("ext-package-005", SCRIPTS),
    ("ext-package-006", EXPORTS),
    ("ext-package-013", EXPORTS),
    ("ext-package-016", EXPORTS),
    ("ext-package-018", EXPORTS),
    ("ext-package-020", EXPORTS),
    ("ext-package-021", EXPORTS),
    ("ext-package-023", EXPORTS),
    ("ext-package-025", EXPORTS),
    ("ext-package-026", EXPORTS),
];

pub fn package(case: &Case) -> Outcome {
    let options = Options {
        on_unsupported: case.input.get("onUnsupported").map(parsed).unwrap_or_default(),
        layout: case.input.get("layout").map(parsed).unwrap_or_default(),
        designated: case.input.get("designated").map(parsed).unwrap_or_default(),
        ..Options::default()
    };
    let archive = built(&case.input["tree"]);
    let got = match package::read(&archive, &options) {
        Ok(package) => json!({
            "entries": package.entries.iter().map(entry).collect::<Vec<_>>(),
            "convertedFromLegacy": package.converted_from_legacy,
            "warnings": package.warnings,
        }),
        Err(error) => refused(&error),
    };
    if let Some((_, why)) = LATER.iter().find(|(id, _)| *id == case.id) {
        let text = got.to_string();
        let says_so = text.contains("is converted by a later version");
        return if says_so && text.contains("Unsupported") {
            Outcome::LeftOut(why)
        } else {
            Outcome::Failed(format!("it does not say that {why}: {text}"))
        };
    }
    compare(case, &got)
}

/// None of the scripts of this area is read yet.
pub fn scripts(_case: &Case) -> Outcome {
    Outcome::LeftOut(SCRIPTS)
}

fn built(tree: &Value) -> Vec<u8> {
    let files = tree.as_object().unwrap().iter().map(|(path, node)| {
        let content = match node {
            Value::String(text) => text.clone().into_bytes(),
            node => built(&node["zip"]),
        };
        (path.clone(), content)
    });
    zip(&files.collect::<Vec<_>>())
}

fn entry(entry: &Entry) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    put("name", json!(entry.name));
    put("type", json!(entry.kind));
    put("deploy", json!(entry.deploy));
    match &entry.outcome {
        Ok(converted) => {
            put("state", json!("Accepted"));
            put("provides", json!(converted.content.provides()));
            if let Content::Files(files) = &converted.content {
                put("files", json!(files.keys().collect::<Vec<_>>()));
            }
            if !converted.skipped.is_empty() {
                put("skipped", json!(converted.skipped));
            }
        }
        Err(error) => {
            put("state", json!("Rejected"));
            put("reason", json!(error.reason));
            put("message", json!(error.message));
        }
    }
    Value::Object(shown)
}
