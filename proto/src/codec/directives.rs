use genkan_routing::DirectiveSpec;

use crate::v1alpha1::Directives;

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
    }
}

/// A text that is empty was not written.
pub fn from_wire(wire: Directives) -> DirectiveSpec {
    let written = |text: String| (!text.is_empty()).then_some(text);
    DirectiveSpec {
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
