//! Policies and global policies of DataPower's, which are written in YAML.

mod assembly;
mod catch;
pub(crate) mod expression;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use genkan_routing::model::policy::{Catch, Hook, HookPlace, PolicyDefinition, PolicyStep, Position};
use serde_json::{Map, Value};

use crate::kind::Designated;
use crate::refusal::{Reason, Refused};
use crate::tree::{Node, yaml};
use assembly::Assembly;

/// What is known when a policy is read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Names of policies of this and other extensions.
    pub known: BTreeSet<String>,
    /// It is listed as `policy-v5`.
    pub is_v5: bool,
    /// An export beside it holds the steps.
    pub has_implementation: bool,
    /// Use of a global policy; a prehook where nothing is said.
    pub designated: Option<Designated>,
    /// Crypto objects and registries, and the aliases of the Secrets that stand for them.
    pub secret_map: BTreeMap<String, String>,
    /// Hosts and groups, and `NAMESPACE/SERVICE:PORT` or the URL that stand for them.
    pub host_map: BTreeMap<String, String>,
}

/// What a policy YAML becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyFile {
    Policy(Box<PolicyDefinition>),
    /// A global policy: one hook, or one for each `catch` of an error hook.
    Hooks {
        hooks: Vec<Hook>,
        notes: Vec<String>,
    },
}

/// Names of genkan's own policies, which no other may have.
pub const BUILTINS: [&str; 34] = [
    "antivirus",
    "apiKey",
    "authorize",
    "basic",
    "call",
    "check",
    "cors",
    "countLimit",
    "decrypt",
    "encrypt",
    "enrich",
    "extAuth",
    "extProc",
    "filter",
    "hmac",
    "introspect",
    "jwt",
    "log",
    "lookup",
    "mtls",
    "rateLimit",
    "redact",
    "redirect",
    "respond",
    "script",
    "set",
    "sign",
    "switch",
    "throw",
    "tokenExchange",
    "tokenMint",
    "transform",
    "validateSchema",
    "verifySignature",
];

/// What is wrong with a policy that has no steps.
pub const NOTHING_RUNS: &str = "no assembly and no implementation";

const KNOWN_VERSION: &str = "1.0.0";
const FULL_CUSTOM: &str = "full-custom: the access review of genkan cannot be left out or moved";

/// Reads a policy or a global policy.
///
/// # Errors
///
/// `PolicyInvalid`: it is no policy; `Unsupported`: a step of it has no counterpart.
pub fn read(file: &str, text: &[u8], reading: &Reading) -> Result<PolicyFile, Refused> {
    let document = document(file, text)?;
    let invalid = |message: String| Reason::PolicyInvalid.refuse(format!("{file}: {message}"));
    let head = Head::read(&document).map_err(invalid)?;
    let position = position(&document).map_err(invalid)?;
    if !reading.is_v5 && is_for_v5_only(&document) {
        let message = "it is for datapower-gateway only; list it with type policy-v5";
        return Err(invalid(message.to_owned()));
    }
    let parameters = match document.given("properties") {
        None => schema::nothing(),
        Some(properties) => schema::parameters(properties)
            .ok_or_else(|| invalid("properties is not a schema of an object".to_owned()))?,
    };
    let assembly = document.given("assembly");
    if assembly.is_none() && !reading.has_implementation {
        return Err(invalid(NOTHING_RUNS.to_owned()));
    }
    let assembly = Assembly::new(file, reading).read(assembly)?;
    if head.is_global {
        let (hooks, notes) = hooks(file, assembly, position, reading.designated)?;
        return Ok(PolicyFile::Hooks { hooks, notes });
    }
    Ok(PolicyFile::Policy(Box::new(PolicyDefinition {
        policy: head.name,
        version: head.version,
        title: head.title,
        description: head.description,
        parameters: Some(parameters),
        steps: assembly.steps,
        catch: assembly.catch,
        finally: assembly.finally,
        ..PolicyDefinition::default()
    })))
}

/// The name of the policy in a YAML, where it is one that can be referred to by it.
pub fn name(file: &str, text: &[u8]) -> Option<String> {
    let document = document(file, text).ok()?;
    document.given("policy")?;
    document.get("info")?.get("name")?.scalar()
}

/// Whether the YAML is a global policy.
pub fn is_global(file: &str, text: &[u8]) -> bool {
    document(file, text).is_ok_and(|document| document.given("global-policy").is_some())
}

/// Whether the YAML has steps of its own.
pub fn has_assembly(file: &str, text: &[u8]) -> bool {
    document(file, text).is_ok_and(|document| document.given("assembly").is_some())
}

/// `1`, `1.2` and `1.2.3`, filled with zeros.
pub(crate) fn version(text: &str) -> Option<String> {
    let parts: Vec<_> = text.split('.').collect();
    let is_number = |part: &&str| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if parts.len() > 3 || !parts.iter().all(is_number) {
        return None;
    }
    let mut parts = parts;
    parts.resize(3, "0");
    Some(parts.join("."))
}

/// Whether a policy may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=63).contains(&name.len()) && name.bytes().all(of_a_name)
}

fn document(file: &str, text: &[u8]) -> Result<Node, Refused> {
    yaml::read(text).map_err(|fault| {
        let message = format!("{file}:{}: {}", fault.line, fault.what);
        Reason::PolicyInvalid.refuse(message)
    })
}

/// What a policy says of itself.
struct Head {
    is_global: bool,
    name: String,
    version: String,
    title: Option<String>,
    description: Option<String>,
}

// === impl Head ===

impl Head {
    fn read(document: &Node) -> Result<Self, String> {
        if document.as_map().is_none() {
            return Err("not a map".to_owned());
        }
        let kinds = ["policy", "global-policy"];
        let kind = kinds.iter().find_map(|kind| Some((*kind, document.given(kind)?)));
        let (kind, format) = kind.ok_or("neither policy nor global-policy is given")?;
        if format.scalar().as_deref() != Some(KNOWN_VERSION) {
            let shown = format.shown();
            return Err(format!("{kind} {shown} is unknown, {KNOWN_VERSION} is known"));
        }
        let info = document.given("info").filter(|info| info.as_map().is_some());
        let info = info.ok_or("no info")?;
        let name = info.given("name").ok_or("no info.name")?.shown();
        if !is_name(&name) {
            return Err(format!(
                "info.name \"{name}\" is not made of 1 to 63 letters, digits, - and _"
            ));
        }
        if BUILTINS.contains(&name.as_str()) {
            return Err(format!("info.name {name} is that of a built-in policy"));
        }
        let written = info.given("version").ok_or("no info.version")?.shown();
        let version = version(&written);
        let version =
            version.ok_or_else(|| format!("info.version \"{written}\" is no version such as 1.0.0"))?;
        Ok(Self {
            is_global: kind == "global-policy",
            name,
            version,
            title: info.given("title").and_then(Node::scalar),
            description: info.given("description").and_then(Node::scalar),
        })
    }
}

fn is_for_v5_only(document: &Node) -> bool {
    let gateways = document.get("gateways").and_then(Node::as_list);
    let names: Vec<_> = gateways.unwrap_or_default().iter().map(Node::as_text).collect();
    names.contains(&Some("datapower-gateway")) && !names.contains(&Some("datapower-api-gateway"))
}

/// Where a prehook stands, and what is to be said about that.
fn position(document: &Node) -> Result<(Position, Option<&'static str>), String> {
    if document.given("global-policy").is_none() {
        return Ok((Position::AfterBuiltin, None));
    }
    let mode = document.get("info").and_then(|info| info.given("mode"));
    match mode.map(Node::shown).as_deref() {
        None | Some("after-builtin") => Ok((Position::AfterBuiltin, None)),
        Some("before-builtin") => Ok((Position::BeforeBuiltin, None)),
        Some("full-custom") => Ok((Position::AfterBuiltin, Some(FULL_CUSTOM))),
        Some(other) => Err(format!("info.mode \"{other}\" is unknown")),
    }
}

/// What the steps of a file are.
#[derive(Debug, Default)]
struct Steps {
    steps: Vec<PolicyStep>,
    catch: Vec<Catch>,
    finally: Vec<PolicyStep>,
}

fn hooks(
    file: &str,
    assembly: Steps,
    (position, note): (Position, Option<&'static str>),
    designated: Option<Designated>,
) -> Result<(Vec<Hook>, Vec<String>), Refused> {
    let designated = designated.unwrap_or(Designated::Prehook);
    let has_more =
        !assembly.finally.is_empty() || (designated != Designated::Error && !assembly.catch.is_empty());
    if has_more {
        let message =
            format!("{file}: assembly: catch is converted only for an error hook, finally for none");
        return Err(Reason::Unsupported.refuse(message));
    }
    let hook = |at, steps| Hook {
        at,
        steps,
        ..Hook::default()
    };
    let hooks = match designated {
        Designated::Prehook => vec![Hook {
            position,
            ..hook(HookPlace::PreRequest, assembly.steps)
        }],
        Designated::Posthook => vec![hook(HookPlace::PostResponse, assembly.steps)],
        Designated::Error if assembly.catch.is_empty() => vec![hook(HookPlace::OnError, assembly.steps)],
        Designated::Error => {
            let each = assembly.catch.into_iter().map(|catch| Hook {
                errors: catch.errors,
                ..hook(HookPlace::OnError, catch.steps)
            });
            each.collect()
        }
    };
    Ok((hooks, note.map(str::to_owned).into_iter().collect()))
}

/// An object of JSON.
pub(crate) fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
