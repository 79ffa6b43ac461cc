//! Policies and extensions. What an author writes stays in the form of the API, as JSON: it is read by whoever runs it.

use genkan_routing::answer::reason;
use genkan_routing::model::policy::{PolicyStep, RevisionEntries, RevisionEntry, SecretAlias};
use genkan_routing::model::{
    DefinedPolicy, ExtensionEntry, ExtensionRevision, ObjectRef, Policies, Unavailable,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::route::unavailable;
use crate::v1alpha1 as wire;
use crate::v1alpha1::policy_definition::Definition;
use crate::v1alpha1::resource::Resource as Body;

pub fn policies_to_wire(policies: &Policies) -> wire::Policies {
    wire::Policies {
        steps: match policies.steps.as_slice() {
            [] => String::new(),
            steps => json(steps),
        },
        secrets: policies.secrets.iter().map(alias_to_wire).collect(),
        labels: policies
            .labels
            .iter()
            .map(|(name, value)| wire::Label {
                name: name.clone(),
                value: value.clone(),
            })
            .collect(),
    }
}

/// # Errors
/// What makes no sense in it, in one sentence.
pub fn policies_from_wire(policies: wire::Policies) -> Result<Policies, String> {
    let steps: Vec<PolicyStep> = match policies.steps.as_str() {
        "" => Vec::new(),
        text => read(text, "its policies")?,
    };
    Ok(Policies {
        steps,
        secrets: policies.secrets.into_iter().map(alias_from_wire).collect(),
        labels: policies
            .labels
            .into_iter()
            .map(|label| (label.name, label.value))
            .collect(),
    })
}

pub fn policy_to_wire(policy: &DefinedPolicy) -> Body {
    Body::PolicyDefinition(wire::PolicyDefinition {
        definition: Some(match &policy.definition {
            Ok(definition) => Definition::Spec(json(definition)),
            Err(why) => Definition::Unavailable(unavailable(why)),
        }),
    })
}

/// With what makes no sense in it.
pub fn policy_from_wire(
    policy: wire::PolicyDefinition,
    object: ObjectRef,
) -> (DefinedPolicy, Option<String>) {
    let definition = match policy.definition {
        Some(Definition::Spec(spec)) => read(&spec, "its specification"),
        Some(Definition::Unavailable(why)) => {
            let definition = Err(Unavailable::new(why.reason, why.message));
            return (DefinedPolicy { object, definition }, None);
        }
        None => Err("the operator sent neither a specification nor a reason why there is none".to_owned()),
    };
    let problem = definition.as_ref().err().cloned();
    let definition = definition.map_err(|problem| Unavailable::new(reason::INVALID, problem));
    (DefinedPolicy { object, definition }, problem)
}

pub fn entry_to_wire(entry: &ExtensionEntry) -> Body {
    Body::ExtensionEntry(wire::ExtensionEntry { content: json(entry) })
}

/// # Errors
/// What makes no sense in it, in one sentence.
pub fn entry_from_wire(entry: &wire::ExtensionEntry) -> Result<ExtensionEntry, String> {
    read(&entry.content, "its content")
}

pub fn revision_to_wire(revision: &ExtensionRevision) -> Body {
    Body::ExtensionRevision(wire::ExtensionRevision {
        target: Some(entries_to_wire(&revision.target)),
        stable: revision.stable.as_ref().map(entries_to_wire),
        restores_stable: revision.restores_stable,
        allow_fail_open: revision.allow_fail_open.clone(),
        secrets: revision.secrets.iter().map(alias_to_wire).collect(),
    })
}

pub fn revision_from_wire(revision: wire::ExtensionRevision, object: ObjectRef) -> ExtensionRevision {
    ExtensionRevision {
        object,
        target: revision.target.map(entries_from_wire).unwrap_or_default(),
        stable: revision.stable.map(entries_from_wire),
        restores_stable: revision.restores_stable,
        allow_fail_open: revision.allow_fail_open,
        secrets: revision.secrets.into_iter().map(alias_from_wire).collect(),
    }
}

fn entries_to_wire(revision: &RevisionEntries) -> wire::RevisionEntries {
    let entry = |entry: &RevisionEntry| wire::RevisionEntry {
        entry: entry.entry.clone(),
        digest: entry.digest.clone(),
        immediate: entry.is_immediate,
    };
    wire::RevisionEntries {
        id: revision.id.clone(),
        entries: revision.entries.iter().map(entry).collect(),
    }
}

fn entries_from_wire(revision: wire::RevisionEntries) -> RevisionEntries {
    let entry = |entry: wire::RevisionEntry| RevisionEntry {
        entry: entry.entry,
        digest: entry.digest,
        is_immediate: entry.immediate,
    };
    RevisionEntries {
        id: revision.id,
        entries: revision.entries.into_iter().map(entry).collect(),
    }
}

fn alias_to_wire(alias: &SecretAlias) -> wire::SecretAlias {
    wire::SecretAlias {
        alias: alias.alias.clone(),
        namespace: alias.namespace.clone(),
        name: alias.name.clone(),
        key: alias.key.clone().unwrap_or_default(),
    }
}

fn alias_from_wire(alias: wire::SecretAlias) -> SecretAlias {
    SecretAlias {
        alias: alias.alias,
        namespace: alias.namespace,
        name: alias.name,
        key: Some(alias.key).filter(|key| !key.is_empty()),
    }
}

/// These types have a form in JSON, whatever they hold.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{what} cannot be read: {error}"))
}
