//! `genkan extension plan`: the next revision beside the one that is meant now.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use genkan_compile::Compiler;
use genkan_compile::index::{Change, Dirty, Index};
use genkan_compile::object::{Key, Object};
use genkan_compile::verdict::ExtensionVerdict;
use genkan_extensions::Deploy;
use genkan_extensions::diff::{Change as Changed, Diff, Known, diff};
use genkan_extensions::status::EntryState;
use genkan_routing::model::{ObjectKey, Published};
use serde_json::Value;

use super::objects;
use crate::source::{Origin, Source};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 all of it would be taken, 1 something is rejected, 2 nobody can say")]
pub(super) struct Args {
    /// Name of a GatewayExtension of the source, or a file with one that would be applied
    #[arg(value_name = "NAME|FILE")]
    extension: String,
    #[command(flatten)]
    origin: Origin,
}

/// What stands before the change.
#[derive(Debug, Default)]
struct Before {
    revision: Option<String>,
    entries: Vec<Known>,
    in_use: BTreeMap<String, Vec<String>>,
}

/// # Errors
/// When the objects cannot be read, or there is no such extension.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let file = Path::new(&args.extension);
    let written = match file.is_file() {
        true => objects::in_file(file)?,
        false => Vec::new(),
    };
    let name = match file.is_file() {
        true => only_extension(&written, file)?,
        false => args.extension.clone(),
    };
    let key = ObjectKey::cluster(Published::GatewayExtension, name.as_str());
    let place: Key = (String::new(), name.clone());
    let mut changes = objects::of(&args.origin.source, args.origin.kubeconfig.as_deref(), None)?;
    changes
        .iter_mut()
        .for_each(|change| objects::unheld(change, &place));
    let written = written.into_iter().map(|object| {
        let mut change = Change::Apply(Box::new(object));
        objects::unheld(&mut change, &place);
        change
    });
    let (mut index, mut dirty, mut compiler) = (Index::default(), Dirty::default(), Compiler::default());
    changes
        .into_iter()
        .for_each(|change| index.take(change, &mut dirty));
    let mut before = match args.origin.source {
        Source::Kubernetes => of_status(&index, &key),
        Source::Directory(_) => Before::default(),
    };
    compiler.compile(&index, &dirty);
    if file.is_file() {
        if let Source::Directory(_) = args.origin.source {
            before = of_compiled(&compiler, &key);
        }
        let mut dirty = Dirty::default();
        // Whoever applies it edits the one that is there.
        let there = index.published.get(&key).cloned();
        for mut change in written {
            if let (Change::Apply(object), Some(there)) = (&mut change, &there)
                && let Object::Published(record) = object.as_mut()
                && record.key == key
            {
                record.uid.clone_from(&there.uid);
                record.generation = there.generation + 1;
            }
            index.take(change, &mut dirty);
        }
        compiler.compile(&index, &dirty);
    }
    let verdict = compiler
        .verdict(&key)
        .and_then(|verdict| verdict.extension.as_deref());
    let verdict = verdict.ok_or_else(|| anyhow!("there is no GatewayExtension {name}"))?;
    let (lines, is_wrong) = told(&name, &before, verdict)?;
    lines.iter().for_each(|line| println!("{line}"));
    Ok(ExitCode::from(u8::from(is_wrong)))
}

fn only_extension(objects: &[Object], file: &Path) -> Result<String> {
    let shown = file.display();
    let names = objects.iter().filter_map(|object| match object {
        Object::Published(record) if record.key.kind == Published::GatewayExtension => Some(&record.key.name),
        Object::Published(_)
        | Object::Service(_)
        | Object::EndpointSlice(_)
        | Object::Pod(_)
        | Object::Secret(_)
        | Object::Flags(_)
        | Object::ConfigMap(_) => None,
    });
    match names.collect::<Vec<_>>().as_slice() {
        [name] => Ok((*name).clone()),
        [] => bail!("{shown} has no GatewayExtension"),
        many => bail!("{shown} has {} GatewayExtensions, one is needed", many.len()),
    }
}

/// Of what the folder has now.
fn of_compiled(compiler: &Compiler, key: &ObjectKey) -> Before {
    let verdict = compiler
        .verdict(key)
        .and_then(|verdict| verdict.extension.as_deref());
    let target = verdict.and_then(|verdict| verdict.history.first());
    Before {
        revision: target.map(|target| target.id.clone()),
        entries: target
            .map(|target| target.entries.iter().map(Known::from).collect())
            .unwrap_or_default(),
        in_use: BTreeMap::new(),
    }
}

/// Of what the operator has said last.
fn of_status(index: &Index, key: &ObjectKey) -> Before {
    let Some(record) = index.published.get(key) else {
        return Before::default();
    };
    let status = record.status.read();
    let mut before = Before {
        revision: status["revision"].as_str().map(ToOwned::to_owned),
        ..Before::default()
    };
    for entry in status["entries"].as_array().into_iter().flatten() {
        let (Some(name), true) = (entry["name"].as_str(), entry["digest"].is_string()) else {
            continue;
        };
        let (Ok(digest), Ok(deploy)) = (
            serde_json::from_value(entry["digest"].clone()),
            serde_json::from_value(entry["deploy"].clone()),
        ) else {
            continue;
        };
        before.entries.push(Known {
            name: name.to_owned(),
            digest,
            deploy,
        });
        let provides = entry["provides"].as_array().into_iter().flatten();
        let users = provides
            .filter_map(Value::as_str)
            .flat_map(|policy| users_of(index, policy));
        before.in_use.insert(name.to_owned(), users.collect());
    }
    before
}

/// Objects whose steps may come to this policy.
fn users_of(index: &Index, policy: &str) -> Vec<String> {
    let (name, version) = policy.split_once('@').unwrap_or((policy, ""));
    let is_it = |uses: &str| match uses.split_once('@') {
        Some((used, range)) => {
            used == name && (range == version || version.starts_with(&format!("{range}.")))
        }
        None => uses == name,
    };
    let users = index.published.values().filter(|record| {
        let spec = record.spec.as_ref().ok();
        let steps = spec
            .and_then(|spec| spec.policies.as_ref())
            .map(|policies| &policies.steps);
        steps.into_iter().flatten().any(|step| is_it(&step.uses))
    });
    users.map(|record| record.key.title()).collect()
}

/// What is printed, and whether something of it is rejected.
fn told(name: &str, before: &Before, verdict: &ExtensionVerdict) -> Result<(Vec<String>, bool)> {
    if let Some(refused) = &verdict.archive_error {
        bail!("{name}: {}, {}", refused.reason.as_str(), refused.message);
    }
    if let Some(unresolved) = verdict.unresolved.first() {
        bail!("{name}: {}, {}", unresolved.reason, unresolved.message);
    }
    if verdict.is_pending {
        bail!("{name}: a ConfigMap or Secret that it names is not among the objects");
    }
    let target = verdict.history.first();
    let target = target.with_context(|| format!("{name}: nothing of it would be accepted"))?;
    let is_rejected = verdict
        .entries
        .iter()
        .any(|entry| entry.state == EntryState::Rejected);
    let is_told_apart = |known: &&Known| {
        let mut entries = verdict.entries.iter();
        let stays = [EntryState::Rejected, EntryState::Blocked];
        entries.any(|entry| entry.name == known.name && stays.contains(&entry.state))
    };
    // The last accepted form of a rejected entry stays.
    let is_judged = |known: &&Known| !is_told_apart(known);
    let old: Vec<Known> = before.entries.iter().filter(is_judged).cloned().collect();
    let new: Vec<Known> = target.entries.iter().map(Known::from).collect();
    let new: Vec<Known> = new.iter().filter(is_judged).cloned().collect();
    let changes = diff(&old, &new, &before.in_use);
    let is_same = before.revision.as_ref() == Some(&target.id);
    let mut lines = vec![match (&before.revision, is_same) {
        (Some(_), true) => format!("{name}: {} stays", target.id),
        (Some(last), false) => format!("{name}: {} would follow {last}", target.id),
        (None, _) => format!("{name}: {} would be its first revision", target.id),
    }];
    let of_diff = rows(&changes);
    lines.extend(of_diff);
    for entry in &verdict.entries {
        let message = entry.message.as_deref().unwrap_or_default();
        match entry.state {
            EntryState::Rejected => {
                let reason = entry.reason.as_deref().unwrap_or("Invalid");
                lines.push(format!("  rejected   {}: {reason}, {message}", entry.name));
            }
            EntryState::Blocked => lines.push(format!("  blocked    {message}")),
            EntryState::Pending
            | EntryState::Accepted
            | EntryState::Deploying
            | EntryState::Deployed
            | EntryState::Degraded
            | EntryState::Removing => {}
        }
    }
    for text in verdict.warnings.iter().chain(&verdict.skipped) {
        lines.push(format!("  warning    {text}"));
    }
    Ok((lines, is_rejected))
}

fn rows(changes: &Diff) -> Vec<String> {
    let row = |what: &str, change: &Changed| {
        let deploy = match change.deploy {
            Deploy::Immediate => "Immediate",
            Deploy::Deferred => "Deferred",
        };
        format!("  {what:9}  {}, {deploy}", change.name)
    };
    let added = changes.added.iter().map(|change| row("add", change));
    let changed = changes.changed.iter().map(|change| row("change", change));
    let removed = changes.removed.iter().map(|change| row("remove", change));
    let blocked = changes
        .blocked
        .iter()
        .map(|blocked| format!("  blocked    {}", blocked.message));
    let same = changes
        .untouched
        .iter()
        .map(|name| format!("  same       {name}"));
    added
        .chain(changed)
        .chain(removed)
        .chain(blocked)
        .chain(same)
        .collect()
}
