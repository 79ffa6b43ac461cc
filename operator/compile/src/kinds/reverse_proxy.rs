use genkan_crds::{Directives, ReverseProxySpec, Upstream};
use genkan_routing::directives::{BodyRule, DirectiveSpec, RewriteLinks};
use genkan_routing::matcher::method_problem;
use genkan_routing::model::{Matcher, ObjectKey};
use genkan_routing::public::{Fronting, HostMode, is_authority};
use serde::Deserialize;
use serde_json::Value;

use super::{Form, Spec, Tool, policies, text};

pub(super) static FORM: Form = Form {
    endpoint: "spec.upstream",
    matched: "spec.matcher.path",
    column: "upstream",
    group: genkan_crds::GROUP,
    plural: "reverseproxies",
    is_namespaced: false,
    is_optional: false,
    read,
    matcher,
    remarks,
};

fn read(spec: &Value) -> serde_json::Result<Spec> {
    let policies = policies(spec)?;
    let spec = ReverseProxySpec::deserialize(spec)?;
    let mut problems = Vec::new();
    if spec.matcher.method.is_empty() {
        problems.push("spec.matcher.method: is empty; give a method, or * for any".to_owned());
    }
    let fronting = fronting(&spec.upstream, &mut problems);
    Ok(Spec {
        endpoint: spec.upstream.endpoint,
        fronting,
        directives: spec.directives.map(|spec| rules(spec, &mut problems)),
        forward_authorization: spec.forward_authorization.unwrap_or(false),
        problems,
        policies,
        tool: Tool::None,
    })
}

fn matcher(_: &ObjectKey, spec: &Value) -> Option<Matcher> {
    let method = text(spec, "/matcher/method").filter(|method| !method.is_empty())?;
    let path = match spec.pointer("/matcher/path") {
        Some(path) => path.as_str()?.to_owned(),
        None => String::new(),
    };
    Some(Matcher::ReverseProxy { path, method })
}

fn remarks(spec: &Value) -> Vec<(&'static str, String)> {
    let method = spec.pointer("/matcher/method").and_then(Value::as_str);
    let problem = method.and_then(method_problem);
    problem
        .map(|problem| ("spec.matcher.method", problem))
        .into_iter()
        .collect()
}

/// What the backend is to see of the front. An API server has looked at it; a file may say anything.
fn fronting(upstream: &Upstream, problems: &mut Vec<String>) -> Fronting {
    let keeps_origin = match upstream.origin.as_deref() {
        None | Some("Translate") => false,
        Some("Keep") => true,
        Some(other) => {
            problems.push(format!(
                "spec.upstream.origin: {other:?} is unknown; give Translate or Keep"
            ));
            false
        }
    };
    let host = upstream.host.clone().unwrap_or_default();
    let host = match (host.mode.as_deref(), host.name) {
        (Some("Name"), Some(name)) if is_authority(&name) => HostMode::Name(name),
        (Some("Name"), Some(name)) => {
            problems.push(format!(
                "spec.upstream.host.name: {name:?} is no host, perhaps with a port"
            ));
            HostMode::Own
        }
        (Some("Name"), None) => {
            problems.push("spec.upstream.host: mode Name needs a name".to_owned());
            HostMode::Own
        }
        (None | Some("Own" | "Preserve"), Some(_)) => {
            problems.push("spec.upstream.host: a name goes with mode Name".to_owned());
            HostMode::Own
        }
        (None | Some("Own"), None) => HostMode::Own,
        (Some("Preserve"), None) => HostMode::Preserve,
        (Some(other), _) => {
            problems.push(format!(
                "spec.upstream.host.mode: {other:?} is unknown; give Own, Preserve or Name"
            ));
            HostMode::Own
        }
    };
    Fronting { host, keeps_origin }
}

/// The directives in the words of the routing library.
fn rules(spec: Directives, problems: &mut Vec<String>) -> DirectiveSpec {
    let wraps = spec.wrap_transport.unwrap_or(false);
    let rewrite_links = match spec.rewrite_links.as_deref() {
        Some("Off") if wraps => {
            problems.push(
                "spec.directives.rewriteLinks: wrapTransport moves links, and Off would not; leave one of them out"
                    .to_owned(),
            );
            RewriteLinks::Off
        }
        None | Some("Off") => RewriteLinks::Off,
        Some("Markup") => RewriteLinks::Markup,
        Some("Full") => RewriteLinks::Full,
        Some(other) => {
            problems.push(format!(
                "spec.directives.rewriteLinks: {other:?} is unknown; give Off, Markup or Full"
            ));
            RewriteLinks::Off
        }
    };
    let rule = |rule: genkan_crds::BodyRule| BodyRule {
        content_type: rule.content_type,
        from: rule.from,
        to: rule.to,
    };
    let rewrite_body = spec.rewrite_body.unwrap_or_default();
    DirectiveSpec {
        rewrite_links,
        rewrite_body: rewrite_body.into_iter().map(rule).collect(),
        method: spec.method,
        strip_path_prefix: spec.strip_path_prefix,
        strip_path_suffix: spec.strip_path_suffix,
        header_up: spec.header_up.unwrap_or_default(),
        header_down: spec.header_down.unwrap_or_default(),
        rewrite: spec.rewrite.unwrap_or_default(),
        replace: spec.replace.unwrap_or_default(),
        path_regexp: spec.path_regexp.unwrap_or_default(),
        auth_proxy: spec.auth_proxy.unwrap_or(false),
        wrap_transport: wraps,
        reject_forwarding_redirects: spec.reject_forwarding_redirects.unwrap_or(false),
    }
}
