use std::collections::BTreeSet;

use crate::limits::Limits;
use crate::refusal::{Reason, Refused};

/// Above this size the ratio of a file is judged.
const COMPRESSIBLE: u64 = 1 << 20;

/// A member as the directory of a zip claims it to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// `None`: the name is not UTF-8.
    pub path: Option<String>,
    pub size: u64,
    pub packed: u64,
    /// 0 is stored, 8 is deflated.
    pub method: u16,
    pub encrypted: bool,
    pub symlink: bool,
    /// Paths of the zips around it, the outermost first.
    pub within: Vec<String>,
}

/// What is kept of a list of members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Names as people are shown them: `outer.zip!inner.zip!path`.
    pub files: Vec<String>,
    /// Names of what nobody means to send.
    pub dropped: Vec<String>,
}

/// What was found of the members of all zips so far.
pub(super) struct Judging<'a> {
    limits: &'a Limits,
    taken: usize,
    total: u64,
    seen: BTreeSet<(Vec<String>, String)>,
    pub dropped: Vec<String>,
}

/// Judges members in the order of the directories, before anything is unpacked.
///
/// # Errors
///
/// The first that is never taken.
pub fn judge(members: &[Member], limits: &Limits) -> Result<Listing, Refused> {
    let mut judging = Judging::new(limits);
    let kept = judging.take(members)?;
    Ok(Listing {
        files: kept.into_iter().map(|(_, shown)| shown).collect(),
        dropped: judging.dropped,
    })
}

// === impl Judging ===

impl<'a> Judging<'a> {
    pub fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            taken: 0,
            total: 0,
            seen: BTreeSet::new(),
            dropped: Vec::new(),
        }
    }

    /// Those of more members that are kept: their place among these, and the name that people are shown.
    pub fn take(&mut self, members: &[Member]) -> Result<Vec<(usize, String)>, Refused> {
        let many = self.taken + members.len();
        if many > self.limits.files {
            return Err(refuse(format!(
                "{many} files, the limit is {}",
                self.limits.files
            )));
        }
        let mut kept = Vec::new();
        for (index, member) in members.iter().enumerate() {
            self.taken += 1;
            let Some(path) = &member.path else {
                let message = format!("the name of member {} is not UTF-8", self.taken);
                return Err(refuse(message));
            };
            let path = trimmed(path);
            let shown = shown(&member.within, path);
            if let Some(what) = name(path, self.limits) {
                return Err(refuse(format!("{shown}: {what}")));
            }
            if member.within.len() >= self.limits.depth {
                let depth = self.limits.depth;
                return Err(refuse(format!("{shown}: zips are nested deeper than {depth}")));
            }
            if path.ends_with('/') {
                continue;
            }
            if is_litter(path) {
                self.dropped.push(shown);
                continue;
            }
            if let Some(what) = self.file(member, path) {
                return Err(refuse(format!("{shown}: {what}")));
            }
            self.total = self.total.saturating_add(member.size);
            if self.total > self.limits.unpacked {
                let message = format!("more than {} bytes unpacked", self.limits.unpacked);
                return Err(refuse(message));
            }
            kept.push((index, shown));
        }
        Ok(kept)
    }

    /// What is wrong with a file whose name is none of the matter.
    fn file(&mut self, member: &Member, path: &str) -> Option<String> {
        if member.symlink {
            return Some("a symbolic link".to_owned());
        }
        if member.encrypted {
            return Some("it is encrypted".to_owned());
        }
        if !matches!(member.method, 0 | 8) {
            return Some(format!("compression method {} is not supported", member.method));
        }
        if !self.seen.insert((member.within.clone(), path.to_owned())) {
            return Some("it appears twice".to_owned());
        }
        if member.size > self.limits.file {
            let (size, most) = (member.size, self.limits.file);
            return Some(format!("{size} bytes, the limit for a file is {most}"));
        }
        let most = member.packed.saturating_mul(self.limits.ratio);
        (member.size > COMPRESSIBLE && member.size > most)
            .then(|| format!("packed more than {} to 1", self.limits.ratio))
    }
}

fn refuse(message: String) -> Refused {
    Reason::ArchiveInvalid.refuse(format!("archive: {message}"))
}

/// Files that systems leave behind.
pub(crate) fn is_litter(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let base = parts.next().unwrap_or_default();
    base == ".DS_Store"
        || base == "Thumbs.db"
        || base.starts_with("._")
        || parts.any(|folder| folder == "__MACOSX")
}

pub(super) fn trimmed(path: &str) -> &str {
    match path.strip_prefix("./") {
        Some("") | None => path,
        Some(rest) => rest,
    }
}

pub(super) fn shown(within: &[String], path: &str) -> String {
    let mut shown = String::new();
    for outer in within {
        shown.push_str(trimmed(outer));
        shown.push('!');
    }
    shown.push_str(path);
    shown
}

/// What is wrong with a path.
fn name(path: &str, limits: &Limits) -> Option<String> {
    if path.contains('\\') {
        return Some("a backslash in the name".to_owned());
    }
    let mut start = path.bytes();
    let has_drive = start.next().is_some_and(|byte| byte.is_ascii_alphabetic()) && start.next() == Some(b':');
    if path.starts_with('/') || has_drive {
        return Some("an absolute path".to_owned());
    }
    let folder = path.strip_suffix('/').unwrap_or(path);
    if path != "./" && folder.split('/').any(|part| matches!(part, "." | "..")) {
        return Some("a path with . or ..".to_owned());
    }
    if path.chars().any(char::is_control) {
        return Some("a control character in the name".to_owned());
    }
    if folder.split('/').any(str::is_empty) {
        return Some("an empty name".to_owned());
    }
    (path.len() > limits.path).then(|| format!("a path longer than {} bytes", limits.path))
}
