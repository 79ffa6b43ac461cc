//! Directives as authors write them.

use serde::{Deserialize, Serialize};

use crate::headers::is_token;

/// The field `directives` of a ReverseProxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectiveSpec {
    pub method: Option<String>,
    pub strip_path_prefix: Option<String>,
    pub strip_path_suffix: Option<String>,
    pub header_up: Vec<String>,
    pub header_down: Vec<String>,
    pub rewrite: Vec<String>,
    pub replace: Vec<String>,
    pub path_regexp: Vec<String>,
    pub auth_proxy: bool,
    pub wrap_transport: bool,
    pub reject_forwarding_redirects: bool,
    #[serde(skip_serializing_if = "RewriteLinks::is_off")]
    pub rewrite_links: RewriteLinks,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rewrite_body: Vec<BodyRule>,
}

/// How far the links of answers are moved below the public prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RewriteLinks {
    #[default]
    Off,
    /// Those that stand in headers, markup and style sheets.
    Markup,
    /// Those, too, that scripts make: pages get a script of genkan's.
    Full,
}

/// A text that is put in the place of another in bodies of a type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BodyRule {
    /// `application/json`, or `text/*`.
    pub content_type: String,
    pub from: String,
    pub to: String,
}

/// Why a directive cannot be used, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Relative to `spec`, for example `directives.headerUp[0]`.
    pub field: String,
    pub reason: String,
}

const MAX_RULES: usize = 64;
const MAX_ITEM: usize = 8 * 1024;
/// Every request holds what it is given, for as long as it lasts.
const MAX_HEADERS: usize = 64 * 1024;
const MAX_STRIP: usize = 1024;
const MAX_METHOD: usize = 32;
const MAX_BODY_RULES: usize = 8;
const MAX_BODY_TEXT: usize = 1024;
const MAX_CONTENT_TYPE: usize = 128;

// === impl RewriteLinks ===

impl RewriteLinks {
    pub fn is_off(&self) -> bool {
        *self == Self::Off
    }
}

// === impl BodyRule ===

impl BodyRule {
    /// Whether bodies of this type are meant: in lower case, without parameters.
    pub fn takes(&self, essence: &str) -> bool {
        match self.content_type.strip_suffix('*') {
            Some(start) => essence.starts_with(start),
            None => essence == self.content_type,
        }
    }

    /// The fields that cannot be used.
    fn problems(&self) -> impl Iterator<Item = (&'static str, String)> {
        let is_type = self
            .content_type
            .split_once('/')
            .is_some_and(|(of, subtype)| is_word(of) && (subtype == "*" || is_word(subtype)));
        let is_type = is_type && self.content_type.len() <= MAX_CONTENT_TYPE;
        let kind = (!is_type).then(|| {
            let written = &self.content_type;
            let reason = format!(
                "{written:?} is no type of a body; write one in lower case and without parameters, such as \
                 application/json or text/*"
            );
            ("contentType", reason)
        });
        let empty = self.from.is_empty().then(|| ("from", "is empty".to_owned()));
        let texts = [("from", &self.from), ("to", &self.to)];
        let long = texts.into_iter().filter_map(|(name, text)| {
            let reason = || format!("has {} bytes; at most {MAX_BODY_TEXT} are allowed", text.len());
            (text.len() > MAX_BODY_TEXT).then(|| (name, reason()))
        });
        kind.into_iter().chain(empty).chain(long)
    }
}

fn is_word(text: &str) -> bool {
    let is_inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$&^_.+-".contains(&byte);
    !text.is_empty() && text.bytes().all(is_inner)
}

// === impl Problem ===

impl Problem {
    pub(super) fn at(list: &str, index: usize, reason: impl Into<String>) -> Self {
        Self {
            field: format!("directives.{list}[{index}]"),
            reason: reason.into(),
        }
    }

    pub(super) fn of(field: &str, reason: impl Into<String>) -> Self {
        Self {
            field: format!("directives.{field}"),
            reason: reason.into(),
        }
    }
}

// === impl DirectiveSpec ===

impl DirectiveSpec {
    pub(super) fn check_limits(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let lists = [
            ("headerUp", &self.header_up),
            ("headerDown", &self.header_down),
            ("rewrite", &self.rewrite),
            ("replace", &self.replace),
            ("pathRegexp", &self.path_regexp),
        ];
        for (name, items) in lists {
            if items.len() > MAX_RULES {
                problems.push(Problem::of(
                    name,
                    format!("has {} items; at most {MAX_RULES} are allowed", items.len()),
                ));
            }
            for (index, item) in items.iter().enumerate().filter(|(_, item)| item.len() > MAX_ITEM) {
                let reason = format!("has {} bytes; at most {MAX_ITEM} are allowed", item.len());
                problems.push(Problem::at(name, index, reason));
            }
        }
        for (name, items) in [("headerUp", &self.header_up), ("headerDown", &self.header_down)] {
            let length: usize = items.iter().map(String::len).sum();
            if length > MAX_HEADERS {
                let reason = format!("has {length} bytes in all; at most {MAX_HEADERS} are allowed");
                problems.push(Problem::of(name, reason));
            }
        }
        let texts = [
            ("stripPathPrefix", &self.strip_path_prefix, MAX_STRIP),
            ("stripPathSuffix", &self.strip_path_suffix, MAX_STRIP),
            ("method", &self.method, MAX_METHOD),
        ];
        for (name, text, most) in texts {
            if let Some(length) = text.as_ref().map(String::len).filter(|length| *length > most) {
                problems.push(Problem::of(
                    name,
                    format!("has {length} bytes; at most {most} are allowed"),
                ));
            }
        }
        problems
    }

    pub(super) fn check_answers(&self, problems: &mut Vec<Problem>) {
        let count = self.rewrite_body.len();
        if count > MAX_BODY_RULES {
            let reason = format!("has {count} items; at most {MAX_BODY_RULES} are allowed");
            problems.push(Problem::of("rewriteBody", reason));
        }
        for (index, rule) in self.rewrite_body.iter().enumerate() {
            let of_rule = rule.problems();
            problems.extend(of_rule.map(|(name, reason)| Problem {
                field: format!("directives.rewriteBody[{index}].{name}"),
                reason,
            }));
        }
    }

    pub(super) fn check_method(&self, problems: &mut Vec<Problem>) {
        let Some(method) = self.method.as_deref().filter(|method| !method.is_empty()) else {
            return;
        };
        if !is_token(method) {
            problems.push(Problem::of("method", format!("{method:?} is not an HTTP method")));
        } else if ["CONNECT", "TRACE"]
            .iter()
            .any(|known| method.eq_ignore_ascii_case(known))
        {
            let reason =
                format!("{method:?} is not forwarded: no body can be framed with it; write another method");
            problems.push(Problem::of("method", reason));
        }
    }
}
