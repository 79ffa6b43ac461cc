//! `headerUp` and `headerDown`: rules on header fields, compiled once.

mod map;
mod present;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::alphabet::TOKEN;
pub(crate) use present::{Name, Present};

/// Header fields that can be read.
pub trait HeaderView {
    /// The values of all lines of this name, in order.
    fn values(&self, name: HeaderName) -> impl Iterator<Item = &HeaderValue>;
    /// Every name; one that has several lines may come several times.
    fn names(&self) -> impl Iterator<Item = &str>;

    /// The value of the first line of this name.
    fn first(&self, name: HeaderName) -> Option<&HeaderValue> {
        self.values(name).next()
    }

    /// The bytes of [`values`](Self::values).
    fn lines(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.values(name).map(HeaderValue::as_bytes)
    }
}

/// Header fields that can be changed.
pub trait HeaderStore {
    /// Replaces every value of this name.
    fn set(&mut self, name: &str, value: &[u8]);
    /// Adds a line.
    fn append(&mut self, name: &str, value: &[u8]);
    /// Removes every line of this name, whatever its case.
    fn remove(&mut self, name: &str);
    /// The same of a name that need not be read again.
    fn remove_name(&mut self, name: &HeaderName) {
        self.remove(name.as_str());
    }
    /// Removes every line whose name is not kept.
    fn retain(&mut self, keep: &dyn Fn(&str) -> bool);

    /// Replaces every value of this name with one that need not be copied.
    fn put(&mut self, name: &'static str, value: HeaderValue) {
        self.set(name, value.as_bytes());
    }

    /// Adds a line that need not be copied.
    fn push(&mut self, name: &Bytes, value: &HeaderValue) {
        self.append(&String::from_utf8_lossy(name), value.as_bytes());
    }
}

/// Rules in the order in which they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderRules {
    rules: Box<[Rule]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Set {
        name: Box<str>,
        value: Box<[u8]>,
    },
    Append {
        name: Box<str>,
        value: Box<[u8]>,
    },
    Remove {
        name: Box<str>,
    },
    /// What is not between the stars is lower-case.
    RemovePrefix(Box<str>),
    RemoveSuffix(Box<str>),
    RemoveContaining(Box<str>),
}

// === impl HeaderRules ===

impl HeaderRules {
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Compiles the items of one list. The errors are the positions and sentences of the items that cannot be used.
    pub fn compile(items: &[String]) -> Result<Self, Vec<(usize, String)>> {
        let mut rules = Vec::with_capacity(items.len());
        let mut errors = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match Rule::parse(item) {
                Ok(rule) => rules.extend(rule),
                Err(reason) => errors.push((index, reason)),
            }
        }
        if errors.is_empty() {
            Ok(Self { rules: rules.into() })
        } else {
            Err(errors)
        }
    }

    pub fn apply(&self, store: &mut dyn HeaderStore) {
        for rule in &self.rules {
            rule.apply(store);
        }
    }
}

// === impl Rule ===

impl Rule {
    /// `None`: the item is valid and does nothing.
    fn parse(item: &str) -> Result<Option<Self>, String> {
        if item.is_empty() {
            return Ok(None);
        }
        if let Some(name) = item.strip_prefix('-') {
            return Self::parse_removal(name);
        }
        let (append, rest) = match item.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, item),
        };
        let (name, value) = match rest.split_once(' ') {
            Some((name, value)) => (name, Some(value)),
            None => (rest, None),
        };
        check_name(name)?;
        let Some(value) = value else { return Ok(None) };
        let value = unquote(value).trim_matches([' ', '\t']);
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(format!("the header value for {name} holds a control character"));
        }
        if is_reserved(name) {
            return Ok(None);
        }
        let (name, value) = (canonical_name(name), value.as_bytes().into());
        Ok(Some(if append {
            Self::Append { name, value }
        } else {
            Self::Set { name, value }
        }))
    }

    fn parse_removal(name: &str) -> Result<Option<Self>, String> {
        let (front, rest) = match name.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let (back, middle) = match rest.strip_suffix('*') {
            Some(middle) => (true, middle),
            None => (false, rest),
        };
        if middle.is_empty() && (front || back) {
            return Err(
                "a wildcard alone would remove every header; name a part, for example -X-Internal-*".into(),
            );
        }
        check_name(middle)?;
        let lower = || middle.to_ascii_lowercase().into();
        Ok(match (front, back) {
            (true, true) => Some(Self::RemoveContaining(lower())),
            (true, false) => Some(Self::RemoveSuffix(lower())),
            (false, true) => Some(Self::RemovePrefix(lower())),
            (false, false) if is_reserved(middle) => None,
            (false, false) => Some(Self::Remove { name: middle.into() }),
        })
    }

    fn apply(&self, store: &mut dyn HeaderStore) {
        match self {
            Self::Set { name, value } => store.set(name, value),
            Self::Append { name, value } => store.append(name, value),
            Self::Remove { name } => store.remove(name),
            Self::RemovePrefix(part) => store.retain(&|name| is_reserved(name) || !starts(name, part)),
            Self::RemoveSuffix(part) => store.retain(&|name| is_reserved(name) || !ends(name, part)),
            Self::RemoveContaining(part) => store.retain(&|name| is_reserved(name) || !contains(name, part)),
        }
    }
}

/// Does this header describe one connection, so that it is never forwarded?
pub fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Headers that carry the framing, belong to the connection or count the rounds of a request: they are the gateway's own,
/// and rules on them do nothing.
pub fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 3] = ["host", "content-length", "cdn-loop"];
    is_hop_by_hop(name) || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && TOKEN.covers(text.as_bytes())
}

fn check_name(name: &str) -> Result<(), String> {
    if is_token(name) {
        return Ok(());
    }
    let hint = if name.ends_with(':') {
        "; write the name without a colon"
    } else {
        ""
    };
    Err(format!("{name:?} is not a header name{hint}"))
}

/// `x-my-HDR` becomes `X-My-Hdr`.
fn canonical_name(name: &str) -> Box<str> {
    let mut upper = true;
    let canonical = |byte: u8| {
        let byte = if upper {
            byte.to_ascii_uppercase()
        } else {
            byte.to_ascii_lowercase()
        };
        upper = byte == b'-';
        char::from(byte)
    };
    name.bytes().map(canonical).collect::<String>().into()
}

/// One quote on each side goes if the value begins and ends with one; a lone quote is both.
fn unquote(value: &str) -> &str {
    match value.strip_prefix('"') {
        Some("") => "",
        Some(rest) => rest.strip_suffix('"').unwrap_or(value),
        None => value,
    }
}

fn starts(name: &str, part: &str) -> bool {
    name.get(..part.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(part))
}

fn ends(name: &str, part: &str) -> bool {
    let start = name.len().checked_sub(part.len());
    start
        .and_then(|at| name.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(part))
}

/// The part is lower-case. Both can have many KiB, and one from each side.
fn contains(name: &str, part: &str) -> bool {
    if name.len() < part.len() {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    memchr::memmem::find(lower.as_bytes(), part.as_bytes()).is_some()
}
