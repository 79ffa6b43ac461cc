//! What `manifest.json` lists, or what an archive without one is taken for.

mod entry;
mod layout;

use serde::Serialize;

pub use layout::root;

use crate::archive::is_litter;
use crate::kind::{Deploy, EntryType, Layout};
use crate::limits::Limits;
use crate::refusal::{Reason, Refused};
use crate::tree::{Node, json};

/// The file that lists the entries.
pub const NAME: &str = "manifest.json";

/// What an archive says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub entries: Vec<Listed>,
    /// `defer-all-override`.
    pub defer_all: bool,
    pub emulation: Emulation,
    /// There is no manifest, but scripts at the root.
    pub converted_from_legacy: bool,
    pub warnings: Vec<String>,
}

/// An entry as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    pub name: String,
    /// Its path from the root; `.` of a filestore.
    pub file: String,
    #[serde(rename = "type")]
    pub kind: EntryType,
    pub deploy: Deploy,
    pub order: i32,
    /// Of a v5 policy; `@referenced` is each catalog that refers to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub catalogs: Vec<String>,
    /// Of a filestore, in the order in which they run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<String>,
}

/// Whether policies of v5 can be used, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Emulation {
    pub enabled: bool,
    /// Such as `gatewayscript_1.0.0`.
    pub policies: Vec<String>,
}

/// Policies of v5 that can be emulated, as far as they have a converter.
const POLICIES_V5: [&str; 9] = [
    "activity-log_1.5.0",
    "gatewayscript_1.0.0",
    "if_1.5.0",
    "invoke_1.5.0",
    "proxy_1.5.0",
    "redact_1.5.0",
    "switch_1.5.0",
    "validate-usernametoken_1.0.0",
    "xslt_1.0.0",
];

/// Reads what is listed among the files of an archive.
///
/// # Errors
///
/// `NoManifest`, `ManifestInvalid` or `DuplicateSingleton`, with the first thing that is wrong.
pub fn read<'a>(
    manifest: Option<&[u8]>,
    files: impl IntoIterator<Item = &'a str>,
    layout: Layout,
    limits: &Limits,
) -> Result<Manifest, Refused> {
    let files: Vec<&str> = files.into_iter().filter(|path| !is_litter(path)).collect();
    let root = root(files.iter().copied(), layout);
    let files: Vec<&str> = files
        .into_iter()
        .filter_map(|path| path.strip_prefix(root.as_str()))
        .collect();
    match manifest {
        Some(text) => listed(text, &files, limits),
        None => layout::legacy(&files),
    }
}

fn listed(text: &[u8], files: &[&str], limits: &Limits) -> Result<Manifest, Refused> {
    let document = json::read(text).map_err(|fault| Reason::ManifestInvalid.refuse(fault.sentence(NAME)))?;
    let members = document.as_map().ok_or_else(|| invalid("not an object"))?;
    let extension = document.get("extension").filter(|node| node.as_map().is_some());
    let extension = extension.ok_or_else(|| invalid("no object extension"))?;
    let mut manifest = Manifest::default();
    let warnings = &mut manifest.warnings;
    unknown(members, &["extension"], "", warnings);
    let members = extension.as_map().unwrap_or_default();
    unknown(members, &["files", "properties"], "extension.", warnings);
    let mut emulated = false;
    if let Some(properties) = extension.get("properties") {
        let properties = Properties::read(properties, warnings)?;
        emulated = properties.emulator;
        manifest.defer_all = properties.defer_all;
        manifest.emulation.policies = properties.policies;
    }
    if let Some(list) = extension.get("files") {
        let list = list.as_list();
        let list = list.ok_or_else(|| invalid("extension.files is not a list"))?;
        if list.len() > limits.entries {
            let (is, most) = (list.len(), limits.entries);
            let message = format!("extension.files: {is} entries, the limit is {most}");
            return Err(invalid(&message));
        }
        manifest.entries = entry::all(list, files, warnings)?;
    }
    if manifest.defer_all {
        for entry in &mut manifest.entries {
            entry.deploy = Deploy::Deferred;
        }
    }
    let has_v5 = |entry: &Listed| entry.kind == EntryType::PolicyV5;
    manifest.emulation.enabled =
        emulated || !manifest.emulation.policies.is_empty() || manifest.entries.iter().any(has_v5);
    for file in files {
        let is_listed = manifest.entries.iter().any(|entry| entry.file == *file);
        if *file != NAME && !is_listed {
            let warning = format!("{file} is in the archive and not in the manifest");
            manifest.warnings.push(warning);
        }
    }
    Ok(manifest)
}

fn invalid(message: &str) -> Refused {
    Reason::ManifestInvalid.refuse(format!("{NAME}: {message}"))
}

fn unknown(members: &[(String, Node)], known: &[&str], place: &str, warnings: &mut Vec<String>) {
    for (name, _) in members {
        if !known.contains(&name.as_str()) {
            warnings.push(format!("{NAME}: {place}{name} is unknown and ignored"));
        }
    }
}

#[derive(Default)]
struct Properties {
    emulator: bool,
    defer_all: bool,
    policies: Vec<String>,
}

// === impl Properties ===

impl Properties {
    const EMULATOR: &str = "deploy-policy-emulator";
    const DEFER_ALL: &str = "defer-all-override";
    const POLICIES: &str = "deploy-policies";

    fn read(node: &Node, warnings: &mut Vec<String>) -> Result<Self, Refused> {
        let members = node.as_map();
        let members = members.ok_or_else(|| invalid("extension.properties is not an object"))?;
        let known = [Self::EMULATOR, Self::DEFER_ALL, Self::POLICIES];
        unknown(members, &known, "extension.properties.", warnings);
        Ok(Self {
            emulator: flag(node, Self::EMULATOR)?,
            defer_all: flag(node, Self::DEFER_ALL)?,
            policies: node.get(Self::POLICIES).map_or(Ok(Vec::new()), policies)?,
        })
    }
}

fn flag(properties: &Node, name: &str) -> Result<bool, Refused> {
    let Some(node) = properties.get(name) else {
        return Ok(false);
    };
    node.as_bool().ok_or_else(|| {
        let message = format!("extension.properties.{name} is neither true nor false");
        invalid(&message)
    })
}

fn policies(node: &Node) -> Result<Vec<String>, Refused> {
    let names = node.as_list().and_then(|items| {
        let names = items.iter().map(|item| item.as_text().map(str::to_owned));
        names.collect::<Option<Vec<_>>>()
    });
    let place = format!("extension.properties.{}", Properties::POLICIES);
    let names = names.ok_or_else(|| invalid(&format!("{place} is not a list of names")))?;
    for (index, name) in names.iter().enumerate() {
        if !POLICIES_V5.contains(&name.as_str()) {
            return Err(invalid(&format!("{place}[{index}]: \"{name}\" is unknown")));
        }
    }
    Ok(names)
}
