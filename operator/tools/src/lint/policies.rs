//! Policies and extensions as the operator would judge them, and what works otherwise than it may read.

use std::collections::{BTreeMap, BTreeSet};

use genkan_compile::Compiler;
use genkan_compile::index::{Change, Dirty, Index};
use genkan_compile::kinds::Tool;
use genkan_compile::object::{HeldSecret, Key, Object, SecretState};
use genkan_compile::verdict::{ExtensionVerdict, Finding, Verdict};
use genkan_crds::condition::reason;
use genkan_crds::gateway::GatewayExtensionSpec;
use genkan_extensions::status::EntryState;
use genkan_policies::{Class, EARLY_BODY, Plan};
use genkan_routing::model::{ObjectKey, Published, Secret};
use serde_json::Value;

use super::document::Document;
use super::{Level, Remark};

/// Policies that the files bring, without their versions.
pub(super) type Known = BTreeSet<String>;

/// Keys of any kind, for a Secret that is not among the files.
const JWKS: &str = r#"{"keys":[{"kty":"oct","k":"bm8gc2VjcmV0LCBub3RoaW5nIGlzIHNpZ25lZCB3aXRoIGl0OyBubyBzZWNyZXQsIG5vdGhpbmcgaXMgc2lnbmVkIHdpdGggaXQ"}]}"#;
const HTPASSWD: &str = "nobody:$2b$04$B20z/HEmMhrit4qnsvop4uvw9oVmVESSL6JtHcfG2q5Wq7/QJTmt.";
const NO_POLICY: &str = "there is no policy ";

/// Puts something in the place of Secrets that are not among the files: they may well be in the cluster, and without one
/// nothing would be said of the steps that need it.
pub(super) fn assume_secrets(index: &mut Index, dirty: &mut Dirty) {
    let mut assumed: BTreeMap<Key, BTreeSet<Option<String>>> = BTreeMap::new();
    for record in index.published.values() {
        let Ok(spec) = &record.spec else { continue };
        let own = spec.policies.iter().flat_map(|policies| &policies.secrets);
        let own = own.map(|one| (&one.namespace, &one.name, &one.key));
        let of_extension = match &spec.tool {
            // An archive that nobody has is not assumed.
            Tool::Extension(spec) if !reads_secrets(spec) => spec.secrets.as_slice(),
            Tool::Extension(_) | Tool::None | Tool::Connector(_) | Tool::Class(_) | Tool::Policy(_) => &[],
        };
        let of_extension = of_extension
            .iter()
            .map(|one| (&one.namespace, &one.name, &one.key));
        for (namespace, name, key) in own.chain(of_extension) {
            let secret = (namespace.clone(), name.clone());
            if !index.secrets.contains_key(&secret) {
                assumed.entry(secret).or_default().insert(key.clone());
            }
        }
    }
    for ((namespace, name), keys) in assumed {
        let usual = [("jwks.json", JWKS), ("htpasswd", HTPASSWD), ("key", HTPASSWD)];
        let named = keys.iter().flatten().map(|key| (key.as_str(), HTPASSWD));
        let data = named.chain(usual);
        let data = data.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec().into()));
        let secret = Secret {
            kind: "Opaque".to_owned(),
            data: data.collect(),
        };
        let state = SecretState::Found {
            secret,
            changed_at: None,
            is_authority: false,
        };
        let held = HeldSecret {
            namespace,
            name,
            state,
        };
        index.take(Change::Apply(Box::new(Object::Secret(held))), dirty);
    }
}

fn reads_secrets(spec: &GatewayExtensionSpec) -> bool {
    let files = spec.entries.iter().filter_map(|entry| entry.files.as_ref());
    let of_entries = spec.entries.iter().filter_map(|entry| entry.source.as_ref());
    let sources = (spec.archive.iter().map(|archive| &archive.source))
        .chain(files.filter_map(|files| files.source.as_ref()))
        .chain(of_entries);
    sources.into_iter().any(|source| source.secret.is_some())
}

/// What the files bring: of what is missing beside it, the cluster may have more.
pub(super) fn known(index: &Index, compiler: &Compiler) -> Known {
    let mut known = Known::new();
    for record in index.published.values() {
        if let Ok(spec) = &record.spec
            && let Tool::Policy(definition) = &spec.tool
        {
            known.insert(definition.policy.clone());
        }
    }
    let extensions = compiler
        .verdicts()
        .filter_map(|(_, verdict)| verdict.extension.as_ref());
    let entries = extensions.flat_map(|extension| &extension.entries);
    let provided = entries.flat_map(|entry| &entry.provides);
    known.extend(provided.filter_map(|policy| Some(policy.split_once('@')?.0.to_owned())));
    known
}

/// An object of a kind that policies concern.
pub(super) struct Judging<'a> {
    pub(super) index: &'a Index,
    pub(super) compiler: &'a Compiler,
    pub(super) known: &'a Known,
}

// === impl Judging ===

impl Judging<'_> {
    /// Returns the sentence that was said, so that nobody says it again.
    pub(super) fn check(
        &self,
        document: &Document<'_>,
        key: &ObjectKey,
        verdict: &Verdict,
        remarks: &mut Vec<Remark>,
    ) -> Option<String> {
        if let Some(extension) = &verdict.extension {
            self.extension(document, extension, remarks);
            return None;
        }
        if key.kind == Published::PolicyDefinition {
            for finding in [&verdict.accepted, &verdict.resolved] {
                if !finding.ok {
                    self.finding(document, key, finding, remarks);
                }
            }
            return None;
        }
        match self.compiler.policies_of(self.index, key)? {
            Ok(plan) => {
                advise(document, &plan, remarks);
                None
            }
            Err(finding) => {
                self.finding(document, key, &finding, remarks);
                Some(finding.message)
            }
        }
    }

    fn finding(
        &self,
        document: &Document<'_>,
        key: &ObjectKey,
        finding: &Finding,
        remarks: &mut Vec<Remark>,
    ) {
        let title = format!("{}: ", key.title());
        let text = finding.message.strip_prefix(&title).unwrap_or(&finding.message);
        let (field, message) = match text.split_once(": ") {
            Some((field, message)) if field.starts_with("spec.") => (field.to_owned(), message),
            Some(_) | None => (self.place(document, text), text),
        };
        // The schema has said so in its own words.
        if finding.reason == reason::INVALID && is_said(document, &field, remarks) {
            return;
        }
        let level = self.level(text);
        remarks.push(document.remark(level, &field, message));
    }

    /// Of a policy that is missing, the step that names it.
    fn place(&self, document: &Document<'_>, text: &str) -> String {
        let spec = &document.value["spec"];
        let uses = text.split(NO_POLICY).nth(1).unwrap_or_default();
        let steps = spec["policies"].as_array();
        let mut steps = steps.into_iter().flatten();
        match steps.position(|step| step["use"] == uses) {
            Some(at) => format!("spec.policies[{at}].use"),
            None => "spec".to_owned(),
        }
    }

    /// What the cluster may have is no mistake of the files.
    fn level(&self, text: &str) -> Level {
        let missing = text.split(NO_POLICY).nth(1);
        let name = missing.and_then(|uses| uses.split(['@', ' ', ',', ';']).next());
        match name {
            Some(name) if !self.known.contains(name) => Level::Warning,
            Some(_) | None => Level::Error,
        }
    }

    fn extension(&self, document: &Document<'_>, verdict: &ExtensionVerdict, remarks: &mut Vec<Remark>) {
        let has_archive = !document.value["spec"]["archive"].is_null();
        let whole = if has_archive { "spec.archive" } else { "spec" };
        let mut say = |level, text: &str| {
            let (field, message) = match text.split_once(": ") {
                Some((field, message)) if field.starts_with("spec.") => (field, message),
                Some(_) | None => (whole, text),
            };
            remarks.push(document.remark(level, field, message));
        };
        if let Some(refused) = &verdict.archive_error {
            say(
                Level::Error,
                &format!("{}, {}", refused.message, refused.reason.as_str()),
            );
        }
        for unresolved in &verdict.unresolved {
            say(Level::Error, &unresolved.message);
        }
        if verdict.is_pending {
            for map in self.absent_maps(&document.value["spec"]) {
                say(
                    Level::Warning,
                    &format!("ConfigMap {map} is not among the files, so nothing is said of its content"),
                );
            }
        }
        for text in verdict.warnings.iter().chain(&verdict.skipped) {
            say(Level::Warning, text);
        }
        for entry in verdict
            .entries
            .iter()
            .filter(|entry| entry.state == EntryState::Rejected)
        {
            let message = entry.message.as_deref().unwrap_or_default();
            let (name, why) = (&entry.name, entry.reason.as_deref().unwrap_or("Invalid"));
            let entries = document.value["spec"]["entries"].as_array();
            let at = entries.and_then(|entries| entries.iter().position(|one| one["name"] == **name));
            let field = at.map_or_else(|| whole.to_owned(), |at| format!("spec.entries[{at}]"));
            let text = format!("entry {name} is Rejected, {why}: {message}");
            remarks.push(document.remark(self.level(message), &field, text));
        }
    }

    fn absent_maps(&self, value: &Value) -> BTreeSet<String> {
        let mut absent = BTreeSet::new();
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if name == "configMap"
                        && let (Some(namespace), Some(name)) =
                            (member["namespace"].as_str(), member["name"].as_str())
                    {
                        let key = (namespace.to_owned(), name.to_owned());
                        if self.index.config_map(&key).is_none() {
                            absent.insert(format!("{namespace}/{name}"));
                        }
                    }
                    absent.extend(self.absent_maps(member));
                }
            }
            Value::Array(items) => absent.extend(items.iter().flat_map(|item| self.absent_maps(item))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        absent
    }
}

fn is_said(document: &Document<'_>, field: &str, remarks: &[Remark]) -> bool {
    let line = document.remark(Level::Error, field, "");
    let is_same = |remark: &Remark| {
        let is_place = remark.object == line.object && remark.file == line.file && remark.line == line.line;
        is_place && remark.level == Level::Error && remark.field.starts_with(field)
    };
    remarks.iter().any(is_same)
}

/// What works, and perhaps not as it reads.
fn advise(document: &Document<'_>, plan: &Plan, remarks: &mut Vec<Remark>) {
    let has_own = !document.value["spec"]["policies"].is_null();
    let field = if has_own { "spec.policies" } else { "spec" };
    let whose = if has_own { "its policies" } else { "hooks" };
    let mut warn = |message: String| remarks.push(document.remark(Level::Warning, field, message));
    match plan.class() {
        Class::HeaderOnly => {}
        Class::EarlyBody => warn(format!(
            "{whose} read the bodies of requests (EarlyBody): bodies above {EARLY_BODY} bytes are answered 501 \
             BodyTooLongForNow"
        )),
        Class::ResponseBody => warn(format!(
            "{whose} read the bodies of answers, which this version cannot hold back: every request is answered 501 \
             BodyTooLongForNow"
        )),
    }
    if plan.claims_authorization() {
        warn(format!(
            "{whose} judge Authorization, so no token is reviewed and the access review is for system:anonymous: grant the \
             path to the group system:unauthenticated"
        ));
    }
}
