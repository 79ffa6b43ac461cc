//! From the specification of an extension, and what it names, to entries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use genkan_crds::gateway as api;
use genkan_crds::gateway::GatewayExtensionSpec;
use genkan_extensions::archive::Archive;
use genkan_extensions::content::{Content, FileBytes};
use genkan_extensions::join::{
    Chain, Joined, Joining, Payload, Provider, Written, assemble, compile, conflicts, within,
};
use genkan_extensions::revision::Revision;
use genkan_extensions::status::Unresolved;
use genkan_extensions::{
    Deploy, Designated, EntryType, Layout, Limits, OnUnsupported, Options, Reason, Refused,
    read as read_archive,
};
use genkan_policies::{Alias, Aliases, World, check, check_hook};
use genkan_routing::model::policy::{FailurePolicy, Mode, PolicyDefinition, SecretAlias};
use genkan_routing::quantity;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Others, sources, view};
use crate::index::Index;
use crate::object::SecretState;

/// Why nothing was read.
pub(super) enum Problem {
    Refused(Refused),
    Unresolved(Unresolved),
    /// Something that it names has not been looked at yet.
    Pending,
}

/// What was read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) joined: Vec<Joined>,
    pub(super) warnings: Vec<String>,
    pub(super) skipped: Vec<String>,
    pub(super) is_from_legacy: bool,
    /// What single entries name and is not there.
    pub(super) unresolved: Vec<Unresolved>,
    /// The names of those entries.
    pub(super) waiting: BTreeSet<String>,
    /// Names of the policies that entries use or provide.
    pub(super) mentions: BTreeSet<String>,
}

/// The Secrets that an extension names.
#[derive(Default)]
pub(super) struct Secrets {
    pub(super) aliases: Aliases,
    pub(super) unresolved: Vec<Unresolved>,
    pub(super) is_pending: bool,
}

/// Reads an extension. `before`: what was accepted last and is still its own.
pub(super) fn read(
    name: &str,
    spec: &GatewayExtensionSpec,
    index: &Index,
    others: &Others,
    aliases: Aliases,
    before: Option<&Revision>,
) -> Result<Read, Problem> {
    let options = options(spec, &others.world, index.limits);
    let package = match &spec.archive {
        Some(archive) => {
            let bytes = sources::bytes(&archive.source, "spec.archive.source", spec, index)?;
            Some(read_archive(&bytes, &options).map_err(Problem::Refused)?)
        }
        None => None,
    };
    let mut read = Read::default();
    let mut written = Vec::with_capacity(spec.entries.len());
    for (at, entry) in spec.entries.iter().enumerate() {
        let field = format!("spec.entries[{at}]");
        let readable = check_limits(entry).map_err(Problem::Refused);
        let payload = match readable.and_then(|()| payload_of(entry, &field, spec, index)) {
            Ok(payload) => payload,
            // Entries are independent: the others do not wait for it.
            Err(Problem::Refused(refused)) => Some(Payload::Unread(refused)),
            Err(Problem::Unresolved(unresolved)) => {
                read.waiting.insert(entry.name.clone());
                let refused = invalid(unresolved.message.clone());
                read.unresolved.push(Unresolved {
                    message: format!("entry {}: {}", entry.name, unresolved.message),
                    ..unresolved
                });
                Some(Payload::Unread(refused))
            }
            Err(Problem::Pending) => return Err(Problem::Pending),
        };
        written.push(entry_of(entry, payload));
    }
    let joining = Joining {
        default_deploy: match spec.deploy.as_ref().and_then(|deploy| deploy.default.as_deref()) {
            Some("Deferred") => Deploy::Deferred,
            Some(_) | None => Deploy::Immediate,
        },
        defer_all: spec.deploy.as_ref().and_then(|deploy| deploy.defer_all) == Some(true),
        failure_policy: word(spec.failure_policy.as_deref()).unwrap_or_default(),
        is_archive_private: (spec.archive.as_ref()).is_some_and(|archive| archive.source.secret.is_some()),
        options: &options,
    };
    let mut joined = assemble(package.as_ref(), &written, &joining).map_err(Problem::Refused)?;
    let mentioned = joined.iter().filter_map(|entry| entry.outcome.as_ref().ok());
    for converted in mentioned {
        let used = view::uses(&converted.content).into_iter();
        let all = used.chain(converted.content.provides());
        let names = all.map(|one| one.split('@').next().unwrap_or_default().to_owned());
        read.mentions.extend(names);
    }
    judge(&mut joined, name, others, aliases, before);
    within(&mut joined);
    yield_to(&mut joined, name, others);
    take_back(&mut joined, index.refused.get(name));
    let converted = joined
        .iter()
        .filter_map(|entry| Some((&entry.name, entry.outcome.as_ref().ok()?)));
    for (entry, converted) in converted {
        let told = |what: &String| format!("entry {entry}: {what}");
        read.warnings.extend(converted.notes.iter().map(told));
        read.skipped.extend(converted.skipped.iter().map(told));
    }
    let package = package.unwrap_or_default();
    read.warnings.splice(..0, package.warnings);
    read.is_from_legacy = package.converted_from_legacy;
    read.joined = joined;
    Ok(read)
}

/// Compiles each entry with what there is, and with what the extension itself brings.
fn judge(joined: &mut [Joined], name: &str, others: &Others, aliases: Aliases, before: Option<&Revision>) {
    let last = |entry: &str| {
        let entries = before.into_iter().flat_map(|before| &before.entries);
        entries.into_iter().find(|last| last.name == entry)
    };
    // What is rejected may be what another one uses.
    loop {
        let mut world = World {
            definitions: others.world.definitions.clone(),
            entries: others.world.entries.clone(),
            allow_fail_open: others.world.allow_fail_open.clone(),
            overrides: others.world.overrides.clone(),
            files: others.world.files.clone(),
            ..World::default()
        };
        world.secrets.insert(name.to_owned(), aliases.clone());
        for entry in joined.iter() {
            let content = match &entry.outcome {
                Ok(converted) => Some(&converted.content),
                Err(_) => last(&entry.name).map(|last| &last.running.content),
            };
            if let Some(content) = content {
                let title = format!("{name}/{}", entry.name);
                view::provide(&mut world, &title, content, entry.is_private, &entry.catalogs);
            }
        }
        let mut is_through = true;
        for entry in joined.iter_mut() {
            let title = format!("{name}/{}", entry.name);
            let check_one = |chain: Chain<'_>| {
                let checked = match chain {
                    // With what is its extension's.
                    Chain::Policy(policy) => {
                        let policy = PolicyDefinition {
                            entry: Some(title.clone()),
                            ..policy.clone()
                        };
                        check(&policy, &world)
                    }
                    Chain::Hook(hook) => check_hook(hook, name, &world),
                };
                checked.map_err(|problem| problem.message)
            };
            if let Ok(converted) = &entry.outcome
                && let Err(refused) = compile(&converted.content, &check_one)
            {
                entry.outcome = Err(refused);
                is_through = false;
            }
        }
        // Each time there is one less that is accepted.
        if is_through {
            return;
        }
    }
}

/// What older extensions, or people, provide stays theirs.
fn yield_to(joined: &mut [Joined], name: &str, others: &Others) {
    let mut providers = others.providers.clone();
    let first = providers.len();
    providers.extend(joined.iter().map(|entry| Provider {
        extension: name.to_owned(),
        entry: entry.name.clone(),
        provides: match &entry.outcome {
            Ok(converted) => policies_of(&converted.content),
            Err(_) => Vec::new(),
        },
    }));
    for (index, refused) in conflicts(&providers, &others.written) {
        let lost = index.checked_sub(first).and_then(|index| joined.get_mut(index));
        if let Some(entry) = lost {
            entry.outcome = Err(refused);
        }
    }
}

/// A form that a data plane refuses is none, on no data plane.
fn take_back(joined: &mut [Joined], refused: Option<&BTreeMap<String, String>>) {
    let Some(refused) = refused else { return };
    for entry in joined
        .iter_mut()
        .filter(|entry| entry.deploy == Deploy::Immediate)
    {
        let digest = entry.running().map(|running| running.digest());
        if let Some(why) = digest.and_then(|digest| refused.get(digest.as_str())) {
            entry.outcome = Err(invalid(why.clone()));
        }
    }
}

/// `POLICY@VERSION` of each.
pub(super) fn policies_of(content: &Content) -> Vec<String> {
    let provided = content.provides().into_iter();
    provided.filter(|policy| policy.contains('@')).collect()
}

/// Bytes of the files of revisions, of what several have in common once.
pub(super) fn file_bytes<'r>(revisions: impl IntoIterator<Item = &'r Revision>) -> usize {
    let entries = revisions.into_iter().flat_map(|revision| &revision.entries);
    let forms: BTreeMap<(&str, &str), &Content> = entries
        .map(|entry| {
            (
                (entry.name.as_str(), entry.digest.as_str()),
                &entry.running.content,
            )
        })
        .collect();
    let files = forms.into_values().filter_map(|content| match content {
        Content::Files(files) => Some(files.values().map(FileBytes::len).sum::<usize>()),
        Content::Policies(_) | Content::Hooks(_) | Content::Overrides(_) | Content::CallOut(_) => None,
    });
    files.sum()
}

fn options(spec: &GatewayExtensionSpec, world: &World, limits: Limits) -> Options {
    let Some(archive) = &spec.archive else {
        return Options {
            limits,
            ..Options::default()
        };
    };
    let designated = archive.designated.iter();
    Options {
        sha256: None,
        limits,
        layout: match archive.layout.as_deref() {
            Some("Lenient") => Layout::Lenient,
            Some(_) | None => Layout::Strict,
        },
        on_unsupported: match archive.on_unsupported.as_deref() {
            Some("Skip") => OnUnsupported::Skip,
            Some(_) | None => OnUnsupported::Reject,
        },
        designated: designated
            .filter_map(|(entry, to)| {
                let to = match to.as_str() {
                    "prehook" => Designated::Prehook,
                    "posthook" => Designated::Posthook,
                    "error" => Designated::Error,
                    _ => return None,
                };
                Some((entry.clone(), to))
            })
            .collect(),
        secret_map: archive.secret_map.clone(),
        host_map: archive.host_map.clone(),
        known: world.definitions.keys().cloned().collect(),
    }
}

/// An API server has looked at them; a file that is read without one may say anything.
fn check_limits(entry: &api::Entry) -> Result<(), Refused> {
    let limits = entry.limits.iter();
    for limits in limits {
        if let Some(text) = limits
            .deadline
            .as_deref()
            .filter(|text| quantity::duration(text).is_none())
        {
            return Err(invalid(format!(
                "limits.deadline: {text:?} is no length of time such as 100ms"
            )));
        }
        for (name, given) in [("maxBody", &limits.max_body), ("memory", &limits.memory)] {
            if let Some(text) = given.as_deref().filter(|text| quantity::bytes(text).is_none()) {
                return Err(invalid(format!(
                    "limits.{name}: {text:?} is no number of bytes such as 64Ki"
                )));
            }
        }
    }
    Ok(())
}

fn payload_of(
    entry: &api::Entry,
    field: &str,
    spec: &GatewayExtensionSpec,
    index: &Index,
) -> Result<Option<Payload>, Problem> {
    Ok(if let Some(policy) = &entry.policy {
        Some(Payload::Policy(same(policy, &format!("{field}.policy"))?))
    } else if let Some(hook) = &entry.hook {
        Some(Payload::Hook(same(hook, &format!("{field}.hook"))?))
    } else if let Some(one) = &entry.overrides {
        Some(Payload::Override(same(one, &format!("{field}.override"))?))
    } else if let Some(call) = &entry.call_out {
        Some(Payload::CallOut(json!(call)))
    } else if let Some(files) = &entry.files {
        Some(Payload::Files(files_of(
            files,
            &format!("{field}.files"),
            spec,
            index,
        )?))
    } else if let Some(source) = &entry.source {
        let bytes = sources::bytes(source, &format!("{field}.source"), spec, index)?;
        let ending = match word::<EntryType>(entry.kind.as_deref()) {
            Some(EntryType::UserDefinedPolicyYaml | EntryType::GlobalPolicy) => "yaml",
            Some(EntryType::GwdExtension) => "json",
            Some(_) | None => "zip",
        };
        Some(Payload::Fetched {
            file: format!("{}.{ending}", entry.name),
            bytes,
        })
    } else {
        None
    })
}

fn entry_of(entry: &api::Entry, payload: Option<Payload>) -> Written {
    Written {
        name: entry.name.clone(),
        kind: word(entry.kind.as_deref()),
        deploy: word(entry.deploy.as_deref()),
        order: entry.order,
        depends_on: entry.depends_on.clone(),
        mode: word::<Mode>(entry.mode.as_deref()).unwrap_or_default(),
        failure_policy: word::<FailurePolicy>(entry.failure_policy.as_deref()),
        limits: entry.limits.as_ref().map(|limits| json!(limits)),
        is_private: {
            let files = entry.files.as_ref().and_then(|files| files.source.as_ref());
            files.is_some_and(|source| source.secret.is_some())
        },
        payload,
    }
}

fn files_of(
    files: &api::Files,
    field: &str,
    spec: &GatewayExtensionSpec,
    index: &Index,
) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    let mut all: BTreeMap<String, Vec<u8>> = (files.files.iter())
        .map(|(path, text)| (path.clone(), text.clone().into_bytes()))
        .collect();
    if let Some(source) = &files.source {
        let bytes = sources::bytes(source, &format!("{field}.source"), spec, index)?;
        if files.unpack == Some(true) {
            let archive = Archive::open(&bytes, None, &index.limits).map_err(Problem::Refused)?;
            let view = archive.view("");
            for path in view.paths() {
                let content = view.get(path).unwrap_or_default();
                all.insert(path.to_owned(), content.to_vec());
            }
        } else {
            let named = source.config_map.as_ref().and_then(|map| map.key.clone());
            let named = named.or_else(|| source.secret.as_ref().and_then(|secret| secret.key.clone()));
            all.insert(named.unwrap_or_else(|| "file".to_owned()), bytes);
        }
    }
    let most = index.limits.file;
    if let Some((path, file)) = all.iter().find(|(_, file)| file.len() as u64 > most) {
        let size = file.len();
        return Err(Problem::Refused(exceeded(format!(
            "{field}: {path} has {size} bytes, the limit is {most}"
        ))));
    }
    Ok(all)
}

/// Of the API, in the words of the model: both read the same JSON.
fn same<T: DeserializeOwned>(value: &impl serde::Serialize, field: &str) -> Result<T, Problem> {
    let value = serde_json::to_value(value).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| Problem::Refused(invalid(format!("{field}: {error}"))))
}

fn word<T: DeserializeOwned>(text: Option<&str>) -> Option<T> {
    serde_json::from_value(Value::from(text?)).ok()
}

pub(super) fn alias(secret: &api::SecretAlias) -> SecretAlias {
    SecretAlias {
        alias: secret.alias.clone(),
        namespace: secret.namespace.clone(),
        name: secret.name.clone(),
        key: secret.key.clone(),
    }
}

pub(super) fn secrets(spec: &GatewayExtensionSpec, index: &Index) -> Secrets {
    let mut found = Secrets::default();
    let mut seen = BTreeSet::new();
    for secret in &spec.secrets {
        let title = format!("Secret {}/{}", secret.namespace, secret.name);
        let mut no = |reason: &str, message: String| {
            found.unresolved.push(Unresolved {
                reason: reason.to_owned(),
                message,
            });
        };
        match index.secret(&(secret.namespace.clone(), secret.name.clone())) {
            Some(SecretState::Found { .. }) => {}
            Some(SecretState::Missing) => no("SecretNotFound", format!("{title} does not exist")),
            Some(SecretState::NotPermitted) => no(
                "RefNotPermitted",
                format!(
                    "{title} may not be read by genkan; add its namespace to extensions.secretNamespaces of the chart"
                ),
            ),
            None => found.is_pending = true,
        }
        seen.insert(secret.alias.as_str());
    }
    let all: Vec<SecretAlias> = spec.secrets.iter().map(alias).collect();
    found.aliases = aliases(&all, index);
    found
}

/// Those whose value is known.
pub(super) fn aliases(all: &[SecretAlias], index: &Index) -> Aliases {
    let mut aliases = Aliases::new();
    for one in all {
        if let Some(SecretState::Found { secret, .. }) =
            index.secret(&(one.namespace.clone(), one.name.clone()))
        {
            let alias = Alias {
                secret: Arc::new(secret.clone()),
                key: one.key.clone(),
            };
            aliases.insert(one.alias.clone(), alias);
        }
    }
    aliases
}

pub(super) fn invalid(message: impl Into<String>) -> Refused {
    Refused {
        reason: Reason::Invalid,
        message: message.into(),
    }
}

pub(super) fn exceeded(message: impl Into<String>) -> Refused {
    Refused {
        reason: Reason::LimitExceeded,
        message: message.into(),
    }
}
