//! What has to be asked before a request may pass, and what to say when the answer is no.

mod readings;
mod rule;

use std::borrow::Cow;

use crate::connectors::{GROUP, VERSION};
use crate::info::RequestInfo;

pub use rule::{Refusal, Rule};

/// What an access review is about, in the terms of Kubernetes. Names and paths are canonical, as they are forwarded, but
/// for those of another reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attributes<'a> {
    Resource {
        verb: Cow<'a, str>,
        group: Cow<'a, str>,
        version: Cow<'a, str>,
        resource: Cow<'a, str>,
        subresource: Cow<'a, str>,
        namespace: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    NonResource {
        path: Cow<'a, str>,
        verb: Cow<'a, str>,
    },
}

/// Through which kind a request goes, as far as its review depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteKind<'a> {
    /// With the path of its matcher as it was written.
    ReverseProxy {
        path: &'a str,
    },
    ApiService,
    Connector {
        namespace: &'a str,
        name: &'a str,
    },
    /// Who may read it, for want of requests of its own.
    ConnectorClass {
        name: &'a str,
    },
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

/// The questions about one request: it may pass if every reading of its path is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions<'a> {
    pub first: Attributes<'a>,
    /// Asked only after a no to the first.
    pub then: Option<Attributes<'a>>,
    /// What other servers read in the same path, where that is something else; nearly always there is none.
    pub others: Vec<Attributes<'a>>,
    /// What has to be allowed as well: the first, or the second.
    pub also: Option<(Attributes<'a>, Option<Attributes<'a>>)>,
}

/// The questions about one reading of a path: it is allowed if one of the answers is yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<'q> {
    pub first: &'q Attributes<'q>,
    pub then: Option<&'q Attributes<'q>>,
    /// Not the path as it is forwarded, but what another server makes of it.
    pub is_other: bool,
}

// === impl Questions ===

impl<'a> Questions<'a> {
    /// `method` is that of the request, `query` the one that counts.
    pub fn of(
        kind: RouteKind<'a>,
        method: &'a str,
        info: &'a RequestInfo<'_>,
        query: Option<&[u8]>,
        mode: Mode,
    ) -> Self {
        let exact = || Attributes::of_path(method, &info.path);
        match (kind, mode) {
            (RouteKind::ApiService, _) => {
                let first = Attributes::of(method, info);
                let others = readings::others(method, &info.path, query, &first);
                Self {
                    first,
                    then: None,
                    others,
                    also: None,
                }
            }
            (RouteKind::ReverseProxy { .. }, Mode::Exact) => Self {
                first: exact(),
                then: None,
                others: Vec::new(),
                also: None,
            },
            (RouteKind::ReverseProxy { path }, Mode::Pattern) => Self {
                first: Attributes::of_path(method, path),
                then: (path != info.path).then(exact),
                others: Vec::new(),
                also: None,
            },
            (RouteKind::Connector { namespace, name }, _) => Self::of_connector(namespace, name),
            (RouteKind::ConnectorClass { name }, _) => Self {
                first: Attributes::of_connectors("get", "connectorclasses", "", "", name),
                then: None,
                others: Vec::new(),
                also: None,
            },
        }
    }

    /// About a Connector that need not exist.
    pub fn of_connector(namespace: &'a str, name: &'a str) -> Self {
        Self {
            first: Attributes::of_connectors("get", "connectors", "", namespace, name),
            then: None,
            others: Vec::new(),
            also: None,
        }
    }

    /// About the switches of Connectors.
    pub fn of_flags() -> Self {
        Self {
            first: Attributes::of_connectors("list", "connectorclasses", "", "", ""),
            then: None,
            others: Vec::new(),
            also: None,
        }
    }

    /// Asks as well for what a request does: of its class, or of one operation of it.
    pub fn with_operation(mut self, verb: &'static str, class: &str, template: Option<&str>) -> Self {
        let Attributes::Resource { namespace, name, .. } = &self.first else {
            return self;
        };
        let of = |below: String| Attributes::Resource {
            verb: verb.into(),
            group: GROUP.into(),
            version: VERSION.into(),
            resource: "connectors".into(),
            subresource: below.into(),
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let operation = template.map(|template| of(format!("apis/{class}/{template}")));
        self.also = Some((of(format!("apis/{class}")), operation));
        self
    }

    /// The verb of a method, for [`Self::with_operation`].
    pub fn verb_of(method: &str) -> &'static str {
        match method {
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ => "get",
        }
    }

    /// Each has to be allowed. The first is that of the path as it is forwarded.
    pub fn readings(&self) -> impl Iterator<Item = Reading<'_>> {
        let itself = Reading {
            first: &self.first,
            then: self.then.as_ref(),
            is_other: false,
        };
        let others = self.others.iter().map(|first| Reading {
            first,
            then: None,
            is_other: true,
        });
        let also = self.also.as_ref().map(|(first, then)| Reading {
            first,
            then: then.as_ref(),
            is_other: false,
        });
        std::iter::once(itself).chain(others).chain(also)
    }
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    /// Of a request, read as Kubernetes reads it.
    fn of(method: &'a str, info: &'a RequestInfo<'_>) -> Self {
        if !info.is_resource {
            return Self::of_path(method, &info.path);
        }
        Self::Resource {
            verb: (&*info.verb).into(),
            group: info.group.into(),
            version: info.version.into(),
            resource: info.resource.into(),
            subresource: info.subresource.into(),
            namespace: info.namespace.into(),
            name: info.name.into(),
        }
    }

    fn of_connectors(
        verb: &'a str,
        resource: &'a str,
        subresource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> Self {
        Self::Resource {
            verb: verb.into(),
            group: GROUP.into(),
            version: VERSION.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn of_path(method: &'a str, path: &'a str) -> Self {
        Self::NonResource {
            path: path.into(),
            verb: lower_case(method),
        }
    }

    /// It is about a Connector, or what belongs to one.
    pub fn is_of_connectors(&self) -> bool {
        matches!(self, Self::Resource { group, .. } if group == GROUP)
    }

    fn into_owned(self) -> Attributes<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Resource {
                verb,
                group,
                version,
                resource,
                subresource,
                namespace,
                name,
            } => Attributes::Resource {
                verb: own(verb),
                group: own(group),
                version: own(version),
                resource: own(resource),
                subresource: own(subresource),
                namespace: own(namespace),
                name: own(name),
            },
            Self::NonResource { path, verb } => Attributes::NonResource {
                path: own(path),
                verb: own(verb),
            },
        }
    }

    /// What it says, by the names that a review gives it; without what is empty.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let [_, values @ ..] = self.values();
        let names = match self {
            Self::Resource { .. } => [
                "verb",
                "group",
                "version",
                "resource",
                "subresource",
                "namespace",
                "name",
            ],
            Self::NonResource { .. } => ["verb", "path", "", "", "", "", ""],
        };
        names
            .into_iter()
            .zip(values)
            .filter(|(_, value)| !value.is_empty())
    }

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
