//! A whole archive: each entry stands for itself, and is converted or rejected with a reason.

mod convert;

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::{Archive, View, has_ending};
use crate::content::Content;
use crate::kind::{Deploy, Designated, EntryType, Layout, OnUnsupported};
use crate::limits::Limits;
use crate::manifest::{self, Emulation, Manifest};
use crate::policy;
use crate::refusal::{Reason, Refused};

pub(crate) use convert::Source;

/// How an archive is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The SHA-256 that the archive must have, in hex.
    pub sha256: Option<String>,
    pub limits: Limits,
    pub layout: Layout,
    pub on_unsupported: OnUnsupported,
    /// Use of global policies, by entry.
    pub designated: BTreeMap<String, Designated>,
    /// Crypto objects, and aliases of Secrets.
    pub secret_map: BTreeMap<String, String>,
    /// Hosts, and what stands for them.
    pub host_map: BTreeMap<String, String>,
    /// Names of policies of other extensions.
    pub known: BTreeSet<String>,
}

/// An archive that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Package {
    pub entries: Vec<Entry>,
    /// Every entry is deferred, whatever else is said.
    pub defer_all: bool,
    pub emulation: Emulation,
    pub converted_from_legacy: bool,
    pub warnings: Vec<String>,
}

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub kind: EntryType,
    pub deploy: Deploy,
    pub order: i32,
    /// Where a v5 policy can be used.
    pub catalogs: Vec<String>,
    /// What it became, or why it is rejected.
    pub outcome: Result<Converted, Refused>,
}

/// What an entry was converted to.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    pub content: Content,
    /// What was left out.
    pub skipped: Vec<String>,
    /// What is to be said about it.
    pub notes: Vec<String>,
    /// A policy of another entry, `POLICY@VERSION`, that it brings to its catalogs; it has none of its own.
    pub refers_to: Option<Reference>,
}

/// A catalog's own mention of a policy that stands elsewhere in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub policy: String,
    /// The file that mentions it.
    pub file: String,
}

/// Reads an archive.
///
/// # Errors
///
/// It is not good as such; a bad entry is one of `entries`.
pub fn read(bytes: &[u8], options: &Options) -> Result<Package, Refused> {
    let archive = Archive::open(bytes, options.sha256.as_deref(), &options.limits)?;
    let paths: Vec<_> = archive.view("").paths().collect();
    let root = manifest::root(paths.iter().copied(), options.layout);
    let view = archive.view(&root);
    let text = view.get(manifest::NAME);
    let manifest = manifest::read(text, paths, options.layout, &options.limits)?;
    let known = known(&manifest, &view, options);
    let entries = manifest.entries.into_iter().map(|listed| {
        let source = Source {
            view: &view,
            file: &listed.file,
            scripts: &listed.scripts,
            designated: options.designated.get(&listed.name).copied(),
            known: &known,
        };
        Entry {
            outcome: source.convert(listed.kind, options),
            name: listed.name,
            kind: listed.kind,
            deploy: listed.deploy,
            order: listed.order,
            catalogs: listed.catalogs,
        }
    });
    let mut entries: Vec<Entry> = entries.collect();
    refer(&mut entries);
    Ok(Package {
        entries,
        defer_all: manifest.defer_all,
        emulation: manifest.emulation,
        converted_from_legacy: manifest.converted_from_legacy,
        warnings: manifest.warnings,
    })
}

/// Limits policies to the catalogs that refer to them. Who refers to what nobody brings has nothing to say.
fn refer(entries: &mut [Entry]) {
    for at in 0..entries.len() {
        let reference = entries[at].outcome.as_ref().ok();
        let Some(reference) = reference.and_then(|converted| converted.refers_to.clone()) else {
            continue;
        };
        let catalogs = entries[at].catalogs.clone();
        match entries.iter_mut().find(|entry| entry.brings(&reference.policy)) {
            Some(entry) => {
                let fresh = catalogs.into_iter().filter(|one| !entry.catalogs.contains(one));
                let fresh: Vec<String> = fresh.collect();
                entry.catalogs.extend(fresh);
            }
            None => {
                let message = format!("{}: {}", reference.file, policy::NOTHING_RUNS);
                entries[at].outcome = Err(Reason::PolicyInvalid.refuse(message));
            }
        }
    }
}

/// Names of the policies that the YAML files of an archive are about, and those known otherwise.
fn known(manifest: &Manifest, view: &View<'_>, options: &Options) -> BTreeSet<String> {
    let mut known = options.known.clone();
    for entry in &manifest.entries {
        if is_yaml(&entry.file) {
            known.extend(named(view, &entry.file));
        } else if let Some(inside) = view.inside(&entry.file) {
            known.extend(inside.roots().filter_map(|file| named(&inside, file)));
        }
    }
    known
}

fn named(view: &View<'_>, file: &str) -> Option<String> {
    if !is_yaml(file) {
        return None;
    }
    policy::name(file, view.get(file)?)
}

pub(crate) fn is_yaml(file: &str) -> bool {
    has_ending(file, ".yaml") || has_ending(file, ".yml")
}

// === impl Entry ===

impl Entry {
    /// `policy`: `POLICY@VERSION`.
    fn brings(&self, policy: &str) -> bool {
        let converted = self.outcome.as_ref().ok();
        converted.is_some_and(|converted| converted.content.provides().iter().any(|one| one == policy))
    }
}

// === impl Converted ===

impl From<Content> for Converted {
    fn from(content: Content) -> Self {
        Self {
            content,
            skipped: Vec::new(),
            notes: Vec::new(),
            refers_to: None,
        }
    }
}
