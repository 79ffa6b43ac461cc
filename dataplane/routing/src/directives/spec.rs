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
