//! What works, but does nothing, or not what it reads like.

use genkan_routing::directives::{DirectiveSpec, Directives, Input, RewriteLinks};
use genkan_routing::headers::is_reserved;
use genkan_routing::identity::{is_impersonation_header, is_trusted_elsewhere, is_user_header};

use super::document::Document;
use super::{Level, Remark};

/// About an object that takes a path and a method below `/proxy`.
pub(super) fn proxied(
    document: &Document<'_>,
    (path, method): (&str, &str),
    rules: &DirectiveSpec,
    remarks: &mut Vec<Remark>,
) {
    let mut warn = |field: &str, message: String| {
        remarks.push(document.remark(Level::Warning, &format!("spec.{field}"), message));
    };
    if path.contains('%') {
        warn(
            "matcher.path",
            format!("{path:?} holds a percent sign; write the path decoded, only %2F stands for itself"),
        );
    }
    if path.trim_end_matches('*').contains('*') {
        warn(
            "matcher.path",
            "only a * at the end stands for anything; the others are literal".into(),
        );
    }
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        warn(
            "matcher.method",
            format!(
                "{:?} is compared with case; clients send {}",
                method,
                method.to_ascii_uppercase()
            ),
        );
    }
    if ["CONNECT", "TRACE"].contains(&method) {
        warn(
            "matcher.method",
            format!("no request matches: {method} is answered with 405"),
        );
    }
    if let Some(prefix) = rules
        .strip_path_prefix
        .as_deref()
        .filter(|prefix| !prefix.is_empty())
    {
        let literal = path.trim_end_matches('*');
        if !literal.starts_with(prefix) && !prefix.starts_with(literal) {
            warn(
                "directives.stripPathPrefix",
                format!("no path that matches {path} begins with {prefix}"),
            );
        }
    }
    unmoved(path, rules, &mut warn);
    headers("directives.headerUp", &rules.header_up, &mut warn);
    identities(rules, &mut warn);
    headers("directives.headerDown", &rules.header_down, &mut warn);
    for (list, items) in [
        ("rewrite", &rules.rewrite),
        ("replace", &rules.replace),
        ("pathRegexp", &rules.path_regexp),
    ] {
        for (index, item) in items.iter().enumerate() {
            let field = format!("directives.{list}[{index}]");
            let words = item.split(' ').count();
            if words < 2 {
                warn(
                    &field,
                    "has one word and does nothing; a rule is two words with a space between them".into(),
                );
            } else if words > 2 && !item.split(' ').skip(2).all(str::is_empty) {
                warn(
                    &field,
                    "has more than two words; what follows the second is ignored".into(),
                );
            }
            let pattern = item.split(' ').next().unwrap_or_default();
            if words > 1 && pattern.is_empty() && list != "rewrite" {
                warn(
                    &field,
                    "begins with a space and does nothing; write what to look for in front of it".into(),
                );
            }
            if list == "rewrite" && !pattern.contains('%') && pattern.chars().any(char::is_uppercase) {
                warn(
                    &field,
                    "never applies: the path is compared in lower case, so write the pattern in lower case"
                        .into(),
                );
            }
        }
    }
}

/// Links are moved below what stripPathPrefix takes off, or other rules of which that can be known.
fn unmoved(path: &str, rules: &DirectiveSpec, warn: &mut impl FnMut(&str, String)) {
    let prefix = path.trim_end_matches('*').trim_end_matches('/');
    let Ok(compiled) = Directives::compile(rules) else {
        return;
    };
    let by_rules = rules.strip_path_prefix.as_deref().unwrap_or_default().is_empty();
    if compiled.links.is_off() || prefix.is_empty() || (by_rules && compiled.prefix().is_some()) {
        return;
    }
    if compiled.links == RewriteLinks::Full && compiled.prefix().is_none() {
        warn(
            "directives.rewriteLinks",
            format!(
                "has no prefix to keep pages below: none is taken off every path; write stripPathPrefix: {prefix}, or leave \
                 it out for a backend that knows its prefix"
            ),
        );
    }
    let stripped = rules.strip_path_prefix.clone();
    let alone = |list: &str| DirectiveSpec {
        strip_path_prefix: stripped.clone(),
        rewrite: rules
            .rewrite
            .iter()
            .filter(|_| list == "rewrite")
            .cloned()
            .collect(),
        replace: rules
            .replace
            .iter()
            .filter(|_| list == "replace")
            .cloned()
            .collect(),
        path_regexp: rules
            .path_regexp
            .iter()
            .filter(|_| list == "pathRegexp")
            .cloned()
            .collect(),
        ..DirectiveSpec::default()
    };
    let Some(before) = sent(&alone(""), prefix) else {
        return;
    };
    for list in ["rewrite", "replace", "pathRegexp"] {
        let is_taken = sent(&alone(list), prefix).is_some_and(|after| {
            let kept = before.strip_suffix(PAGE).unwrap_or(&before);
            after.ends_with(PAGE) && !after.contains(kept)
        });
        if is_taken {
            warn(
                &format!("directives.{list}"),
                format!(
                    "takes a prefix off, but not the same one off every path, as far as that can be known, so links are not \
                     moved below it; write stripPathPrefix: {prefix} instead"
                ),
            );
        }
    }
}

/// The last segment of a path that every such object serves.
const PAGE: &str = "/genkan-lint";

/// What a backend is asked for, when a client asks for a page below this prefix.
fn sent(rules: &DirectiveSpec, prefix: &str) -> Option<String> {
    let directives = Directives::compile(rules).ok()?;
    let path = format!("{prefix}{PAGE}");
    let input = Input {
        method: "GET",
        path: &path,
        query: None,
        host: "",
    };
    let outgoing = directives.rewrite_request(input).ok()?;
    String::from_utf8(outgoing.target("")).ok()
}

fn headers(field: &str, items: &[String], warn: &mut impl FnMut(&str, String)) {
    for (index, item) in items.iter().enumerate() {
        let field = format!("{field}[{index}]");
        let rest = item.trim_start_matches(['-', '+']);
        let name = rest.split(' ').next().unwrap_or_default();
        if item.is_empty() || (!item.starts_with('-') && !rest.contains(' ')) {
            warn(
                &field,
                "has no value and does nothing; write \"Name value\", or \"-Name\" to remove a header".into(),
            );
        } else if name.eq_ignore_ascii_case("cdn-loop") {
            warn(
                &field,
                format!(
                    "does nothing: requests that go round are known by {name}, which genkan alone writes"
                ),
            );
        } else if is_reserved(name) {
            warn(
                &field,
                format!("does nothing: {name} belongs to the connection, which is genkan's own"),
            );
        }
    }
}

/// What says who somebody is, in whatever spelling a backend may read as such.
fn identities(rules: &DirectiveSpec, warn: &mut impl FnMut(&str, String)) {
    for (index, item) in rules.header_up.iter().enumerate() {
        let field = format!("directives.headerUp[{index}]");
        let Some((rest, _)) = item.split_once(' ').filter(|_| !item.starts_with('-')) else {
            continue;
        };
        let name = rest.trim_start_matches('+');
        if is_user_header(name) && rules.auth_proxy {
            warn(
                &field,
                format!(
                    "does nothing: with authProxy it is genkan that says who calls, and {name} is a name for that"
                ),
            );
        } else if is_user_header(name) || is_impersonation_header(name) {
            warn(
                &field,
                format!(
                    "tells the backend, for every request, that somebody else calls: {name} may be read as X-Remote-* or \
                     Impersonate-*; whoever applies it needs the right impersonate on users"
                ),
            );
        } else if rest.starts_with('+') && is_trusted_elsewhere(name) {
            warn(
                &field,
                format!(
                    "adds a line behind those of the client, and backends that trust {name} read the first one, which anybody can \
                     send; write it without the +, which replaces what the client sent"
                ),
            );
        }
    }
}
