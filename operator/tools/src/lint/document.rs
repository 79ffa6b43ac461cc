//! From the text of a file to its documents, and what is wrong with the YAML itself.

use genkan_compile::object::Kind;
use genkan_routing::model::Published;
use serde::Deserialize;
use serde_json::Value;

use super::{Level, Remark, foreign};

/// One object of a file.
#[derive(Debug)]
pub(super) struct Document<'t> {
    pub(super) file: &'t str,
    /// Of this document alone.
    pub(super) text: &'t str,
    /// Lines of the file before it.
    pub(super) before: usize,
    pub(super) value: Value,
    /// Nobody wrote it: it stands for a file that is no manifest.
    pub(super) is_made: bool,
}

/// The documents that can be read. What cannot is remarked upon.
pub(super) fn read<'t>(file: &'t str, text: &'t str, remarks: &mut Vec<Remark>) -> Vec<Document<'t>> {
    let mut documents = Vec::new();
    for (before, text) in crate::directory::split(text) {
        match parse(text) {
            Ok(Value::Null) => {}
            Ok(Value::Object(list)) if list.get("kind").is_some_and(|kind| kind == "List") => {
                let items = list.get("items").and_then(Value::as_array);
                documents.extend(items.into_iter().flatten().map(|value| Document {
                    file,
                    text: "",
                    before,
                    value: value.clone(),
                    is_made: false,
                }));
            }
            Ok(Value::Object(map)) if !["apiVersion", "kind"].iter().all(|name| map.contains_key(*name)) => {
                let value = Value::Object(map);
                if let Some(document) = foreign::policy(file, before, text, &value) {
                    documents.push(document);
                    continue;
                }
                let message = match foreign::global(file, text, &value) {
                    Some(Ok(())) => continue,
                    Some(Err(message)) => message,
                    None => "this is no manifest: apiVersion and kind are missing".into(),
                };
                remarks.push(broken(file, before + super::locate::line(text, ""), message));
            }
            Ok(value @ Value::Object(_)) => match misspelt(&value) {
                Some(message) => {
                    remarks.push(broken(file, before + super::locate::line(text, "kind"), message));
                }
                None => documents.push(Document {
                    file,
                    text,
                    before,
                    value,
                    is_made: false,
                }),
            },
            Ok(_) => remarks.push(broken(
                file,
                before + 1,
                "this is no object: a manifest is a map with kind and metadata".into(),
            )),
            Err(_) => explain(file, text, before, remarks),
        }
    }
    documents
}

/// Nothing else would be said of an object whose kind is none, but almost one of ours.
fn misspelt(value: &Value) -> Option<String> {
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if !version.starts_with("extensions.kubesphere.io/") || Kind::of(version, kind).is_some() {
        return None;
    }
    let known = Published::ALL.map(Published::name);
    let meant = super::legacy::nearest(kind, known.into_iter())?;
    Some(format!("there is no kind {kind} in this group; write {meant}"))
}

fn parse(text: &str) -> Result<Value, serde_yaml::Error> {
    let Some(first) = serde_yaml::Deserializer::from_str(text).next() else {
        return Ok(Value::Null);
    };
    // Not straight into JSON, which would keep the last of two equal keys and say nothing.
    let value = serde_yaml::Value::deserialize(first)?;
    serde_yaml::from_value(value)
}

fn explain(file: &str, text: &str, before: usize, remarks: &mut Vec<Remark>) {
    if text.contains("{{") {
        let line = text
            .lines()
            .position(|line| line.contains("{{"))
            .unwrap_or_default();
        let message = "this is a template, not a manifest; lint what `helm template` prints".to_string();
        remarks.push(broken(file, before + line + 1, message));
        return;
    }
    let traps: Vec<Remark> = text
        .lines()
        .enumerate()
        .filter_map(|(line, content)| Some(broken(file, before + line + 1, trap(content)?)))
        .collect();
    if !traps.is_empty() {
        remarks.extend(traps);
        return;
    }
    // Read once more with the lines that were before it, so that the error counts the lines of the file.
    if let Err(error) = parse(&("\n".repeat(before) + text)) {
        let places = |key: String| Some((super::locate::again(text, &key)?, key));
        if let Some(((line, first), key)) = repeated(&error.to_string()).and_then(places) {
            let (line, first) = (before + line, before + first);
            let message = format!(
                "{key} is here a second time in the same map, the first time in line {first}; remove one of them"
            );
            remarks.push(broken(file, line, message));
            return;
        }
        let line = error.location().map_or(before + 1, |at| at.line());
        remarks.push(broken(file, line, format!("this is no YAML: {error}")));
    }
}

/// The key that the parser complains of: it was there already.
fn repeated(error: &str) -> Option<String> {
    let (_, rest) = error.split_once("duplicate entry with key ")?;
    let (key, _) = rest.strip_prefix('"')?.split_once('"')?;
    Some(key.to_owned())
}

/// Why a line is not read as its author meant it.
fn trap(line: &str) -> Option<String> {
    let content = line.trim_start();
    if line[..line.len() - content.len()].contains('\t') {
        return Some("the line is indented with a tab, which YAML does not allow; use spaces".into());
    }
    let (before, value) = match content.strip_prefix("- ") {
        Some(item) => ("- ".to_owned(), item.trim_start()),
        None => {
            let (key, value) = content.split_once(": ")?;
            (format!("{key}: "), value.trim_start())
        }
    };
    let value = value.split(" #").next().unwrap_or_default().trim_end();
    let first = value.chars().next()?;
    let goes_on = |close: char| value.contains(close) && !value.ends_with(close);
    let why = match first {
        '*' => "what starts with * is an alias in YAML",
        '@' | '`' | '%' => "YAML keeps this first character for itself",
        '{' if goes_on('}') => "what starts with a bracket is a map in YAML",
        '[' if goes_on(']') => "what starts with a bracket is a list in YAML",
        _ => return None,
    };
    let quote = if value.contains('"') { '\'' } else { '"' };
    Some(format!("{why}; quote it: {before}{quote}{value}{quote}"))
}

fn broken(file: &str, line: usize, message: String) -> Remark {
    Remark {
        file: file.to_owned(),
        line,
        level: Level::Error,
        object: String::new(),
        field: String::new(),
        message,
    }
}

// === impl Document ===

impl Document<'_> {
    pub(super) fn kind(&self) -> Option<Kind> {
        let text = |name: &str| self.value[name].as_str().unwrap_or_default();
        Kind::of(text("apiVersion"), text("kind"))
    }

    /// A ReverseProxy or an APIService, by whatever version.
    pub(super) fn is_published(&self) -> bool {
        self.kind().is_some_and(|kind| kind.published().is_some())
    }

    pub(super) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(super) fn remark(&self, level: Level, field: &str, message: impl Into<String>) -> Remark {
        let kind = self.value["kind"].as_str().unwrap_or_default();
        Remark {
            file: self.file.to_owned(),
            line: self.before + super::locate::line(self.text, field),
            level,
            object: format!("{kind} {}", self.name()).trim_end().to_owned(),
            field: field.to_owned(),
            message: message.into(),
        }
    }
}
