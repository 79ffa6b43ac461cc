use std::collections::BTreeSet;

use crate::archive::{View, has_ending, is_zip};
use crate::content::Content;
use crate::kind::{Designated, EntryType};
use crate::overrides;
use crate::policy::{self, PolicyFile, Reading};
use crate::refusal::{Reason, Refused};

use super::{Converted, Options, Reference, is_yaml};

const EXPORT: &str = "export.xml";
const CLI: &str = "a CLI script is converted by a later version";
const V5_POLICY: &str =
    "the implementation of a v5 policy is a DataPower processing rule, which this version does not run";
const V5_HOOKS: &str =
    "hooks of v5 are DataPower processing rules, which this version does not run; write a Hook entry instead";

/// The file of an entry, and what is known beside it.
pub(crate) struct Source<'a> {
    pub view: &'a View<'a>,
    pub file: &'a str,
    /// Of a filestore.
    pub scripts: &'a [String],
    pub designated: Option<Designated>,
    pub known: &'a BTreeSet<String>,
}

// === impl Source ===

impl Source<'_> {
    pub fn convert(&self, kind: EntryType, options: &Options) -> Result<Converted, Refused> {
        match kind {
            EntryType::UserDefinedPolicyYaml | EntryType::GlobalPolicy => {
                self.yaml(self.view, self.file, self.reading(options))
            }
            EntryType::UserDefinedPolicy => self.policy(options),
            EntryType::PolicyV5 => self.policy_v5(options),
            EntryType::V5Extension => {
                self.zip()?;
                Err(self.refuse(Reason::Unsupported, V5_HOOKS))
            }
            EntryType::GwdExtension => self.overrides(options),
            EntryType::Extension => self.scripts(),
            EntryType::DpImport => Err(export(&self.zip()?, &self.shown())),
            EntryType::Policy
            | EntryType::Hook
            | EntryType::Override
            | EntryType::Files
            | EntryType::CallOut => {
                let message = format!("type {} is not converted from a file", kind.as_str());
                Err(self.refuse(Reason::Invalid, &message))
            }
        }
    }

    fn shown(&self) -> String {
        self.view.shown(self.file)
    }

    fn refuse(&self, reason: Reason, what: &str) -> Refused {
        reason.refuse(format!("{}: {what}", self.shown()))
    }

    fn reading(&self, options: &Options) -> Reading {
        Reading {
            known: self.known.clone(),
            designated: self.designated,
            secret_map: options.secret_map.clone(),
            host_map: options.host_map.clone(),
            ..Reading::default()
        }
    }

    fn zip(&self) -> Result<View<'_>, Refused> {
        let inside = self.view.inside(self.file);
        inside.ok_or_else(|| self.refuse(Reason::ArchiveInvalid, "not a zip file"))
    }

    fn yaml(&self, view: &View<'_>, file: &str, reading: Reading) -> Result<Converted, Refused> {
        let text = view.get(file).unwrap_or_default();
        let shown = view.shown(file);
        if policy::is_global(&shown, text) && reading.designated.is_none() {
            let message = format!(
                "{shown}: it is a global policy; archive.designated must say whether it is prehook, posthook or error"
            );
            return Err(Reason::Invalid.refuse(message));
        }
        Ok(match policy::read(&shown, text, &reading)? {
            PolicyFile::Policy(policy) => Content::Policies(vec![*policy]).into(),
            PolicyFile::Hooks { hooks, notes } => Converted {
                notes,
                ..Content::Hooks(hooks).into()
            },
        })
    }

    /// The one YAML at the root of a zip; `None`: there are scripts.
    fn root_yaml<'a>(&self, zip: &View<'a>) -> Result<Option<&'a str>, Refused> {
        let files: Vec<_> = zip.roots().filter(|file| is_yaml(file)).collect();
        match files.as_slice() {
            [file] => Ok(Some(file)),
            [] if zip.roots().any(|file| has_ending(file, ".cfg")) => Ok(None),
            [] => {
                let what = "neither a policy YAML nor a .cfg file at its root";
                Err(self.refuse(Reason::PolicyInvalid, what))
            }
            files => {
                let many = files.len();
                let what = format!("it has {many} YAML files at its root, one is needed");
                Err(self.refuse(Reason::PolicyInvalid, &what))
            }
        }
    }

    fn policy(&self, options: &Options) -> Result<Converted, Refused> {
        let zip = self.zip()?;
        let Some(file) = self.root_yaml(&zip)? else {
            return Err(self.refuse(Reason::Unsupported, CLI));
        };
        let mut reading = self.reading(options);
        if policy::has_assembly(file, zip.get(file).unwrap_or_default()) {
            return self.yaml(&zip, file, reading);
        }
        let found: Vec<_> = zip.paths().filter(is_implementation).collect();
        let [implementation] = found.as_slice() else {
            let many = found.len();
            let what = format!("{many} zips in implementation/, one is needed");
            return Err(self.refuse(Reason::PolicyInvalid, &what));
        };
        reading.has_implementation = true;
        self.yaml(&zip, file, reading)?;
        let shown = zip.shown(implementation);
        match zip.inside(implementation) {
            Some(inside) => Err(export(&inside, &shown)),
            None => Err(Reason::ExportInvalid.refuse(format!("{shown}: not a zip file"))),
        }
    }

    fn policy_v5(&self, options: &Options) -> Result<Converted, Refused> {
        let zip = self.zip()?;
        let Some(file) = self.root_yaml(&zip)? else {
            return Err(self.refuse(Reason::Unsupported, V5_POLICY));
        };
        let has_assembly = policy::has_assembly(file, zip.get(file).unwrap_or_default());
        let reading = Reading {
            is_v5: true,
            // Without one as well: it may refer to that of another entry.
            has_implementation: true,
            ..self.reading(options)
        };
        let converted = self.yaml(&zip, file, reading)?;
        if has_assembly {
            return Ok(converted);
        }
        if zip.paths().any(|path| is_implementation(&path)) {
            return Err(self.refuse(Reason::Unsupported, V5_POLICY));
        }
        let file = zip.shown(file);
        match converted.content.provides().pop() {
            Some(policy) => Ok(Converted {
                refers_to: Some(Reference { policy, file }),
                ..Content::Policies(Vec::new()).into()
            }),
            None => Err(Reason::PolicyInvalid.refuse(format!("{file}: {}", policy::NOTHING_RUNS))),
        }
    }

    fn overrides(&self, options: &Options) -> Result<Converted, Refused> {
        let text = self.view.get(self.file).unwrap_or_default();
        let read = overrides::read(&self.shown(), text, options.on_unsupported)?;
        let skipped = read.unsupported.iter();
        Ok(Converted {
            skipped: skipped.map(overrides::Unsupported::sentence).collect(),
            ..Content::Overrides(read.overrides).into()
        })
    }

    fn scripts(&self) -> Result<Converted, Refused> {
        if let Some(first) = self.scripts.first() {
            let message = format!("{}: {CLI}", self.view.shown(first));
            return Err(Reason::Unsupported.refuse(message));
        }
        let zip = self.zip()?;
        if !zip.roots().any(|file| has_ending(file, ".cfg")) {
            return Err(self.refuse(Reason::ArchiveInvalid, "no .cfg file at its root"));
        }
        Err(self.refuse(Reason::Unsupported, CLI))
    }
}

fn is_implementation(path: &&str) -> bool {
    path.starts_with("implementation/") && is_zip(path)
}

fn export(zip: &View<'_>, shown: &str) -> Refused {
    if zip.roots().any(|file| file == EXPORT) {
        let message = format!("{shown}!{EXPORT}: an export is converted by a later version");
        Reason::Unsupported.refuse(message)
    } else {
        Reason::ExportInvalid.refuse(format!("{shown}: no {EXPORT} at its root"))
    }
}
