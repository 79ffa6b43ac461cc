//! What a request asks for, read from its method and target as KubeSphere reads it.

use std::borrow::Cow;

use thiserror::Error;

use crate::target::parameters;

/// Another word for `clusters` at the beginning of a path, in front of the platform of others.
pub(crate) const CLUSTERS_ALIAS: &str = "clusters-rewrite";

/// The attributes of a request. Names and the path are canonical, so that authorisation and forwarding see the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestInfo<'a> {
    pub is_resource: bool,
    /// It belongs to kube-apiserver.
    pub is_kubernetes: bool,
    /// A Kubernetes verb for a resource (empty for an unknown method), else the HTTP method.
    pub verb: Cow<'a, str>,
    /// `api`, `apis`, `kapi` or `kapis`.
    pub prefix: &'a str,
    pub group: &'a str,
    pub version: &'a str,
    pub workspace: Cow<'a, str>,
    pub namespace: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub name: &'a str,
    /// The cluster named in the path; empty: this one.
    pub cluster: &'a str,
    /// Without the part that names the cluster.
    pub path: Cow<'a, str>,
    /// `None` for what is not a resource.
    pub scope: Option<Scope>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Global,
    Cluster,
    Workspace,
    Namespace,
}

/// Why a request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InfoError {
    #[error("the path ends after the verb {0:?}; a resource must follow")]
    NothingAfterVerb(&'static str),
    #[error("the path ends after the API prefix or version; a resource must follow")]
    NoResource,
    #[error("the method CONNECT is not supported here")]
    Connect,
}

// === impl Scope ===

impl Scope {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "Global",
            Self::Cluster => "Cluster",
            Self::Workspace => "Workspace",
            Self::Namespace => "Namespace",
        }
    }
}

// === impl InfoError ===

impl InfoError {
    /// The code of the answer.
    pub fn code(&self) -> u16 {
        match self {
            Self::NothingAfterVerb(_) => 500,
            Self::NoResource => 404,
            Self::Connect => 405,
        }
    }
}

// === impl RequestInfo ===

impl<'a> RequestInfo<'a> {
    /// `path` is canonical.
    pub fn parse(method: &'a str, path: &'a str, query: Option<&'a [u8]>) -> Result<Self, InfoError> {
        if method == "CONNECT" {
            return Err(InfoError::Connect);
        }
        let mut info = Self {
            verb: Cow::Borrowed(method),
            path: Cow::Borrowed(path),
            ..Self::default()
        };
        let mut segments = Segments::new(path);
        if segments.count() < 3 {
            info.is_kubernetes = matches!(segments.peek(), Some("api" | "apis"));
            return Ok(info);
        }
        if let Some(entry @ ("clusters" | CLUSTERS_ALIAS)) = segments.peek() {
            info.cluster = segments.nth(1).unwrap_or_default();
            info.path = without_cluster(path, entry, info.cluster);
            segments.skip(2);
        }
        match segments.peek() {
            Some(prefix @ ("api" | "apis" | "kapi" | "kapis")) => info.prefix = prefix,
            _ => return Ok(info),
        }
        info.is_kubernetes = matches!(info.prefix, "api" | "apis");
        segments.skip(1);
        if info.cluster.is_empty() && segments.peek() == Some("clusters") && segments.count() >= 2 {
            info.cluster = segments.nth(1).unwrap_or_default();
            info.path = without_cluster(path, "clusters", info.cluster);
            if segments.count() > 2 {
                segments.skip(2);
            }
        }
        info.read_resource(method, query, segments)?;
        Ok(info)
    }

    fn read_resource(
        &mut self,
        method: &'a str,
        query: Option<&'a [u8]>,
        mut segments: Segments<'a>,
    ) -> Result<(), InfoError> {
        if matches!(self.prefix, "apis" | "kapis") {
            if segments.count() < 3 {
                return Ok(());
            }
            self.group = segments.take().unwrap_or_default();
        }
        // Both can be missing only behind a cluster prefix; KubeSphere crashes there.
        self.version = segments.take().ok_or(InfoError::NoResource)?;
        if segments.count() == 0 {
            return Err(InfoError::NoResource);
        }
        self.is_resource = true;
        self.verb = Cow::Borrowed(match segments.peek() {
            Some("proxy") => segments.take_verb("proxy")?,
            Some("watch") => segments.take_verb("watch")?,
            _ => verb_of(method),
        });
        if matches!(segments.peek(), Some("workspaces" | "workspacetemplates"))
            && let Some(workspace) = segments.nth(1)
        {
            self.workspace = Cow::Borrowed(workspace);
            if segments.count() > 2 {
                segments.skip(2);
            }
        }
        if segments.peek() == Some("namespaces")
            && let Some(namespace) = segments.nth(1)
        {
            self.namespace = namespace;
            if segments.count() > 2 && !matches!(segments.nth(2), Some("status" | "finalize")) {
                segments.skip(2);
            }
        }
        self.resource = segments.take().unwrap_or_default();
        self.name = segments.take().unwrap_or_default();
        if self.verb != "proxy" {
            self.subresource = segments.take().unwrap_or_default();
        }
        self.scope = Some(self.scope_of());
        self.read_query(query.unwrap_or_default());
        Ok(())
    }

    fn scope_of(&self) -> Scope {
        const GLOBAL: [(&str, &[&str]); 4] = [
            (
                "iam.kubesphere.io",
                &["users", "globalroles", "globalrolebindings"],
            ),
            ("tenant.kubesphere.io", &["workspaces", "clusters"]),
            ("cluster.kubesphere.io", &["clusters", "labels"]),
            ("resources.kubesphere.io", &["clusters", "labels"]),
        ];
        let listed =
            |(group, resources): &(&str, &[&str])| *group == self.group && resources.contains(&self.resource);
        if GLOBAL.iter().any(listed) {
            if self.workspace.is_empty() {
                Scope::Global
            } else {
                Scope::Workspace
            }
        } else if !self.namespace.is_empty() {
            Scope::Namespace
        } else if !self.workspace.is_empty() {
            Scope::Workspace
        } else {
            Scope::Cluster
        }
    }

    fn read_query(&mut self, query: &'a [u8]) {
        let first = |name: &[u8]| {
            parameters(query)
                .find(|(key, _)| key.as_ref() == name)
                .map(|(_, value)| value)
        };
        if self.name.is_empty() {
            match &*self.verb {
                "get" => {
                    let off = |value: Cow<'_, [u8]>| value.eq_ignore_ascii_case(b"false") || *value == *b"0";
                    let watches = first(b"watch").is_some_and(|value| !off(value));
                    self.verb = Cow::Borrowed(if watches { "watch" } else { "list" });
                }
                "delete" => self.verb = Cow::Borrowed("deletecollection"),
                _ => {}
            }
        }
        if self.verb == "watch"
            && let Some(selector) = first(b"labelSelector")
            && let Some(workspace) = selector.strip_prefix(b"kubesphere.io/workspace=")
        {
            self.workspace = Cow::Owned(String::from_utf8_lossy(workspace).into_owned());
            self.scope = Some(Scope::Workspace);
        }
    }
}

/// The segments of a path without the slashes around it; empty ones inside count.
#[derive(Debug, Clone)]
struct Segments<'a> {
    rest: Option<&'a str>,
}

// === impl Segments ===

impl<'a> Segments<'a> {
    fn new(path: &'a str) -> Self {
        let is_part = |byte: &u8| *byte != b'/';
        let bytes = path.as_bytes();
        let ends = bytes
            .iter()
            .position(is_part)
            .zip(bytes.iter().rposition(is_part));
        Self {
            rest: ends.map(|(first, last)| &path[first..=last]),
        }
    }

    fn count(&self) -> usize {
        self.rest
            .map_or(0, |rest| memchr::memchr_iter(b'/', rest.as_bytes()).count() + 1)
    }

    fn peek(&self) -> Option<&'a str> {
        self.nth(0)
    }

    fn nth(&self, at: usize) -> Option<&'a str> {
        let mut left = self.clone();
        left.skip(at);
        left.take()
    }

    fn take(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let (first, below) = match memchr::memchr(b'/', rest.as_bytes()) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        self.rest = below;
        Some(first)
    }

    fn skip(&mut self, segments: usize) {
        for _ in 0..segments {
            self.take();
        }
    }

    fn take_verb(&mut self, verb: &'static str) -> Result<&'static str, InfoError> {
        self.take();
        if self.rest.is_none() {
            Err(InfoError::NothingAfterVerb(verb))
        } else {
            Ok(verb)
        }
    }
}

fn verb_of(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

/// The path without the first `/{entry}/{cluster}`.
fn without_cluster<'a>(path: &'a str, entry: &str, cluster: &str) -> Cow<'a, str> {
    let part = ["/", entry, "/", cluster].concat();
    match path.find(&part) {
        Some(0) => Cow::Borrowed(&path[part.len()..]),
        Some(at) => Cow::Owned([&path[..at], &path[at + part.len()..]].concat()),
        None => Cow::Borrowed(path),
    }
}
