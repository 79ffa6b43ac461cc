//! Entries of an archive and those that are written by hand, as one list.

mod bounds;
mod conflict;

use std::collections::BTreeMap;

use genkan_routing::model::policy::{FailurePolicy, Hook, Mode, Override, PolicyDefinition};
use serde_json::Value;

pub use conflict::{Provider, conflicts, within};

use crate::archive::Archive;
use crate::content::{Content, FileBytes};
use crate::diff::{Blocked, Known, diff};
use crate::kind::{Deploy, EntryType};
use crate::later;
use crate::order::{self, Placed};
use crate::package::{Converted, Entry, Options, Package, Source};
use crate::refusal::{Reason, Refused};
use crate::revision::{Revised, Revision, Running};

/// An entry as a GatewayExtension has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    pub name: String,
    pub kind: Option<EntryType>,
    pub deploy: Option<Deploy>,
    pub order: Option<i32>,
    pub depends_on: Vec<String>,
    pub mode: Mode,
    pub failure_policy: Option<FailurePolicy>,
    pub limits: Option<Value>,
    /// Its bytes come from a Secret.
    pub is_private: bool,
    /// `None`: the archive has an entry of this name, and other fields of it are meant.
    pub payload: Option<Payload>,
}

#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Payload {
    Policy(PolicyDefinition),
    Hook(Hook),
    Override(Override),
    Files(BTreeMap<String, Vec<u8>>),
    CallOut(Value),
    /// It could not be read.
    Unread(Refused),
    /// A file of DataPower's, by its name.
    Fetched {
        file: String,
        bytes: Vec<u8>,
    },
}

/// Something whose steps are to be compiled.
#[derive(Clone, Copy, Debug)]
pub enum Chain<'a> {
    Policy(&'a PolicyDefinition),
    Hook(&'a Hook),
}

/// How entries are joined.
pub struct Joining<'a> {
    /// For those that are written by hand and do not say.
    pub default_deploy: Deploy,
    pub defer_all: bool,
    pub failure_policy: FailurePolicy,
    /// The archive comes from a Secret.
    pub is_archive_private: bool,
    pub options: &'a Options,
}

/// Compiles steps as a data plane does; the sentence is for the author.
pub type Check<'a> = &'a dyn Fn(Chain<'_>) -> Result<(), String>;

/// An entry, as it is to be deployed.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    pub name: String,
    pub kind: EntryType,
    pub deploy: Deploy,
    pub order: i32,
    pub depends_on: Vec<String>,
    pub mode: Mode,
    pub failure_policy: FailurePolicy,
    pub limits: Option<Value>,
    pub catalogs: Vec<String>,
    /// Its bytes come from a Secret.
    pub is_private: bool,
    /// What it became, or why it is rejected.
    pub outcome: Result<Converted, Refused>,
}

/// Joins the entries of an archive and those of a GatewayExtension, in the order of applying, and compiles each.
///
/// # Errors
///
/// `LimitExceeded`: they are too many; `Invalid`: a name stands there twice, or dependencies lead nowhere or back.
pub fn join(
    package: Option<&Package>,
    written: &[Written],
    joining: &Joining<'_>,
    check: Check<'_>,
) -> Result<Vec<Joined>, Refused> {
    let mut all = assemble(package, written, joining)?;
    for entry in &mut all {
        if let Ok(converted) = &entry.outcome
            && let Err(refused) = compile(&converted.content, check)
        {
            entry.outcome = Err(refused);
        }
    }
    within(&mut all);
    Ok(all)
}

/// Joins them, and compiles none: [`compile`] does, when it is known what there is beside them, and [`within`] settles what
/// several of them provide.
///
/// # Errors
///
/// As those of [`join`].
pub fn assemble(
    package: Option<&Package>,
    written: &[Written],
    joining: &Joining<'_>,
) -> Result<Vec<Joined>, Refused> {
    let archived = package
        .map(|package| package.entries.as_slice())
        .unwrap_or_default();
    let mut all: Vec<Joined> = archived.iter().map(|entry| joining.archived(entry)).collect();
    for (index, entry) in written.iter().enumerate() {
        let changed = all
            .iter_mut()
            .take(archived.len())
            .find(|known| known.name == entry.name);
        match changed {
            Some(known) if entry.payload.is_none() => joining.change(known, entry),
            Some(_) | None => all.push(joining.written(entry, index)),
        }
    }
    // What the manifest says is about its own entries.
    let of_manifest = package.is_some_and(|package| package.defer_all);
    for (index, entry) in all.iter_mut().enumerate() {
        if joining.defer_all || (of_manifest && index < archived.len()) {
            entry.deploy = Deploy::Deferred;
        }
    }
    let (many, most) = (all.len(), joining.options.limits.entries);
    if many > most {
        let message = format!("entries: {many} of them, the limit is {most}");
        return Err(Reason::LimitExceeded.refuse(message));
    }
    let placed: Vec<_> = all
        .iter()
        .map(|entry| Placed {
            name: &entry.name,
            kind: entry.kind,
            order: Some(entry.order),
            depends_on: &entry.depends_on,
        })
        .collect();
    let names = order::order(&placed)?;
    let places: BTreeMap<_, _> = names.into_iter().zip(0..).collect();
    all.sort_by_key(|entry| places.get(&entry.name).copied().unwrap_or(usize::MAX));
    Ok(all)
}

/// Compiles an entry as data planes do. What cannot be run is rejected as a whole: half of a policy is none.
///
/// # Errors
///
/// `LimitExceeded`, `Unsupported`, or `Invalid` with what `check` says.
pub fn compile(content: &Content, check: Check<'_>) -> Result<(), Refused> {
    let check = |chain: Chain<'_>, of: &str| {
        let sentence = |what: String| format!("{of}: {what}");
        let (beyond, later) = match chain {
            Chain::Policy(policy) => (bounds::of_definition(policy), later::of_definition(policy)),
            Chain::Hook(hook) => (bounds::of_hook(hook), later::of_hook(hook)),
        };
        if let Some(what) = beyond {
            return Err(Reason::LimitExceeded.refuse(sentence(what)));
        }
        if let Some(what) = later {
            return Err(Reason::Unsupported.refuse(sentence(what)));
        }
        check(chain).map_err(|what| Reason::Invalid.refuse(sentence(what)))
    };
    match content {
        Content::Policies(policies) => policies.iter().try_for_each(|policy| {
            let of = format!("{}@{}", policy.policy, policy.version);
            check(Chain::Policy(policy), &of)
        }),
        Content::Hooks(hooks) => hooks.iter().try_for_each(|hook| check(Chain::Hook(hook), "hook")),
        Content::CallOut(_) => {
            let message = "callOut is run by a later version";
            Err(Reason::Unsupported.refuse(message))
        }
        Content::Overrides(overrides) => match overrides.iter().find_map(later::of_override) {
            Some(what) => Err(Reason::Unsupported.refuse(what)),
            None => Ok(()),
        },
        Content::Files(_) => Ok(()),
    }
}

/// A new revision, and what of the one before is still in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    pub revision: Revision,
    /// Rejected entries whose last accepted form stays.
    pub kept: Vec<String>,
    /// Removed entries that are in use.
    pub blocked: Vec<Blocked>,
}

/// The revision of an extension: its accepted entries, of rejected ones the form that was accepted before, and removed ones
/// while somebody uses them. `in_use` has the users of entries, such as `ReverseProxy shop`.
pub fn revision(
    extension: &str,
    joined: &[Joined],
    before: Option<&Revision>,
    in_use: &BTreeMap<String, Vec<String>>,
) -> Next {
    let old = before.map(|before| before.entries.as_slice()).unwrap_or_default();
    let mut kept = Vec::new();
    let mut entries = Vec::new();
    for entry in joined {
        if let Some(running) = entry.running() {
            entries.push(Revised {
                name: entry.name.clone(),
                digest: running.digest(),
                deploy: entry.deploy,
                running,
            });
        } else if let Some(last) = old.iter().find(|last| last.name == entry.name) {
            kept.push(entry.name.clone());
            entries.push(last.clone());
        }
    }
    let changes = diff(&known(old), &known(&entries), in_use);
    let is_blocked = |last: &&Revised| changes.blocked.iter().any(|one| one.name == last.name);
    entries.extend(old.iter().filter(is_blocked).cloned());
    Next {
        revision: Revision::new(extension, entries),
        kept,
        blocked: changes.blocked,
    }
}

fn known(entries: &[Revised]) -> Vec<Known> {
    entries.iter().map(Known::from).collect()
}

// === impl Joining ===

impl Joining<'_> {
    fn archived(&self, entry: &Entry) -> Joined {
        Joined {
            name: entry.name.clone(),
            kind: entry.kind,
            deploy: entry.deploy,
            order: entry.order,
            depends_on: Vec::new(),
            mode: Mode::default(),
            failure_policy: self.failure_policy,
            limits: None,
            catalogs: entry.catalogs.clone(),
            is_private: self.is_archive_private,
            outcome: entry.outcome.clone(),
        }
    }

    /// Other fields of an entry of the archive.
    fn change(&self, known: &mut Joined, entry: &Written) {
        known.deploy = entry.deploy.unwrap_or(known.deploy);
        known.order = entry.order.unwrap_or(known.order);
        known.depends_on.clone_from(&entry.depends_on);
        known.mode = entry.mode;
        known.failure_policy = entry.failure_policy.unwrap_or(known.failure_policy);
        known.limits.clone_from(&entry.limits);
        if let Some(kind) = entry.kind
            && kind != known.kind
        {
            let (name, says, is) = (&entry.name, kind.as_str(), known.kind.as_str());
            let message = format!("entry {name}: its type is {says}, in the archive it is {is}");
            known.outcome = Err(Reason::Invalid.refuse(message));
        }
    }

    fn written(&self, entry: &Written, index: usize) -> Joined {
        let position = i32::try_from(index + 1).unwrap_or(i32::MAX);
        let of_payload = entry.payload.as_ref().and_then(Payload::kind);
        let kind = entry.kind.or(of_payload).unwrap_or(EntryType::Policy);
        Joined {
            name: entry.name.clone(),
            kind,
            deploy: entry.deploy.unwrap_or(self.default_deploy),
            order: entry.order.unwrap_or(position.saturating_mul(10)),
            depends_on: entry.depends_on.clone(),
            mode: entry.mode,
            failure_policy: entry.failure_policy.unwrap_or(self.failure_policy),
            limits: entry.limits.clone(),
            catalogs: Vec::new(),
            is_private: entry.is_private,
            outcome: self.payload(entry, kind),
        }
    }

    fn payload(&self, entry: &Written, kind: EntryType) -> Result<Converted, Refused> {
        let name = &entry.name;
        let invalid = |what: String| Reason::Invalid.refuse(format!("entry {name}: {what}"));
        let Some(payload) = &entry.payload else {
            let what = "it has no payload, and the archive has no entry of this name";
            return Err(invalid(what.to_owned()));
        };
        if let Payload::Unread(refused) = payload {
            return Err(refused.clone());
        }
        let fits = match payload.kind() {
            Some(own) => own == kind,
            None => kind.is_converted(),
        };
        if !fits {
            let (says, has) = (kind.as_str(), payload.field());
            return Err(invalid(format!("its type is {says}, and it has {has}")));
        }
        let content = match payload {
            Payload::Policy(policy) => Content::Policies(vec![policy.clone()]),
            Payload::Hook(hook) => Content::Hooks(vec![hook.clone()]),
            Payload::Override(one) => Content::Overrides(vec![one.clone()]),
            Payload::CallOut(value) => Content::CallOut(value.clone()),
            Payload::Unread(refused) => return Err(refused.clone()),
            Payload::Files(files) => {
                let files = files.iter();
                let files = files.map(|(path, bytes)| (path.clone(), FileBytes::new(bytes.clone())));
                Content::Files(files.collect())
            }
            Payload::Fetched { file, bytes } => return self.fetched(entry, kind, file, bytes),
        };
        Ok(content.into())
    }

    fn fetched(
        &self,
        entry: &Written,
        kind: EntryType,
        file: &str,
        bytes: &[u8],
    ) -> Result<Converted, Refused> {
        let archive = Archive::of_file(file, bytes.to_vec(), &self.options.limits)?;
        let source = Source {
            view: &archive.view(""),
            file,
            scripts: &[],
            designated: self.options.designated.get(&entry.name).copied(),
            known: &self.options.known,
        };
        source.convert(kind, self.options)
    }
}

impl std::fmt::Debug for Joining<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Joining")
            .field("default_deploy", &self.default_deploy)
            .field("defer_all", &self.defer_all)
            .field("failure_policy", &self.failure_policy)
            .finish_non_exhaustive()
    }
}

// === impl Joined ===

impl Joined {
    /// What runs of it; `None`: it is rejected.
    pub fn running(&self) -> Option<Running> {
        let converted = self.outcome.as_ref().ok()?;
        Some(Running {
            kind: self.kind,
            content: converted.content.clone(),
            mode: self.mode,
            failure_policy: self.failure_policy,
            limits: self.limits.clone(),
            catalogs: self.catalogs.clone(),
            is_private: self.is_private,
        })
    }
}

// === impl Payload ===

impl Payload {
    /// The type that it is the payload of; `None`: one of DataPower's.
    fn kind(&self) -> Option<EntryType> {
        match self {
            Self::Policy(_) => Some(EntryType::Policy),
            Self::Hook(_) => Some(EntryType::Hook),
            Self::Override(_) => Some(EntryType::Override),
            Self::Files(_) => Some(EntryType::Files),
            Self::CallOut(_) => Some(EntryType::CallOut),
            Self::Unread(_) | Self::Fetched { .. } => None,
        }
    }

    fn field(&self) -> &'static str {
        match self {
            Self::Policy(_) => "policy",
            Self::Hook(_) => "hook",
            Self::Override(_) => "override",
            Self::Files(_) => "files",
            Self::CallOut(_) => "callOut",
            Self::Unread(_) | Self::Fetched { .. } => "source",
        }
    }
}
