use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use genkan_proto::v1alpha1 as wire;
use genkan_routing::{DirectiveSpec, Directives};

use crate::metrics::Meter;
use crate::upstream::Upstream;

/// One published object, ready to serve.
#[derive(Debug)]
pub struct Route {
    pub object: wire::ResourceRef,
    /// `None` for kinds that have no directives, and for stubs.
    pub directives: Option<Directives>,
    pub spec: DirectiveSpec,
    pub action: Action,
    pub forward_authorization: bool,
    pub meter: Meter,
    /// Something bad was said about its backend and not yet taken back.
    is_suspect: AtomicBool,
}

#[derive(Debug)]
pub enum Action {
    Forward(Arc<Upstream>),
    /// Fails closed.
    Unavailable {
        reason: String,
        message: String,
    },
}

// === impl Route ===

impl Route {
    pub fn new(object: wire::ResourceRef, action: Action, meter: Meter) -> Self {
        Self {
            object,
            directives: None,
            spec: DirectiveSpec::default(),
            action,
            forward_authorization: false,
            meter,
            is_suspect: AtomicBool::new(false),
        }
    }

    /// As people write it: `ReverseProxy shop`.
    pub fn title(&self) -> String {
        let wire::ResourceRef {
            kind,
            namespace,
            name,
            ..
        } = &self.object;
        if namespace.is_empty() {
            format!("{kind} {name}")
        } else {
            format!("{kind} {namespace}/{name}")
        }
    }

    pub fn upstream(&self) -> Option<&Arc<Upstream>> {
        match &self.action {
            Action::Forward(upstream) => Some(upstream),
            Action::Unavailable { .. } => None,
        }
    }

    pub fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Relaxed);
    }

    /// Whether it was under suspicion until now.
    pub fn acquit(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed) && self.is_suspect.swap(false, Ordering::Relaxed)
    }

    pub fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }
}

/// The words of the stream in the terms of the library.
pub fn directive_spec(wire: &wire::Directives) -> DirectiveSpec {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    DirectiveSpec {
        method: some(&wire.method),
        strip_path_prefix: some(&wire.strip_path_prefix),
        strip_path_suffix: some(&wire.strip_path_suffix),
        header_up: wire.header_up.clone(),
        header_down: wire.header_down.clone(),
        rewrite: wire.rewrite.clone(),
        replace: wire.replace.clone(),
        path_regexp: wire.path_regexp.clone(),
        auth_proxy: wire.auth_proxy,
        wrap_transport: wire.wrap_transport,
        reject_forwarding_redirects: wire.reject_forwarding_redirects,
    }
}
