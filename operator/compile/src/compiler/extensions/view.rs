//! Entries, as they are sent, as they act, and as a status tells of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use genkan_extensions::Deploy;
use genkan_extensions::content::Content;
use genkan_extensions::diff::{Change, Diff};
use genkan_extensions::digest::hex_of;
use genkan_extensions::join::{Joined, Next};
use genkan_extensions::revision::{Revised, Revision};
use genkan_extensions::status::EntryState;
use genkan_policies::{EntryFacts, NamedHook, NamedOverride, World, uses_in_definition, uses_in_hook};
use genkan_routing::model::policy::{LargeFile, PolicyDefinition};
use genkan_routing::model::{Blob, ChunkKey, ExtensionEntry};

use crate::verdict::EntryVerdict;

/// Bytes of a file that travels with its entry; larger ones travel in pieces.
const LARGEST_INLINE: usize = 64 << 10;

/// An entry, as proxies get it, and the pieces of its large files.
pub(super) fn content(entry: &Revised) -> (ExtensionEntry, Vec<(ChunkKey, Blob)>) {
    let mut pieces = Vec::new();
    let mut made = ExtensionEntry {
        mode: entry.running.mode,
        failure_policy: entry.running.failure_policy,
        limits: entry.running.limits(),
        is_private: entry.running.is_private,
        ..ExtensionEntry::default()
    };
    match &entry.running.content {
        Content::Policies(policies) => {
            made.policies.clone_from(policies);
            for policy in &mut made.policies {
                policy.catalogs.clone_from(&entry.running.catalogs);
            }
        }
        Content::Hooks(hooks) => made.hooks.clone_from(hooks),
        Content::Overrides(overrides) => made.overrides.clone_from(overrides),
        Content::Files(files) => {
            let files = files.iter();
            for (path, bytes) in files.filter_map(|(path, file)| Some((path, file.bytes()?))) {
                if bytes.len() <= LARGEST_INLINE {
                    made.files.insert(path.clone(), STANDARD.encode(bytes));
                    continue;
                }
                let file = LargeFile {
                    sha256: hex_of(&bytes),
                    length: bytes.len() as u64,
                };
                let contents = bytes.chunks(ChunkKey::LARGEST).map(|piece| Blob {
                    content: piece.into(),
                });
                pieces.extend(file.chunks().zip(contents));
                made.large_files.insert(path.clone(), file);
            }
        }
        // No data plane of this version runs one: it is rejected before.
        Content::CallOut(_) => {}
    }
    (made, pieces)
}

/// What an entry says about its steps.
pub(super) fn facts(entry: &Revised) -> EntryFacts {
    EntryFacts {
        mode: entry.running.mode,
        failure_policy: entry.running.failure_policy,
        limits: entry.running.limits(),
    }
}

/// What the steps of an entry use beside built-ins: `POLICY`, `POLICY@RANGE`.
pub(super) fn uses(content: &Content) -> BTreeSet<String> {
    match content {
        Content::Policies(policies) => policies.iter().flat_map(uses_in_definition).collect(),
        Content::Hooks(hooks) => hooks.iter().flat_map(uses_in_hook).collect(),
        Content::Overrides(_) | Content::Files(_) | Content::CallOut(_) => BTreeSet::new(),
    }
}

/// Puts an entry into a world.
pub(super) fn act(world: &mut World, extension: &str, entry: &Revised) {
    let title = format!("{extension}/{}", entry.name);
    let facts = facts(entry);
    world.entries.insert(title.clone(), facts);
    let running = &entry.running;
    provide(
        world,
        &title,
        &running.content,
        running.is_private,
        &running.catalogs,
    );
    match &entry.running.content {
        Content::Hooks(hooks) => {
            for hook in hooks {
                world.hooks.push(NamedHook {
                    extension: extension.to_owned(),
                    entry: entry.name.clone(),
                    hook: Arc::new(hook.clone()),
                    facts,
                });
            }
        }
        Content::Overrides(overrides) => {
            for (order, settings) in overrides.iter().enumerate() {
                world.overrides.push(NamedOverride {
                    extension: extension.to_owned(),
                    entry: entry.name.clone(),
                    order: i32::try_from(order).unwrap_or(i32::MAX),
                    settings: Arc::new(settings.clone()),
                });
            }
        }
        Content::Policies(_) | Content::Files(_) | Content::CallOut(_) => {}
    }
}

/// What others can rely on of an entry: policies and files.
/// `title`: `EXT/ENTRY`.
pub(super) fn provide(
    world: &mut World,
    title: &str,
    content: &Content,
    is_private: bool,
    catalogs: &[String],
) {
    match content {
        Content::Policies(policies) => {
            for policy in policies {
                let definition = PolicyDefinition {
                    entry: Some(title.to_owned()),
                    catalogs: catalogs.to_vec(),
                    ..policy.clone()
                };
                define(world, definition);
            }
        }
        Content::Files(files) => {
            for (path, file) in files {
                let bytes = file.bytes().unwrap_or_default();
                let (extension, entry) = title.split_once('/').unwrap_or_default();
                world
                    .files
                    .insert(extension, format!("{entry}/{path}"), bytes, is_private);
            }
        }
        Content::Hooks(_) | Content::Overrides(_) | Content::CallOut(_) => {}
    }
}

/// A PolicyDefinition of a person counts, and of entries the first one.
pub(super) fn define(world: &mut World, definition: PolicyDefinition) {
    let versions = world.definitions.entry(definition.policy.clone()).or_default();
    let own = |other: &Arc<PolicyDefinition>| {
        other
            .entry
            .as_ref()
            .is_none_or(|entry| Some(entry) != definition.entry.as_ref())
    };
    match versions
        .iter()
        .position(|other| other.version == definition.version)
    {
        Some(at) if own(&versions[at]) => {}
        Some(at) => versions[at] = Arc::new(definition),
        None => versions.push(Arc::new(definition)),
    }
}

/// What a status says of entries that were just read.
/// `waiting`: entries whose source is not there.
pub(super) fn entries(joined: &[Joined], next: &Next, waiting: &BTreeSet<String>) -> Vec<EntryVerdict> {
    let mut all: Vec<EntryVerdict> = joined
        .iter()
        .map(|entry| {
            let running = entry.running();
            let refused = entry.outcome.as_ref().err();
            let is_kept = next.kept.contains(&entry.name);
            let sentence = refused.map(|refused| match is_kept {
                true => format!("{}; its last accepted form stays", refused.message),
                false => refused.message.clone(),
            });
            EntryVerdict {
                name: entry.name.clone(),
                kind: entry.kind.as_str().to_owned(),
                deploy: entry.deploy,
                order: entry.order,
                digest: running
                    .as_ref()
                    .map(|running| running.digest().as_str().to_owned()),
                provides: running
                    .map(|running| running.content.provides())
                    .unwrap_or_default(),
                state: match refused {
                    Some(_) if waiting.contains(&entry.name) => EntryState::Pending,
                    Some(_) => EntryState::Rejected,
                    None => EntryState::Accepted,
                },
                reason: refused.map(|refused| refused.reason.as_str().to_owned()),
                message: sentence,
            }
        })
        .collect();
    for blocked in &next.blocked {
        let entry = next
            .revision
            .entries
            .iter()
            .find(|entry| entry.name == blocked.name);
        all.extend(entry.map(|entry| EntryVerdict {
            state: EntryState::Blocked,
            message: Some(blocked.message.clone()),
            ..of(entry)
        }));
    }
    all
}

/// What a status says of entries that were read before.
pub(super) fn kept(revision: &Revision) -> Vec<EntryVerdict> {
    revision.entries.iter().map(of).collect()
}

fn of(entry: &Revised) -> EntryVerdict {
    EntryVerdict {
        name: entry.name.clone(),
        kind: entry.running.kind.as_str().to_owned(),
        deploy: entry.deploy,
        order: 0,
        digest: Some(entry.digest.as_str().to_owned()),
        provides: entry.running.content.provides(),
        state: EntryState::Accepted,
        reason: None,
        message: None,
    }
}

/// A change, a line each.
pub(super) fn lines(changes: &Diff) -> Vec<String> {
    let word = |deploy: Deploy| match deploy {
        Deploy::Immediate => "Immediate",
        Deploy::Deferred => "Deferred",
    };
    let of = |what: &str, all: &[Change]| {
        let all = all
            .iter()
            .map(|change| format!("{what} {}, {}", change.name, word(change.deploy)));
        all.collect::<Vec<_>>()
    };
    let mut lines = of("add", &changes.added);
    lines.extend(of("change", &changes.changed));
    lines.extend(of("remove", &changes.removed));
    lines.extend(changes.blocked.iter().map(|blocked| blocked.message.clone()));
    lines
}
