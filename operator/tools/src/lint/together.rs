//! Objects beside each other: doubles, conflicts, and references to Services that are among the files.

use std::collections::BTreeMap;

use genkan_compile::Compiler;
use genkan_compile::index::{Change, Dirty, Index};
use genkan_compile::kinds;
use genkan_compile::object::{Kind, Object};
use genkan_compile::verdict::{Finding, ToolCondition};
use genkan_crds::condition::connector::reason as tools;
use genkan_crds::condition::reason;
use genkan_routing::model::{Matcher, ObjectKey};
use genkan_routing::precedence::{Claim, Claims, Standing};
use serde_json::{Value, json};

use super::document::Document;
use super::{Level, Remark, policies};

/// Of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

pub(super) fn check(documents: &[Document<'_>], remarks: &mut Vec<Remark>) {
    let mut first: BTreeMap<(Kind, &str, &str), &Document<'_>> = BTreeMap::new();
    for document in documents {
        let Some(kind) = document.kind() else { continue };
        let namespace = document.value["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default();
        let is_namespaced = |kind| kinds::of(kind).is_namespaced;
        let namespace = match kind.published() {
            Some(kind) if !is_namespaced(kind) => "",
            Some(_) if namespace.is_empty() => DEFAULT_NAMESPACE,
            Some(_) | None => namespace,
        };
        match first.get(&(kind, namespace, document.name())) {
            Some(before) if document.is_published() && !document.name().is_empty() => {
                let message = format!(
                    "is in {} as well; the one that is applied last stays",
                    before.file
                );
                remarks.push(document.remark(Level::Warning, "metadata.name", message));
            }
            Some(_) => {}
            None => {
                first.insert((kind, namespace, document.name()), document);
            }
        }
    }
    matches(&first, remarks);
    references(&first, remarks);
}

type Objects<'d, 't> = BTreeMap<(Kind, &'d str, &'d str), &'d Document<'t>>;

fn matches(objects: &Objects<'_, '_>, remarks: &mut Vec<Remark>) {
    let mut claims = Claims::new();
    let mut publishers: BTreeMap<Matcher, ObjectKey> = BTreeMap::new();
    let mut standing = Vec::new();
    for ((kind, namespace, name), document) in objects {
        let Some(kind) = kind.published() else { continue };
        let object = ObjectKey {
            kind,
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
        };
        let form = kinds::of(kind);
        let Some(matcher) = form.matcher(&object, &document.value["spec"]) else {
            continue;
        };
        match matcher {
            Matcher::ReverseProxy { path, method } => {
                claims.insert(Claim {
                    object: object.clone(),
                    path,
                    method,
                    created: created(&document.value),
                });
                standing.push((form, object, document));
            }
            Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => {}
            Matcher::ApiService { .. } => match publishers.get(&matcher) {
                Some(other) => {
                    let message = format!(
                        "{} has the same group and version; the older one wins, the other is Conflicted",
                        other.title()
                    );
                    remarks.push(document.remark(Level::Warning, form.matched, message));
                }
                None => {
                    publishers.insert(matcher, object);
                }
            },
        }
    }
    for (form, object, document) in standing {
        let (level, message) = match claims.standing(&object) {
            Some(Standing::Conflicted { winner, .. }) => (
                Level::Warning,
                format!(
                    "{} has the same path and method; the older one wins, the other is Conflicted",
                    winner.title()
                ),
            ),
            Some(Standing::Shadowed { winner, rule }) => (
                Level::Warning,
                format!(
                    "every request goes to {}, because {rule}; this one is Shadowed",
                    winner.title()
                ),
            ),
            Some(Standing::Unreachable { reason }) => {
                (Level::Error, format!("no request can match: {reason}"))
            }
            Some(Standing::Wins) | None => continue,
        };
        remarks.push(document.remark(level, form.matched, message));
    }
}

/// A Service that is not among the files may well be in the cluster; one that is, is looked at.
fn references(objects: &Objects<'_, '_>, remarks: &mut Vec<Remark>) {
    let mut index = Index::default();
    let mut dirty = Dirty::default();
    for ((kind, _, name), document) in objects {
        let mut value = document.value.clone();
        if !value["metadata"].is_object() {
            continue;
        }
        value["metadata"]["uid"] = json!(name);
        value["metadata"]["generation"] = json!(1);
        match Object::read(*kind, value) {
            Ok(object) => index.take(Change::Apply(Box::new(object)), &mut dirty),
            Err(_) if document.is_published() => {}
            Err(message) => remarks.push(document.remark(Level::Error, "", message)),
        }
    }
    index.take(Change::Remembered(BTreeMap::new()), &mut dirty);
    policies::assume_secrets(&mut index, &mut dirty);
    let mut compiler = Compiler::default();
    compiler.compile(&index, &dirty);
    let known = policies::known(&index, &compiler);
    let judging = policies::Judging {
        index: &index,
        compiler: &compiler,
        known: &known,
    };
    for ((kind, namespace, name), document) in objects {
        let key = kind.published().map(|kind| ObjectKey {
            kind,
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
        });
        let Some(key) = key else { continue };
        let Some(verdict) = compiler.verdict(&key) else {
            continue;
        };
        let said_already = judging.check(document, &key, verdict, remarks);
        if let Some(said) = &verdict.tool {
            let is_said = said_already.is_some_and(|said| verdict.accepted.message == said);
            let accepted = (!is_said).then_some(&verdict.accepted);
            tool(document, accepted, &said.conditions, remarks);
        }
        for finding in [&verdict.accepted, &verdict.resolved] {
            if finding.reason == reason::TOO_LARGE {
                remarks.push(document.remark(Level::Error, "spec", finding.message.clone()));
            }
        }
        if !verdict.accepted.ok || verdict.resolved.ok {
            continue;
        }
        let mut known = index.services.keys();
        if known.any(|(namespace, name)| {
            verdict
                .resolved
                .message
                .contains(&format!("Service {namespace}/{name} has no port"))
                || verdict
                    .resolved
                    .message
                    .contains(&format!("Service {namespace}/{name} is of type"))
        }) {
            let at = kinds::of(verdict.object.key.kind).endpoint;
            remarks.push(document.remark(Level::Warning, at, verdict.resolved.message.clone()));
        }
    }
}

/// What a class says by itself, and a Connector beside its class, if that is among the files.
fn tool(
    document: &Document<'_>,
    accepted: Option<&Finding>,
    conditions: &[ToolCondition],
    remarks: &mut Vec<Remark>,
) {
    let mut say = |level, text: &str, or: &str| {
        let (field, message) = match text.split_once(": ") {
            Some((field, message)) if field.starts_with("spec.") => (field, message),
            Some(_) | None => (or, text),
        };
        let line = document.remark(level, field, message);
        // The schema may have said so in its own words.
        if !remarks.iter().any(|remark| {
            remark.object == line.object && remark.field == line.field && remark.line == line.line
        }) {
            remarks.push(line);
        }
    };
    if let Some(accepted) = accepted.filter(|accepted| accepted.reason == reason::INVALID) {
        let mut rest = accepted.message.as_str();
        while let Some(at) = rest.find("; spec.") {
            say(Level::Error, &rest[..at], "spec");
            rest = &rest[at + 2..];
        }
        say(Level::Error, rest, "spec");
    }
    for condition in conditions {
        let is_false = condition.is_true == Some(false);
        match condition.reason {
            tools::UNRESOLVED | tools::UNSUPPORTED_VALUE if is_false => {
                say(Level::Error, &condition.message, "spec");
            }
            tools::INVALID if is_false => say(Level::Error, &condition.message, "spec.connectorClassName"),
            tools::INVALID_NAME if is_false => say(Level::Warning, &condition.message, "metadata.name"),
            tools::PLAIN_HTTP if is_false => say(Level::Warning, &condition.message, "spec"),
            _ => {}
        }
    }
}

/// Seconds since 1970; a manifest that was never in a cluster has none.
fn created(value: &Value) -> i64 {
    let text = value["metadata"]["creationTimestamp"].as_str();
    text.and_then(|text| text.parse::<jiff::Timestamp>().ok())
        .map_or(0, |time| time.as_second())
}
