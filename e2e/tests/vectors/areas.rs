//! Which cases are carried out here.

use super::case::{Case, text};

pub enum Place {
    Here,
    LeftOut(&'static str),
    Unknown,
}

pub const HERE: &[&str] = &[
    "admission",
    "apiservice",
    "authorization",
    "availability",
    "directive.authProxy",
    "directive.headerDown",
    "directive.headerUp",
    "directive.method",
    "directive.order",
    "directive.pathRegexp",
    "directive.replace",
    "directive.rewrite",
    "directive.strip",
    "endpoint",
    "endpoint.basePath",
    "header.wildcard",
    "identity.spoofing",
    "identity.upgrade",
    "misc",
    "path.canonical",
    "path.empty",
    "path.refused",
    "placeholders",
    "query.raw",
    "redirect.barePrefix",
    "rejectForwardingRedirects",
    "reverseproxy.headers",
    "reverseproxy.matcher",
    "reverseproxy.precedence",
    "reverseproxy.response",
    "reverseproxy.state",
    "reverseproxy.tls",
    "reverseproxy.url",
    "rewrite.pattern",
    "upgrade",
    "wrapTransport",
];

const ELSEWHERE: &[(&str, &str)] = &[
    ("cleanPath", "a function; judged in process"),
    ("conflict", "about status; judged in process"),
    ("discovery", "comes with discovery"),
    ("multicluster", "needs Cluster objects"),
    ("requestInfo", "a function; judged in process"),
    ("resource-served", "needs Kubernetes"),
];

pub fn place(case: &Case) -> Place {
    if let Some((_, why)) = ELSEWHERE.iter().find(|(area, _)| *area == case.area) {
        return Place::LeftOut(why);
    }
    if !HERE.contains(&case.area.as_str()) {
        return Place::Unknown;
    }
    reason(case).map_or(Place::Here, Place::LeftOut)
}

fn reason(case: &Case) -> Option<&'static str> {
    let config = &case.json["config"];
    if config["clusters"].is_array() {
        return Some("needs Cluster objects");
    }
    if !config["fixtures"].is_null() || goes_to_kubernetes(case) {
        return Some("needs Kubernetes");
    }
    match case.area.as_str() {
        "endpoint" if case.json["admission"].is_null() => Some("needs private names; judged in process"),
        "rewrite.pattern" if !can_be_rule(case) => Some("cannot stand in a rule; judged in process"),
        _ => None,
    }
}

fn goes_to_kubernetes(case: &Case) -> bool {
    let reached = case.expect()["upstream"]
        .as_array()
        .is_some_and(|requests| !requests.is_empty());
    let target = text(&case.json["request"]["target"]);
    let door = target.split(['/', '?']).nth(1).unwrap_or_default();
    reached && ["api", "apis", "openapi", "version"].contains(&door)
}

/// A rule is split at spaces, and a path with a dot segment is refused before a pattern sees it.
fn can_be_rule(case: &Case) -> bool {
    let path = text(&case.json["requestTarget"]);
    let path = path.split('?').next().unwrap_or_default();
    !text(&case.json["pattern"]).contains(' ')
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}
