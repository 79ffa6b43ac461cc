//! Every value has a sentence, a row in the README, a place in the schema, and an effect.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use genkan_e2e::helm::chart;
use genkan_e2e::world::World;
use serde_json::Value;

use super::render::{template, values_file};

/// A value, as `values.yaml` introduces it.
struct Documented {
    path: Vec<String>,
    sentence: String,
    default: Value,
}

/// Allowed to have no effect: one is the only number there is.
const FIXED: &str = "operator.replicas";

const HEAD: &str = "| value | default | what |\n| --- | --- | --- |\n";

// === impl Documented ===

impl Documented {
    fn name(&self) -> String {
        self.path.join(".")
    }

    fn row(&self) -> String {
        format!("| `{}` | `{}` | {} |\n", self.name(), self.default, self.sentence)
    }
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn read(name: &str) -> Result<String> {
    let path: PathBuf = chart("genkan").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// The lines `# -- sentence`, each with the key below it.
fn documented() -> Result<Vec<Documented>> {
    let text = read("values.yaml")?;
    let defaults: Value = serde_yaml::from_str(&text)?;
    let mut found = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut sentence = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if let Some(said) = trimmed.strip_prefix("# -- ") {
            sentence = Some(said.to_owned());
            continue;
        }
        let Some((key, _)) = trimmed
            .split_once(':')
            .filter(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric()))
        else {
            continue;
        };
        path.truncate((line.len() - trimmed.len()) / 2);
        path.push(key.to_owned());
        if let Some(sentence) = sentence.take() {
            found.push(Documented {
                default: at(&defaults, &path).cloned().with_context(|| path.join("."))?,
                path: path.clone(),
                sentence,
            });
        }
    }
    Ok(found)
}

/// Paths of all values, down to what is documented.
fn leaves(value: &Value, path: &[String], documented: &[Documented], found: &mut Vec<String>) {
    let known = documented.iter().any(|value| value.path == path);
    match value.as_object().filter(|_| !known) {
        Some(map) => {
            for (key, value) in map {
                leaves(
                    value,
                    &[path, std::slice::from_ref(key)].concat(),
                    documented,
                    found,
                );
            }
        }
        None => found.push(path.join(".")),
    }
}

pub async fn every_value_is_documented(_: Arc<World>) -> Result<()> {
    let documented = documented()?;
    let defaults: Value = serde_yaml::from_str(&read("values.yaml")?)?;
    let mut all = Vec::new();
    leaves(&defaults, &[], &documented, &mut all);
    let mut known: Vec<_> = documented.iter().map(Documented::name).collect();
    known.sort();
    all.sort();
    ensure!(
        all == known,
        "values.yaml has values without a line `# -- …`: {all:?}, {known:?}"
    );

    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    for value in &documented {
        let mut place = &schema;
        for key in &value.path {
            ensure!(
                place["additionalProperties"] == false,
                "{}: the schema lets unknown values in above {key}",
                value.name()
            );
            place = &place["properties"][key];
        }
        ensure!(
            place["description"] == value.sentence.as_str(),
            "{}: the schema says {}, values.yaml says {}",
            value.name(),
            place["description"],
            value.sentence
        );
    }

    let readme = read("README.md")?;
    let (before, after) = readme.split_once(HEAD).context("the table of values")?;
    let rest = after.trim_start_matches('|').split_once("\n\n");
    let rows: String = documented.iter().map(Documented::row).collect();
    let wanted = format!(
        "{before}{HEAD}{rows}{}",
        rest.map(|(_, rest)| format!("\n{rest}")).unwrap_or_default()
    );
    if std::env::var_os("GENKAN_REWRITE").is_some() {
        std::fs::write(chart("genkan").join("README.md"), &wanted)?;
    } else {
        ensure!(
            readme == wanted,
            "the table in charts/genkan/README.md differs from values.yaml; make golden rewrites it"
        );
    }
    Ok(())
}

/// Some values file changes it, and rendering that file without the change gives something else.
pub async fn every_value_changes_something(world: Arc<World>) -> Result<()> {
    let mut files = Vec::new();
    for name in ["full", "scaled", "bare"] {
        let path = values_file(name);
        let values: Value = serde_yaml::from_str(&std::fs::read_to_string(&path)?)?;
        let path = path.to_string_lossy().into_owned();
        let rendered = template(&world, &["-f", &path]).await?;
        files.push((path, values, rendered));
    }
    for value in documented()? {
        let name = value.name();
        if name == FIXED {
            continue;
        }
        let mut changes = false;
        for (path, values, rendered) in &files {
            if at(values, &value.path).is_none_or(|set| *set == value.default) {
                continue;
            }
            let set = format!("{name}={}", value.default);
            // Refused is an effect as well.
            let without = template(&world, &["-f", path, "--set-json", &set]).await;
            changes |= without.is_err() || without.is_ok_and(|text| text != *rendered);
        }
        ensure!(changes, "{name}: no values file shows that it does anything");
    }
    Ok(())
}
