//! Depth: at most 200 levels. What is put together, compared, kept or given to a function is measured first.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "nodes are of many kinds, and `children` lists them all"
)]

use std::collections::BTreeSet;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use regex::RegexBuilder;

use super::functions::{OURS, THEIRS};
use super::measure::{FEW, MEASURED, SHORT, SMALL};

/// What an expression names.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    names: BTreeSet<String>,
    functions: BTreeSet<String>,
    /// It looks at whatever there is.
    everything: bool,
    pub(super) request_body: bool,
    pub(super) message_body: bool,
    /// What the body is, whether or not anybody can read it.
    pub(super) body_kind: bool,
}

const DEEPEST: usize = 200;
/// Bytes of a compiled pattern at most.
const PATTERN: usize = 1 << 20;
/// Their arguments are looked at more closely, so they are called by name.
const BY_NAME: [&str; 7] = [
    "distinct",
    "eval",
    "formatInteger",
    "join",
    "pad",
    "replace",
    "xpath",
];

/// Measures what has to be, and refuses what cannot be.
///
/// # Errors
/// One sentence.
pub(super) fn bounded(tree: &mut AstNode) -> Result<Mentions, String> {
    let mut bound = BTreeSet::new();
    names_of(tree, &mut bound, 0)?;
    let mut walker = Walker {
        bound,
        mentions: Mentions::default(),
    };
    walker.walk(tree)?;
    Ok(walker.mentions)
}

/// The names that an expression itself gives.
fn names_of(node: &mut AstNode, bound: &mut BTreeSet<String>, depth: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("it is nested deeper than {DEEPEST} levels"));
    }
    match node {
        AstNode::Lambda { params, .. } => bound.extend(params.iter().cloned()),
        AstNode::Binary {
            op: BinaryOp::ColonEqual,
            lhs,
            ..
        } => {
            if let AstNode::Variable(name) = &**lhs {
                bound.insert(name.clone());
            }
        }
        AstNode::Path { steps } => {
            for step in steps.iter() {
                bound.extend(step.focus.iter().chain(&step.index_var).cloned());
                bound.extend(step.stages.iter().filter_map(|stage| match stage {
                    Stage::Index(name) => Some(name.clone()),
                    Stage::Filter(_) | Stage::KeepArray => None,
                }));
            }
        }
        _ => {}
    }
    children(node, &mut |child| names_of(child, bound, depth + 1))
}

/// Each part, once.
fn children(
    node: &mut AstNode,
    each: &mut dyn FnMut(&mut AstNode) -> Result<(), String>,
) -> Result<(), String> {
    match node {
        AstNode::String(_)
        | AstNode::Name(_)
        | AstNode::Number(_)
        | AstNode::Boolean(_)
        | AstNode::Null
        | AstNode::Undefined
        | AstNode::Placeholder
        | AstNode::Regex { .. }
        | AstNode::Variable(_)
        | AstNode::ParentVariable(_)
        | AstNode::Wildcard
        | AstNode::Descendant
        | AstNode::Parent(_) => Ok(()),
        AstNode::Path { steps } => steps.iter_mut().try_for_each(|step| {
            each(&mut step.node)?;
            step.stages.iter_mut().try_for_each(|stage| match stage {
                Stage::Filter(filter) => each(filter),
                Stage::KeepArray | Stage::Index(_) => Ok(()),
            })
        }),
        AstNode::Binary { lhs, rhs, .. } => {
            each(lhs)?;
            each(rhs)
        }
        AstNode::Unary { operand, .. } => each(operand),
        AstNode::Function { args, .. } => args.iter_mut().try_for_each(each),
        AstNode::Call { procedure, args } => {
            each(procedure)?;
            args.iter_mut().try_for_each(each)
        }
        AstNode::Lambda { body, .. } => each(body),
        AstNode::Array(items) | AstNode::ArrayGroup(items) | AstNode::Block(items) => {
            items.iter_mut().try_for_each(each)
        }
        AstNode::Object(pairs) => pairs.iter_mut().try_for_each(|(name, value)| {
            each(name)?;
            each(value)
        }),
        AstNode::ObjectTransform { input, pattern } => {
            each(input)?;
            pattern.iter_mut().try_for_each(|(name, value)| {
                each(name)?;
                each(value)
            })
        }
        AstNode::Conditional {
            condition,
            then_branch,
            else_branch,
        } => {
            each(condition)?;
            each(then_branch)?;
            else_branch.iter_mut().try_for_each(|branch| each(branch))
        }
        AstNode::FunctionApplication(inner) => each(inner),
        AstNode::Sort { input, terms } => {
            each(input)?;
            terms.iter_mut().try_for_each(|(term, _)| each(term))
        }
        AstNode::Transform {
            location,
            update,
            delete,
        } => {
            each(location)?;
            each(update)?;
            delete.iter_mut().try_for_each(|delete| each(delete))
        }
    }
}

struct Walker {
    bound: BTreeSet<String>,
    mentions: Mentions,
}

// === impl Mentions ===

impl Mentions {
    /// It may look at a member of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.everything || self.names.contains(name)
    }

    /// It calls this function of ours.
    pub(super) fn calls(&self, function: &str) -> bool {
        self.functions.contains(function)
    }
}

// === impl Walker ===

impl Walker {
    fn walk(&mut self, node: &mut AstNode) -> Result<(), String> {
        match node {
            AstNode::Path { steps } => return self.path(steps),
            AstNode::Name(name) | AstNode::String(name) => self.name(name, None),
            AstNode::Wildcard | AstNode::Descendant => self.all_of(None),
            AstNode::Variable(name) => return self.variable(name),
            AstNode::ParentVariable(_) => self.mentions.everything = true,
            AstNode::Regex { pattern, .. } => {
                let made = RegexBuilder::new(pattern).size_limit(PATTERN).build();
                made.map_err(|_| format!("/{pattern}/ is no pattern that can be used"))?;
            }
            AstNode::Function {
                name,
                args,
                is_builtin,
            } => {
                if !*is_builtin {
                    return Err(format!("{name} is no function; write ${name}"));
                }
                self.function(name)?;
                is_whole(name, args, 0)?;
                for (index, arg) in args.iter_mut().enumerate() {
                    self.walk(arg)?;
                    wrap(arg, measure_of(name, index));
                }
                return Ok(());
            }
            AstNode::Binary {
                op: BinaryOp::ColonEqual,
                rhs,
                ..
            } => {
                self.walk(rhs)?;
                wrap(rhs, MEASURED);
                return Ok(());
            }
            AstNode::Binary {
                op: BinaryOp::ChainPipe,
                lhs,
                rhs,
            } => return self.chain(lhs, rhs),
            _ => {}
        }
        children(node, &mut |child| self.walk(child))?;
        measure_parts(node);
        Ok(())
    }

    /// `a ~> $f(b)`: what is in front is the first argument.
    fn chain(&mut self, lhs: &mut AstNode, rhs: &mut AstNode) -> Result<(), String> {
        self.walk(lhs)?;
        let (called, args) = match rhs {
            AstNode::Function {
                name,
                args,
                is_builtin: true,
            } => (name, args.as_mut_slice()),
            AstNode::Variable(name) if matches!(name.as_str(), "distinct" | "join") => {
                (name, [].as_mut_slice())
            }
            other => {
                wrap(lhs, MEASURED);
                return self.walk(other);
            }
        };
        self.function(called)?;
        is_whole(called, args, 1)?;
        for arg in args {
            self.walk(arg)?;
            let by = if BY_NAME.contains(&called.as_str()) {
                SMALL
            } else {
                MEASURED
            };
            wrap(arg, by);
        }
        let by = match called.as_str() {
            "distinct" => FEW,
            "formatInteger" => SHORT,
            _ => MEASURED,
        };
        wrap(lhs, by);
        Ok(())
    }

    fn path(&mut self, steps: &mut [PathStep]) -> Result<(), String> {
        let mut before: Option<String> = None;
        for (index, step) in steps.iter_mut().enumerate() {
            let mut name_here = None;
            match &mut step.node {
                AstNode::Name(name) => {
                    // Names of headers are kept in small letters.
                    if before.as_deref() == Some("headers") {
                        name.make_ascii_lowercase();
                    }
                    self.name(name, before.as_deref());
                    name_here = Some(name.clone());
                }
                AstNode::Wildcard | AstNode::Descendant => {
                    self.all_of(if index == 0 { None } else { before.as_deref() });
                }
                other => self.walk(other)?,
            }
            for stage in &mut step.stages {
                if let Stage::Filter(filter) = stage {
                    self.walk(filter)?;
                }
            }
            before = name_here;
        }
        Ok(())
    }

    fn name(&mut self, name: &str, before: Option<&str>) {
        if name == "body" {
            if before == Some("request") {
                self.mentions.request_body = true;
            } else {
                self.mentions.message_body = true;
            }
        }
        self.mentions.names.insert(name.to_owned());
    }

    /// `*` and `**`, behind a name or behind what is not known.
    fn all_of(&mut self, before: Option<&str>) {
        self.mentions.everything = true;
        match before {
            Some("request") => self.mentions.request_body = true,
            Some("message") | None => self.mentions.message_body = true,
            Some(_) => {}
        }
    }

    fn variable(&mut self, name: &str) -> Result<(), String> {
        if matches!(name, "" | "$") {
            self.mentions.everything = true;
            return Ok(());
        }
        if self.bound.contains(name) {
            return Ok(());
        }
        if BY_NAME.contains(&name) && !matches!(name, "eval" | "xpath") {
            return Err(handed_on(name));
        }
        if OURS.contains(&name) || THEIRS.contains(&name) || name == "eval" || name == "xpath" {
            return self.function(name);
        }
        Err(format!("there is no variable ${name}"))
    }

    fn function(&mut self, name: &str) -> Result<(), String> {
        match name {
            "eval" => Err("$eval is not offered; what is evaluated has to be written out".to_owned()),
            "xpath" => Err("$xpath is not offered; bodies are not read as XML".to_owned()),
            _ if self.bound.contains(name) || THEIRS.contains(&name) => Ok(()),
            _ if OURS.contains(&name) => {
                self.mentions.everything |= name == "apiCtx";
                self.mentions.body_kind |= name == "storageType";
                self.mentions.functions.insert(name.to_owned());
                Ok(())
            }
            _ => Err(format!("there is no function ${name}")),
        }
    }
}

/// What is measured has to be there: `in_front` of the arguments, or among them.
fn is_whole(name: &str, args: &[AstNode], in_front: usize) -> Result<(), String> {
    if !BY_NAME.contains(&name) {
        return Ok(());
    }
    if args.iter().any(|arg| matches!(arg, AstNode::Placeholder)) {
        return Err(handed_on(name));
    }
    if name == "formatInteger" && args.len() + in_front < 2 {
        return Err(format!("${name} needs both of its arguments here"));
    }
    Ok(())
}

fn handed_on(name: &str) -> String {
    format!("${name} has to be called by its name, and cannot be handed on")
}

fn measure_parts(node: &mut AstNode) {
    match node {
        AstNode::Binary {
            op: BinaryOp::Concatenate | BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::In,
            lhs,
            rhs,
        } => {
            wrap(lhs, MEASURED);
            wrap(rhs, MEASURED);
        }
        AstNode::Array(items) | AstNode::ArrayGroup(items) => {
            items.iter_mut().for_each(|item| wrap(item, MEASURED));
        }
        AstNode::Object(pairs) | AstNode::ObjectTransform { pattern: pairs, .. } => {
            pairs.iter_mut().for_each(|(_, value)| wrap(value, MEASURED));
        }
        AstNode::Call { args, .. } => args.iter_mut().for_each(|arg| wrap(arg, MEASURED)),
        _ => {}
    }
}

/// What one item of a list can make many times as long is held small.
fn measure_of(function: &str, argument: usize) -> &'static str {
    match (function, argument) {
        ("distinct", _) => FEW,
        ("formatInteger", _) => SHORT,
        ("replace", 0) => MEASURED,
        ("pad" | "join" | "replace", _) => SMALL,
        _ => MEASURED,
    }
}

fn wrap(node: &mut AstNode, by: &str) {
    let is_known = match node {
        AstNode::String(_) | AstNode::Number(_) => !matches!(by, SMALL | SHORT),
        AstNode::Path { steps } => {
            let is_name = |step: &PathStep| matches!(step.node, AstNode::Name(_)) && step.stages.is_empty();
            by == MEASURED && steps.iter().all(is_name)
        }
        // Their parts are measured; behind a measure a list would be another one.
        AstNode::Array(_) | AstNode::ArrayGroup(_) | AstNode::Object(_) | AstNode::Name(_) => by == MEASURED,
        // A range has its own limit, and stands in a list.
        AstNode::Binary {
            op: BinaryOp::Range, ..
        }
        | AstNode::Boolean(_)
        | AstNode::Null
        | AstNode::Undefined
        | AstNode::Placeholder
        | AstNode::Regex { .. }
        | AstNode::Lambda { .. }
        | AstNode::Transform { .. } => true,
        _ => false,
    };
    if is_known {
        return;
    }
    let inner = std::mem::replace(node, AstNode::Undefined);
    *node = AstNode::Function {
        name: by.to_owned(),
        args: vec![inner],
        is_builtin: true,
    };
}
