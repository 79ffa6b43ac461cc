//! Which members an expression mentions, so that nothing else is built for it.

use std::collections::BTreeMap;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// Of each root that is mentioned.
#[derive(Debug, Default)]
pub(super) struct Wants(BTreeMap<String, Want>);

/// Everything below, or some members of it.
#[derive(Debug)]
pub(super) enum Want {
    All,
    Members(BTreeMap<String, Want>),
}

pub(super) const ROOTS: [&str; 9] = [
    "request", "message", "response", "source", "auth", "vars", "params", "route", "now",
];

/// Names of types and of libraries, which are no variables.
const NAMES: [&str; 14] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "optional",
    "optional_type",
    "dyn",
    "google",
];

// === impl Wants ===

impl Wants {
    /// # Errors
    /// A name that means nothing.
    pub(super) fn of(tree: &IdedExpr) -> Result<Self, String> {
        let mut wants = Self::default();
        wants.walk(tree, &mut Vec::new())?;
        Ok(wants)
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &Want)> {
        self.0.iter().map(|(root, want)| (root.as_str(), want))
    }

    pub(super) fn has(&self, root: &str, member: &str) -> bool {
        match self.0.get(root) {
            None => false,
            Some(Want::All) => true,
            Some(Want::Members(members)) => members.contains_key(member),
        }
    }

    fn walk(&mut self, node: &IdedExpr, bound: &mut Vec<String>) -> Result<(), String> {
        if let Some(path) = path_of(node) {
            return self.mention(&path, bound);
        }
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.mention(&[name], bound),
            Expr::Call(call) => {
                if let Some(target) = &call.target {
                    self.walk(target, bound)?;
                }
                call.args.iter().try_for_each(|arg| self.walk(arg, bound))
            }
            Expr::List(list) => list.elements.iter().try_for_each(|item| self.walk(item, bound)),
            Expr::Map(map) => map
                .entries
                .iter()
                .try_for_each(|entry| self.entry(&entry.expr, bound)),
            Expr::Struct(made) => made
                .entries
                .iter()
                .try_for_each(|entry| self.entry(&entry.expr, bound)),
            Expr::Select(select) => self.walk(&select.operand, bound),
            Expr::Comprehension(comprehension) => {
                self.walk(&comprehension.iter_range, bound)?;
                self.walk(&comprehension.accu_init, bound)?;
                let before = bound.len();
                bound.push(comprehension.iter_var.clone());
                bound.extend(comprehension.iter_var2.clone());
                bound.push(comprehension.accu_var.clone());
                self.walk(&comprehension.loop_cond, bound)?;
                self.walk(&comprehension.loop_step, bound)?;
                self.walk(&comprehension.result, bound)?;
                bound.truncate(before);
                Ok(())
            }
        }
    }

    fn entry(&mut self, entry: &EntryExpr, bound: &mut Vec<String>) -> Result<(), String> {
        match entry {
            EntryExpr::StructField(field) => self.walk(&field.value, bound),
            EntryExpr::MapEntry(pair) => {
                self.walk(&pair.key, bound)?;
                self.walk(&pair.value, bound)
            }
        }
    }

    fn mention(&mut self, path: &[&str], bound: &[String]) -> Result<(), String> {
        let Some((root, members)) = path.split_first() else {
            return Ok(());
        };
        let root = root.trim_start_matches('.');
        if bound.iter().any(|name| name == root) || root.starts_with('@') {
            return Ok(());
        }
        if !ROOTS.contains(&root) {
            if NAMES.contains(&root) {
                return Ok(());
            }
            return Err(format!("{root} is not known; known are {}", ROOTS.join(", ")));
        }
        let mut want = self.0.entry(root.to_owned()).or_insert_with(Want::none);
        for member in members {
            match want {
                Want::All => return Ok(()),
                Want::Members(all) => {
                    want = all.entry((*member).to_owned()).or_insert_with(Want::none);
                }
            }
        }
        *want = Want::All;
        Ok(())
    }
}

// === impl Want ===

impl Want {
    fn none() -> Self {
        Self::Members(BTreeMap::new())
    }
}

/// `a.b["c"]` with texts that are written out: its names, root first.
fn path_of(node: &IdedExpr) -> Option<Vec<&str>> {
    match &node.expr {
        Expr::Ident(name) => Some(vec![name]),
        Expr::Select(select) => {
            let mut path = path_of(&select.operand)?;
            path.push(&select.field);
            Some(path)
        }
        Expr::Call(call)
            if [operators::INDEX, operators::OPT_INDEX, operators::OPT_SELECT]
                .contains(&call.func_name.as_str()) =>
        {
            let [operand, index] = call.args.as_slice() else {
                return None;
            };
            let Expr::Literal(LiteralValue::String(member)) = &index.expr else {
                return None;
            };
            let mut path = path_of(operand)?;
            path.push(member.inner());
            Some(path)
        }
        Expr::Unspecified
        | Expr::Call(_)
        | Expr::Comprehension(_)
        | Expr::List(_)
        | Expr::Literal(_)
        | Expr::Map(_)
        | Expr::Struct(_) => None,
    }
}
