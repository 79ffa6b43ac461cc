use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use genkan_routing::Directives;
use genkan_routing::connectors::Role;
use genkan_routing::model::{self, BackendState, Matcher, ObjectRef, Secret, Unavailable};

use super::Linked;
use crate::metrics::Meter;
use crate::upstream::Upstream;

/// One published object, ready to serve.
#[derive(Debug)]
pub struct Route {
    pub object: ObjectRef,
    /// As people write it: `ReverseProxy shop`.
    pub title: Arc<str>,
    /// `None` for kinds that have no directives, and for stubs.
    pub directives: Option<Directives>,
    pub action: Action,
    pub forward_authorization: bool,
    /// What it is served with, in the order in which it names them; empty for stubs.
    pub secrets: Box<[Arc<Secret>]>,
    /// Its backend is told who calls.
    pub introduces_caller: bool,
    pub matcher: Matcher,
    /// What it is to the Connector API, and further places where requests go for it.
    pub role: Role<Arc<Route>>,
    /// What its author wants to be done with its requests; absent where that is nothing.
    pub policies: Option<Arc<model::Policies>>,
    /// The same with what administrators add, as it is now: what it is linked with changes by itself. Absent where nothing
    /// is done.
    pub linked: ArcSwapOption<Linked>,
    pub meter: Meter,
    /// Something bad was said about its backend and not yet taken back.
    suspicion: AtomicU8,
    /// When its credential was last noted as used; seconds since 1970.
    used_at: AtomicU64,
}

#[derive(Debug)]
pub enum Action {
    Forward(Arc<Upstream>),
    /// Fails closed.
    Unavailable(Unavailable),
}

/// Uses within so many seconds are one.
const USE: u64 = 60;
const TRUSTED: u8 = 0;
const SUSPICIONS: [BackendState; 3] = [
    BackendState::Unresolved,
    BackendState::Unreachable,
    BackendState::TlsFailed,
];

// === impl Action ===

impl Action {
    /// Why it fails closed, if it does.
    pub fn unavailable(&self) -> Option<&Unavailable> {
        match self {
            Self::Forward(_) => None,
            Self::Unavailable(why) => Some(why),
        }
    }
}

// === impl Route ===

impl Route {
    /// `model` is what `action` and `directives` were built from.
    pub fn new(
        model: model::Route,
        action: Action,
        directives: Option<Directives>,
        secrets: Vec<Arc<Secret>>,
        role: Role<Arc<Route>>,
        meter: Meter,
    ) -> Self {
        Self {
            title: model.object.key.title().into(),
            introduces_caller: model.introduces_caller(),
            forward_authorization: model.forward_authorization,
            object: model.object,
            matcher: model.matcher,
            directives,
            action,
            secrets: secrets.into(),
            role,
            policies: model.policies.map(|policies| Arc::new(*policies)),
            linked: ArcSwapOption::empty(),
            meter,
            suspicion: AtomicU8::new(TRUSTED),
            used_at: AtomicU64::new(0),
        }
    }

    pub fn upstream(&self) -> Option<&Arc<Upstream>> {
        match &self.action {
            Action::Forward(upstream) => Some(upstream),
            Action::Unavailable(_) => None,
        }
    }

    /// It is a Connector, or a class of them.
    pub fn is_of_connectors(&self) -> bool {
        match self.matcher {
            Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => true,
            Matcher::ReverseProxy { .. } | Matcher::ApiService { .. } => false,
        }
    }

    /// All places where requests go for it.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let others: Vec<&Arc<Route>> = match &self.role {
            Role::None => Vec::new(),
            Role::Connector(connector) => connector.extensions.values().collect(),
            Role::Class(class) => class.destinations().collect(),
        };
        let others = others.into_iter().filter_map(|route| route.upstream());
        self.upstream().into_iter().chain(others)
    }

    /// Its credential is used now, in seconds since 1970: whether that is to be noted.
    pub fn is_used(&self, now: u64) -> bool {
        let before = self.used_at.load(Ordering::Relaxed);
        let is_new = now.saturating_sub(before) >= USE;
        is_new
            && self
                .used_at
                .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Holds something against its backend.
    pub fn suspect(&self, state: BackendState) {
        let at = SUSPICIONS.iter().position(|suspicion| *suspicion == state);
        let code = at.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(TRUSTED);
        self.suspicion.store(code, Ordering::Relaxed);
    }

    /// What is held against its backend.
    pub fn suspicion(&self) -> Option<BackendState> {
        let code = usize::from(self.suspicion.load(Ordering::Relaxed));
        SUSPICIONS.get(code.checked_sub(1)?).copied()
    }

    /// Whether it was under suspicion until now.
    pub fn acquit(&self) -> bool {
        self.is_suspect() && self.suspicion.swap(TRUSTED, Ordering::Relaxed) != TRUSTED
    }

    pub fn is_suspect(&self) -> bool {
        self.suspicion.load(Ordering::Relaxed) != TRUSTED
    }
}
