//! The nodes of the tree.

use std::sync::Arc;

/// A point in the tree. The first byte of a child's edge is kept beside its pointer, so that choosing one reads no child.
#[derive(Debug, Clone)]
pub(super) struct Node<T> {
    edge: Box<[u8]>,
    children: Vec<(u8, Arc<Node<T>>)>,
    exact: Slot<T>,
    wildcard: Slot<T>,
}

/// The values of one pattern, one a method; `*` comes last.
#[derive(Debug, Clone)]
pub(super) struct Slot<T>(Vec<(Box<str>, T)>);

// === impl Node ===

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self::with_edge(&[])
    }
}

impl<T> Node<T> {
    fn with_edge(edge: &[u8]) -> Self {
        Self {
            edge: edge.into(),
            children: Vec::new(),
            exact: Slot(Vec::new()),
            wildcard: Slot(Vec::new()),
        }
    }

    pub(super) fn edge(&self) -> &[u8] {
        &self.edge
    }

    pub(super) fn slot(&self, wildcard: bool) -> &Slot<T> {
        if wildcard { &self.wildcard } else { &self.exact }
    }

    pub(super) fn slot_mut(&mut self, wildcard: bool) -> &mut Slot<T> {
        if wildcard {
            &mut self.wildcard
        } else {
            &mut self.exact
        }
    }

    pub(super) fn child(&self, first: u8) -> Option<&Node<T>> {
        let at = self.position(first).ok()?;
        Some(&self.children[at].1)
    }

    /// The node at the end of exactly this literal.
    pub(super) fn find(&self, literal: &[u8]) -> Option<&Node<T>> {
        let mut node = self;
        let mut rest = literal;
        while let Some(first) = rest.first() {
            node = node.child(*first)?;
            rest = rest.strip_prefix(node.edge())?;
        }
        Some(node)
    }

    fn position(&self, first: u8) -> Result<usize, usize> {
        self.children.binary_search_by_key(&first, |(byte, _)| *byte)
    }

    fn is_bare(&self) -> bool {
        self.exact.0.is_empty() && self.wildcard.0.is_empty()
    }
}

impl<T: Clone> Node<T> {
    /// The node at the end of this literal, made if need be.
    pub(super) fn reach(&mut self, literal: &[u8]) -> &mut Node<T> {
        let Some(&first) = literal.first() else {
            return self;
        };
        let at = match self.position(first) {
            Ok(at) => at,
            Err(at) => {
                self.children
                    .insert(at, (first, Arc::new(Node::with_edge(literal))));
                at
            }
        };
        let child = Arc::make_mut(&mut self.children[at].1);
        let common = child.edge.iter().zip(literal).take_while(|(a, b)| a == b).count();
        if common < child.edge.len() {
            child.split(common);
        }
        child.reach(&literal[common..])
    }

    /// What this node was becomes its only child, below the first `at` bytes of its edge.
    fn split(&mut self, at: usize) {
        let mut below = std::mem::replace(self, Node::with_edge(&self.edge[..at]));
        below.edge = below.edge[at..].into();
        self.children.push((below.edge[0], Arc::new(below)));
    }

    pub(super) fn remove(&mut self, literal: &[u8], wildcard: bool, method: &str) -> Option<T> {
        let Some(first) = literal.first() else {
            return self.slot_mut(wildcard).remove(method);
        };
        let at = self.position(*first).ok()?;
        let child = Arc::make_mut(&mut self.children[at].1);
        let rest = literal.strip_prefix(&*child.edge)?;
        let removed = child.remove(rest, wildcard, method);
        if child.is_bare() {
            match child.children.len() {
                0 => {
                    self.children.remove(at);
                }
                1 => child.join(),
                _ => {}
            }
        }
        removed
    }

    /// Takes the place of its only child: the opposite of `split`.
    fn join(&mut self) {
        let Some((_, only)) = self.children.pop() else {
            return;
        };
        let only = Arc::unwrap_or_clone(only);
        let edge = [&*self.edge, &*only.edge].concat();
        *self = Node {
            edge: edge.into(),
            ..only
        };
    }
}

// === impl Slot ===

impl<T> Slot<T> {
    pub(super) fn exact(&self, method: &str) -> Option<&T> {
        self.0
            .iter()
            .find(|(of, _)| **of == *method)
            .map(|(_, value)| value)
    }

    /// The value for a request of this method.
    pub(super) fn best(&self, method: &str) -> Option<&T> {
        self.0
            .iter()
            .find(|(of, _)| **of == *method || &**of == "*")
            .map(|(_, value)| value)
    }

    /// Every value for this method, the best last.
    pub(super) fn all<'t>(&'t self, method: &str) -> impl Iterator<Item = &'t T> {
        let takes = move |of: &str| of == method || of == "*";
        let found: Vec<&T> = self
            .0
            .iter()
            .filter(|(of, _)| takes(of))
            .map(|(_, value)| value)
            .collect();
        found.into_iter().rev()
    }

    pub(super) fn insert(&mut self, method: &str, value: T) -> Option<T> {
        if let Some((_, old)) = self.0.iter_mut().find(|(of, _)| **of == *method) {
            return Some(std::mem::replace(old, value));
        }
        let any_last = self.0.last().is_some_and(|(of, _)| &**of == "*");
        let at = if method == "*" || !any_last {
            self.0.len()
        } else {
            self.0.len() - 1
        };
        self.0.insert(at, (method.into(), value));
        None
    }

    fn remove(&mut self, method: &str) -> Option<T> {
        let at = self.0.iter().position(|(of, _)| **of == *method)?;
        let (_, value) = self.0.remove(at);
        self.0.shrink_to_fit();
        Some(value)
    }
}
