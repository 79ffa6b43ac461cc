use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use genkan_proto::v1alpha1 as wire;
use genkan_proto::v1alpha1::health::State;
use genkan_routing::{DirectiveSpec, Directives, access};

use crate::metrics::Meter;
use crate::upstream::Upstream;

/// One published object, ready to serve.
#[derive(Debug)]
pub struct Route {
    pub object: wire::ResourceRef,
    /// As people write it: `ReverseProxy shop`.
    pub title: Arc<str>,
    /// `None` for kinds that have no directives, and for stubs.
    pub directives: Option<Directives>,
    pub spec: DirectiveSpec,
    pub action: Action,
    pub forward_authorization: bool,
    pub door: Door,
    pub meter: Meter,
    /// Something bad was said about its backend and not yet taken back.
    suspicion: AtomicI32,
}

/// Through which door requests come to it.
#[derive(Debug)]
pub enum Door {
    /// With the path of its matcher as it was written.
    ReverseProxy {
        path: String,
    },
    ApiService,
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

const TRUSTED: i32 = State::Unspecified as i32;

// === impl Route ===

impl Route {
    pub fn new(object: wire::ResourceRef, door: Door, action: Action, meter: Meter) -> Self {
        let title = title(&object).into();
        Self {
            object,
            title,
            directives: None,
            spec: DirectiveSpec::default(),
            action,
            forward_authorization: false,
            door,
            meter,
            suspicion: AtomicI32::new(TRUSTED),
        }
    }

    /// Whether its backend is told who calls.
    pub fn introduces_caller(&self) -> bool {
        match self.door {
            Door::ApiService => true,
            Door::ReverseProxy { .. } => self.spec.auth_proxy,
        }
    }

    /// The door in the terms of the library.
    pub fn access_door(&self) -> access::Door<'_> {
        match &self.door {
            Door::ReverseProxy { path } => access::Door::ReverseProxy { path },
            Door::ApiService => access::Door::ApiService,
        }
    }

    pub fn upstream(&self) -> Option<&Arc<Upstream>> {
        match &self.action {
            Action::Forward(upstream) => Some(upstream),
            Action::Unavailable { .. } => None,
        }
    }

    pub fn suspect(&self, state: State) {
        self.suspicion.store(state.into(), Ordering::Relaxed);
    }

    /// What is held against its backend; unspecified when nothing is.
    pub fn suspicion(&self) -> State {
        State::try_from(self.suspicion.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Whether it was under suspicion until now.
    pub fn acquit(&self) -> bool {
        self.is_suspect() && self.suspicion.swap(TRUSTED, Ordering::Relaxed) != TRUSTED
    }

    pub fn is_suspect(&self) -> bool {
        self.suspicion.load(Ordering::Relaxed) != TRUSTED
    }
}

fn title(object: &wire::ResourceRef) -> String {
    let wire::ResourceRef {
        kind,
        namespace,
        name,
        ..
    } = object;
    if namespace.is_empty() {
        format!("{kind} {name}")
    } else {
        format!("{kind} {namespace}/{name}")
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
