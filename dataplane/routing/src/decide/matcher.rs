//! Matcher paths in a persistent radix tree: a clone is cheap, an edit copies only its own path, a look-up walks once.

mod node;

use std::sync::Arc;

use node::Node;

use crate::headers::is_token;

/// A matcher path: a literal and, when it was written with a star at the end, everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    pub literal: Vec<u8>,
    pub wildcard: bool,
}

/// Values by matcher path and method. The longest literal wins, an exact path before a wildcard, a method before `*`.
#[derive(Debug, Clone)]
pub struct RouteTable<T> {
    root: Arc<Node<T>>,
    len: usize,
}

/// Every path that a ReverseProxy can have begins with this text; it is not a segment.
pub const SERVED_PREFIX: &str = "/proxy";

/// Is a ReverseProxy asked for this request path at all?
pub fn is_served_path(path: &str) -> bool {
    path.starts_with(SERVED_PREFIX)
}

// === impl Pattern ===

impl Pattern {
    /// All stars at the end count as one; a star elsewhere is literal.
    pub fn parse(path: &str) -> Self {
        let literal = path.trim_end_matches('*');
        Self {
            literal: literal.as_bytes().to_vec(),
            wildcard: literal.len() < path.len(),
        }
    }

    /// Does it take this decoded path?
    pub fn matches(&self, comparable_path: &[u8]) -> bool {
        if self.wildcard {
            comparable_path.starts_with(&self.literal)
        } else {
            comparable_path == self.literal
        }
    }
}

// === impl RouteTable ===

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self {
            root: Arc::new(Node::default()),
            len: 0,
        }
    }
}

impl<T: Clone> RouteTable<T> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value in; the one that had this path and method before comes back.
    pub fn insert(&mut self, path: &str, method: &str, value: T) -> Option<T> {
        let pattern = Pattern::parse(path);
        let node = Arc::make_mut(&mut self.root).reach(&pattern.literal);
        let replaced = node.slot_mut(pattern.wildcard).insert(method, value);
        self.len += usize::from(replaced.is_none());
        replaced
    }

    pub fn remove(&mut self, path: &str, method: &str) -> Option<T> {
        let pattern = Pattern::parse(path);
        // A look first: a miss must not copy the nodes on the way.
        self.root
            .find(&pattern.literal)?
            .slot(pattern.wildcard)
            .exact(method)?;
        let removed = Arc::make_mut(&mut self.root).remove(&pattern.literal, pattern.wildcard, method);
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// The value under exactly this path and method, as they were written.
    pub fn get(&self, path: &str, method: &str) -> Option<&T> {
        let pattern = Pattern::parse(path);
        self.root
            .find(&pattern.literal)?
            .slot(pattern.wildcard)
            .exact(method)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> RouteTable<T> {
    /// The value that a request belongs to. Walks the path once and allocates nothing.
    pub fn lookup(&self, method: &str, comparable_path: &[u8]) -> Option<&T> {
        let mut best = None;
        self.walk(comparable_path, |slot| {
            if let Some(value) = slot.best(method) {
                best = Some(value);
            }
        });
        best
    }

    /// Every value that takes the request, the best first.
    pub fn matches(&self, method: &str, comparable_path: &[u8]) -> Vec<&T> {
        let mut found = Vec::new();
        self.walk(comparable_path, |slot| found.extend(slot.all(method)));
        found.reverse();
        found
    }

    /// Visits the slots that take the path, from the shortest literal to the longest, the exact one last.
    fn walk<'t>(&'t self, path: &[u8], mut visit: impl FnMut(&'t node::Slot<T>)) {
        let mut node = &*self.root;
        let mut rest = path;
        loop {
            visit(node.slot(true));
            let Some(first) = rest.first() else {
                visit(node.slot(false));
                return;
            };
            let Some(child) = node.child(*first) else { return };
            let Some(below) = rest.strip_prefix(child.edge()) else {
                return;
            };
            node = child;
            rest = below;
        }
    }
}

/// Why this cannot be the method of a matcher, if it cannot.
pub fn method_problem(method: &str) -> Option<String> {
    if method.is_empty() {
        return Some("a method is needed; \"*\" takes every one".into());
    }
    (!is_token(method)).then(|| format!("{method:?} is not an HTTP method; \"*\" takes every one"))
}
