use genkan_routing::DirectiveSpec;
use genkan_routing::directives::{BodyRule, RewriteLinks};

use crate::v1alpha1::{self as wire, Directives};

pub fn to_wire(spec: &DirectiveSpec) -> Directives {
    let spec = spec.clone();
    Directives {
        method: spec.method.unwrap_or_default(),
        strip_path_prefix: spec.strip_path_prefix.unwrap_or_default(),
        strip_path_suffix: spec.strip_path_suffix.unwrap_or_default(),
        header_up: spec.header_up,
        header_down: spec.header_down,
        rewrite: spec.rewrite,
        replace: spec.replace,
        path_regexp: spec.path_regexp,
        auth_proxy: spec.auth_proxy,
        wrap_transport: spec.wrap_transport,
        reject_forwarding_redirects: spec.reject_forwarding_redirects,
        rewrite_links: match spec.rewrite_links {
            RewriteLinks::Off => wire::RewriteLinks::Off,
            RewriteLinks::Markup => wire::RewriteLinks::Markup,
            RewriteLinks::Full => wire::RewriteLinks::Full,
        }
        .into(),
        rewrite_body: spec.rewrite_body.into_iter().map(rule_to_wire).collect(),
    }
}

fn rule_to_wire(rule: BodyRule) -> wire::BodyRule {
    wire::BodyRule {
        content_type: rule.content_type,
        from: rule.from,
        to: rule.to,
    }
}

fn rule_from_wire(rule: wire::BodyRule) -> BodyRule {
    BodyRule {
        content_type: rule.content_type,
        from: rule.from,
        to: rule.to,
    }
}

/// A text that is empty was not written.
pub fn from_wire(wire: Directives) -> DirectiveSpec {
    let written = |text: String| (!text.is_empty()).then_some(text);
    let rewrite_links = match wire.rewrite_links() {
        wire::RewriteLinks::Off => RewriteLinks::Off,
        wire::RewriteLinks::Markup => RewriteLinks::Markup,
        wire::RewriteLinks::Full => RewriteLinks::Full,
    };
    DirectiveSpec {
        rewrite_links,
        rewrite_body: wire.rewrite_body.into_iter().map(rule_from_wire).collect(),
        method: written(wire.method),
        strip_path_prefix: written(wire.strip_path_prefix),
        strip_path_suffix: written(wire.strip_path_suffix),
        header_up: wire.header_up,
        header_down: wire.header_down,
        rewrite: wire.rewrite,
        replace: wire.replace,
        path_regexp: wire.path_regexp,
        auth_proxy: wire.auth_proxy,
        wrap_transport: wire.wrap_transport,
        reject_forwarding_redirects: wire.reject_forwarding_redirects,
    }
}
