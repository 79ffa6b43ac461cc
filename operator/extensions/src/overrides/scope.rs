use genkan_routing::model::policy::Select;

use crate::tree::Node;

use super::by_labels;

/// Which objects a part of a mapping is about, and what it says of them.
pub(super) struct Scope {
    pub path: String,
    pub select: Select,
    pub exclusive: bool,
    /// By sub-object.
    pub commands: Vec<(String, Vec<String>)>,
}

const INSTANCE: &str = "_instance";

/// The scopes of one mapping, in the order of the file.
pub(super) fn all(name: &str, node: &Node) -> Result<Vec<Scope>, String> {
    let mut scopes = Vec::new();
    for (key, node) in members(node, name)? {
        let path = format!("{name}/{key}");
        match key.as_str() {
            "_global" => leaf(node, &path, &[], None, &mut scopes)?,
            "_organization" => levels(node, &path, 1, &[], &mut scopes)?,
            "_catalog" => levels(node, &path, 2, &[], &mut scopes)?,
            "_product" => levels(node, &path, 3, &[], &mut scopes)?,
            INSTANCE => instances(node, &path, &[], &mut scopes)?,
            _ => return Err(format!("{path} is no scope")),
        }
    }
    Ok(scopes)
}

fn members<'a>(node: &'a Node, path: &str) -> Result<&'a [(String, Node)], String> {
    node.as_map().ok_or_else(|| format!("{path} is not an object"))
}

/// So many levels of names until the scope.
fn levels(
    node: &Node,
    path: &str,
    more: usize,
    values: &[&str],
    scopes: &mut Vec<Scope>,
) -> Result<(), String> {
    if more == 0 {
        return leaf(node, path, values, None, scopes);
    }
    for (key, node) in members(node, path)? {
        let values = [values, &[key.as_str()]].concat();
        levels(node, &format!("{path}/{key}"), more - 1, &values, scopes)?;
    }
    Ok(())
}

/// `NAME`, `ORG/CATALOG/NAME` or `ORG/CATALOG/PRODUCT/NAME`: it ends where sub-objects are.
fn instances(node: &Node, path: &str, values: &[&str], scopes: &mut Vec<Scope>) -> Result<(), String> {
    for (key, node) in members(node, path)? {
        let path = format!("{path}/{key}");
        if holds_sub_objects(members(node, &path)?) {
            match values.len() {
                0 | 2 | 3 => leaf(node, &path, values, Some(key), scopes)?,
                _ => return Err(format!("{path} is no scope")),
            }
        } else if values.len() < 3 {
            let values = [values, &[key.as_str()]].concat();
            instances(node, &path, &values, scopes)?;
        } else {
            return Err(format!("{path} is no scope"));
        }
    }
    Ok(())
}

fn holds_sub_objects(members: &[(String, Node)]) -> bool {
    let is_one = |(key, node): &(String, Node)| node.as_list().is_some() || key.starts_with('@');
    members.is_empty() || members.iter().any(is_one)
}

fn leaf(
    node: &Node,
    path: &str,
    values: &[&str],
    name: Option<&str>,
    scopes: &mut Vec<Scope>,
) -> Result<(), String> {
    let mut scope = Scope {
        path: path.to_owned(),
        select: by_labels(values, name),
        exclusive: false,
        commands: Vec::new(),
    };
    let mut narrower = Vec::new();
    for (key, node) in members(node, path)? {
        let path = format!("{path}/{key}");
        match key.as_str() {
            "@exclusive" => {
                let is = node.as_bool();
                scope.exclusive = is.ok_or_else(|| format!("{path} is neither true nor false"))?;
            }
            INSTANCE if name.is_none() => {
                for (pattern, node) in members(node, &path)? {
                    let path = format!("{path}/{pattern}");
                    leaf(node, &path, values, Some(pattern), &mut narrower)?;
                }
            }
            _ => {
                let texts = node.as_list().and_then(|items| {
                    let texts = items.iter().map(|item| item.as_text().map(str::to_owned));
                    texts.collect::<Option<Vec<_>>>()
                });
                let texts = texts.ok_or_else(|| format!("{path} is not a list of commands"))?;
                scope.commands.push((key.clone(), texts));
            }
        }
    }
    scopes.push(scope);
    scopes.append(&mut narrower);
    Ok(())
}
