use jsonata_core::ast::{AstNode, PathStep};

use super::{parsed, with_room};
use crate::builtins::Part;

/// Where an expression leads that is made of names, `*` and `**` alone: what it finds can be hidden in place.
///
/// # Errors
/// Why it cannot be used, in one sentence.
pub(crate) fn path(text: &str) -> Result<Vec<Part>, String> {
    with_room(|| parts(&parsed(text)?))?
}

fn parts(tree: &AstNode) -> Result<Vec<Part>, String> {
    let AstNode::Path { steps } = tree else {
        let part = one(tree).filter(|part| *part != Part::Below);
        return part.map(|part| vec![part]).ok_or_else(refused);
    };
    let is_root = |step: &PathStep| {
        matches!(&step.node, AstNode::ParentVariable(_))
            || matches!(&step.node, AstNode::Variable(name) if matches!(name.as_str(), "" | "$"))
    };
    let steps = match &**steps {
        [first, rest @ ..] if is_root(first) && first.stages.is_empty() => rest,
        all => all,
    };
    let parts = steps.iter().map(|step| {
        let is_plain = step.stages.is_empty() && step.focus.is_none() && step.index_var.is_none();
        one(&step.node).filter(|_| is_plain)
    });
    let parts: Option<Vec<_>> = parts.collect();
    parts
        .filter(|parts| parts.last().is_some_and(|last| *last != Part::Below))
        .ok_or_else(refused)
}

fn one(node: &AstNode) -> Option<Part> {
    if let AstNode::Name(name) = node {
        return Some(Part::Member(name.clone()));
    }
    if matches!(node, AstNode::Wildcard) {
        return Some(Part::Each);
    }
    matches!(node, AstNode::Descendant).then_some(Part::Below)
}

fn refused() -> String {
    "it has to be a path of names, * and ** that ends in a name or *, such as $.**.card".to_owned()
}
