use std::collections::BTreeSet;

use crate::archive::has_ending;
use crate::kind::{Deploy, EntryType};
use crate::refusal::{Reason, Refused};
use crate::tree::Node;

use super::{Listed, NAME, invalid, unknown};

/// Characters of the name of an entry.
const LONGEST: usize = 50;
/// Between the orders of two entries that follow one another.
const STEP: i32 = 10;

pub(super) fn all(list: &[Node], files: &[&str], warnings: &mut Vec<String>) -> Result<Vec<Listed>, Refused> {
    let mut entries: Vec<Listed> = Vec::new();
    let mut names = BTreeSet::new();
    for (index, node) in list.iter().enumerate() {
        let place = format!("extension.files[{index}]");
        let Some(members) = node.as_map() else {
            return Err(invalid(&format!("{place} is not an object")));
        };
        let known = ["filename", "type", "deploy", "catalog"];
        unknown(members, &known, &format!("{place}."), warnings);
        let refuse = |what: String| invalid(&format!("{place}: {what}"));
        let mut entry = one(node, files, &entries).map_err(refuse)?;
        entry.name = free(&entry.file, &mut names);
        entry.order = i32::try_from(index + 1).unwrap_or(i32::MAX).saturating_mul(STEP);
        entries.push(entry);
    }
    let is_override = |(_, entry): &(usize, &Listed)| entry.kind == EntryType::GwdExtension;
    let mut overrides = entries.iter().enumerate().filter(is_override);
    if let (Some((first, _)), Some((second, _))) = (overrides.next(), overrides.next()) {
        let message =
            format!("{NAME}: only one gwd_extension is allowed, files[{first}] and files[{second}] are both");
        return Err(Reason::DuplicateSingleton.refuse(message));
    }
    Ok(entries)
}

/// An entry that has no name and no order yet.
fn one(node: &Node, files: &[&str], before: &[Listed]) -> Result<Listed, String> {
    let file = node.get("filename").ok_or("no filename")?;
    let file = file.as_text().ok_or("filename is not a string")?;
    let kind = node.get("type").ok_or("no type")?;
    let kind = kind_of(kind)?;
    if !files.contains(&file) {
        let near = near(file, files).map(|near| format!("; did you mean {near}?"));
        return Err(format!(
            "{file} is not in the archive{}",
            near.unwrap_or_default()
        ));
    }
    if let Some((ending, other)) = kind.endings()
        && !has_ending(file, ending)
        && !has_ending(file, other)
    {
        let kind = kind.as_str();
        return Err(format!("{kind} needs a {ending} file, {file} is none"));
    }
    if before.iter().any(|entry| entry.file == file) {
        return Err(format!("{file} is listed twice"));
    }
    let deploy = match node.get("deploy") {
        None => Deploy::default(),
        Some(node) => match node.as_text() {
            Some("immediate") => Deploy::Immediate,
            Some("deferred") => Deploy::Deferred,
            Some(_) | None => {
                let shown = node.shown();
                return Err(format!("deploy \"{shown}\" is neither immediate nor deferred"));
            }
        },
    };
    let catalogs = match node.get("catalog") {
        None => Vec::new(),
        Some(_) if kind != EntryType::PolicyV5 => {
            return Err("catalog is only for policy-v5".to_owned());
        }
        Some(node) => catalogs(node)
            .ok_or_else(|| "catalog is neither true, false, a name nor a list of names".to_owned())?,
    };
    Ok(Listed {
        name: String::new(),
        file: file.to_owned(),
        kind,
        deploy,
        order: 0,
        catalogs,
        scripts: Vec::new(),
    })
}

fn kind_of(node: &Node) -> Result<EntryType, String> {
    let known = EntryType::LISTED;
    let found = known.iter().find(|kind| node.as_text() == Some(kind.as_str()));
    found.copied().ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|kind| kind.as_str()).collect();
        let shown = node.shown();
        format!("type \"{shown}\" is unknown; known are {}", names.join(", "))
    })
}

/// Another file of the same base name.
fn near<'a>(file: &str, files: &[&'a str]) -> Option<&'a str> {
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let wanted = base(file);
    files.iter().copied().find(|path| base(path) == wanted)
}

fn catalogs(node: &Node) -> Option<Vec<String>> {
    match node {
        Node::Bool(true) => Some(vec!["@referenced".to_owned()]),
        Node::Bool(false) => Some(Vec::new()),
        Node::Text(name) => Some(vec![name.clone()]),
        Node::List(items) => items
            .iter()
            .map(|item| item.as_text().map(str::to_owned))
            .collect(),
        Node::Null | Node::Number(_) | Node::Map(_) => None,
    }
}

/// The name of an entry for a file, which no other has.
fn free(file: &str, names: &mut BTreeSet<String>) -> String {
    let name = name_of(file);
    let mut free = name.clone();
    let mut number = 2;
    while !names.insert(free.clone()) {
        free = format!("{name}-{number}");
        number += 1;
    }
    free
}

fn name_of(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or_default();
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    let mut name = String::new();
    for c in stem.to_lowercase().chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(LONGEST);
    let name = name.trim_end_matches('-');
    if name.is_empty() {
        "entry".to_owned()
    } else {
        name.to_owned()
    }
}
