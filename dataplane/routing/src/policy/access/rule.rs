use crate::answer::reason;
use std::fmt;

use super::{Attributes, Reading};
use crate::answer::Refused;
use crate::connectors::GROUP;
use crate::identity::ANONYMOUS;

/// The one rule of RBAC that allows what was asked, in the notation in which it can be pasted into a role.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'q>(pub &'q Attributes<'q>);

/// Why somebody may not do something, and what would change that.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'q> {
    pub user: &'q str,
    /// The one that is not allowed.
    pub reading: Reading<'q>,
}

/// A path or name that is longer is shown with its beginning only.
const LONGEST_SHOWN: usize = 512;

// === impl Refusal ===

impl Refusal<'_> {
    /// The answer to the caller.
    pub fn refused(&self) -> Refused {
        Refused::new(403, reason::ACCESS_DENIED, self.to_string())
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reading {
            first,
            then,
            is_other,
        } = self.reading;
        if let Attributes::Resource {
            verb,
            group,
            resource,
            name,
            ..
        } = first
            && group == GROUP
        {
            // Clients of this API know the sentence by its beginning.
            let name = shown(name);
            write!(
                f,
                "{resource}.{GROUP} {name} is forbidden: access not allowed, verb={verb}: "
            )?;
        }
        // What was asked for is the exact path; what is worth allowing is the whole object.
        let asked = then.unwrap_or(first);
        write!(f, "user {} cannot {asked}", shown(self.user))?;
        if is_other {
            f.write_str(", which is what other servers read in this path")?;
        }
        let place = match first {
            Attributes::Resource { namespace, .. } if !namespace.is_empty() => {
                format!("a Role in namespace {} (or a ClusterRole)", shown(namespace))
            }
            _ => "a ClusterRole".to_owned(),
        };
        // A name that holds slashes has parts that look like resources, and no role has rules for them.
        let is_doubtful = is_other || first.resource_of_rule().contains('%');
        if !is_doubtful || first.is_plausible() {
            write!(
                f,
                ". To allow it, add this rule to {place} that is bound to the user or to a group of theirs: {}",
                Rule(first)
            )?;
        }
        if is_doubtful {
            f.write_str(
                ". An API whose names hold slashes is better published by a ReverseProxy, whose paths are judged as they stand",
            )?;
        }
        if self.user == ANONYMOUS {
            f.write_str(". The request carried no token: send one to call as somebody who may")?;
        }
        Ok(())
    }
}

// === impl Attributes ===

impl fmt::Display for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonResource { path, verb } => write!(f, "{verb} path {}", shown(path)),
            Self::Resource {
                verb,
                group,
                namespace,
                name,
                ..
            } => {
                let verb = if verb.is_empty() { "use" } else { &**verb };
                write!(f, "{verb} resource {}", shown(&self.resource_of_rule()))?;
                if !name.is_empty() {
                    write!(f, " {}", shown(name))?;
                }
                write!(f, " of API group {}", quoted(group))?;
                if namespace.is_empty() {
                    f.write_str(" at the cluster scope")
                } else {
                    write!(f, " in namespace {}", shown(namespace))
                }
            }
        }
    }
}

impl Attributes<'_> {
    /// Could somebody want a rule for this?
    fn is_plausible(&self) -> bool {
        let is_word = |text: &str| {
            let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            text.starts_with(|letter: char| letter.is_ascii_lowercase()) && text.bytes().all(is_inner)
        };
        match self {
            Self::Resource {
                verb,
                resource,
                subresource,
                namespace,
                ..
            } => {
                let is_free = |text: &str| text.is_empty() || is_word(text);
                !verb.is_empty()
                    && is_word(resource)
                    && is_free(subresource)
                    && !namespace.contains(['%', ' '])
            }
            Self::NonResource { .. } => false,
        }
    }

    /// As RBAC writes it: with the subresource behind a slash.
    fn resource_of_rule(&self) -> String {
        match self {
            Self::Resource {
                resource,
                subresource,
                ..
            } => match (&**resource, &**subresource) {
                ("", _) => "*".to_owned(),
                (resource, "") => resource.to_owned(),
                (resource, subresource) => format!("{resource}/{subresource}"),
            },
            Self::NonResource { .. } => String::new(),
        }
    }
}

// === impl Rule ===

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Attributes::NonResource { path, verb } => write!(
                f,
                "{{nonResourceURLs: [{}], verbs: [{}]}}",
                quoted(path),
                quoted(verb)
            ),
            Attributes::Resource { verb, group, .. } => {
                // Only the star covers a method for which Kubernetes has no verb.
                let verb = if verb.is_empty() { "*" } else { &**verb };
                write!(
                    f,
                    "{{apiGroups: [{}], resources: [{}], verbs: [{}]}}",
                    quoted(group),
                    quoted(&self.0.resource_of_rule()),
                    quoted(verb)
                )
            }
        }
    }
}

/// As JSON writes it, which YAML reads, and which has no control characters.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => quoted(&format!("{}…", &text[..end])),
        None => quoted(text),
    }
}
