//! What has to be asked before a request may pass, and what to say when the answer is no.

mod rule;

use std::borrow::Cow;

use crate::info::RequestInfo;

pub use rule::{Refusal, Rule};

/// What an access review is about, in the terms of Kubernetes. Names and paths are canonical, as they are forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attributes<'a> {
    Resource {
        verb: &'a str,
        group: &'a str,
        version: &'a str,
        resource: &'a str,
        subresource: &'a str,
        namespace: &'a str,
        name: &'a str,
    },
    NonResource {
        path: &'a str,
        verb: Cow<'a, str>,
    },
}

/// Through which door a request goes, as far as its review depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// With the path of its matcher as it was written.
    ReverseProxy {
        path: &'a str,
    },
    ApiService,
}

/// Which questions are asked about a ReverseProxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The path of its matcher first: a yes covers everything below. After a no, the path of the request.
    #[default]
    Pattern,
    /// The path of the request alone, for authorisers that also deny.
    Exact,
}

/// The questions about one request: it may pass if one of the answers is yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions<'a> {
    pub first: Attributes<'a>,
    /// Asked only after a no to the first.
    pub then: Option<Attributes<'a>>,
}

// === impl Questions ===

impl<'a> Questions<'a> {
    /// `method` is that of the request.
    pub fn of(door: Door<'a>, method: &'a str, info: &'a RequestInfo<'_>, mode: Mode) -> Self {
        let exact = || Attributes::NonResource {
            path: &info.path,
            verb: lower_case(method),
        };
        match (door, mode) {
            (Door::ApiService, _) if info.is_resource => Self::only(Attributes::Resource {
                verb: &info.verb,
                group: info.group,
                version: info.version,
                resource: info.resource,
                subresource: info.subresource,
                namespace: info.namespace,
                name: info.name,
            }),
            (Door::ApiService, _) | (Door::ReverseProxy { .. }, Mode::Exact) => Self::only(exact()),
            (Door::ReverseProxy { path }, Mode::Pattern) => {
                let first = Attributes::NonResource {
                    path,
                    verb: lower_case(method),
                };
                let then = (path != info.path).then(exact);
                Self { first, then }
            }
        }
    }

    fn only(first: Attributes<'a>) -> Self {
        Self { first, then: None }
    }
}

// === impl Attributes ===

impl Attributes<'_> {
    /// Every value that makes it what it is; the kind comes first.
    pub fn values(&self) -> [&str; 8] {
        match self {
            Self::Resource {
                verb,
                group,
                version,
                resource,
                subresource,
                namespace,
                name,
            } => [
                "resource",
                verb,
                group,
                version,
                resource,
                subresource,
                namespace,
                name,
            ],
            Self::NonResource { path, verb } => ["path", verb, path, "", "", "", "", ""],
        }
    }
}

/// Kubernetes knows the verbs of paths in lower case.
fn lower_case(method: &str) -> Cow<'_, str> {
    match method {
        "GET" => "get".into(),
        "HEAD" => "head".into(),
        "POST" => "post".into(),
        "PUT" => "put".into(),
        "PATCH" => "patch".into(),
        "DELETE" => "delete".into(),
        "OPTIONS" => "options".into(),
        other => other.to_ascii_lowercase().into(),
    }
}
