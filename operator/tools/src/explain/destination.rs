//! A published object, as the decision wants it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use genkan_policies::Plan;
use genkan_routing::Directives;
use genkan_routing::connectors::{Class, Connector, Credential, Operations, Proxy, Role};
use genkan_routing::decide::{self, Backend};
use genkan_routing::model::{
    self, Action, ClassProxy, Matcher, Route, Secret, SecretKey, Unavailable, Upstream,
};

use super::policies::Planned;

/// Values of Secrets that could be read.
pub(super) type Secrets = BTreeMap<SecretKey, Arc<Secret>>;

/// A route, and its directives once somebody asked for them: an answer is about one route of many.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) route: Route,
    title: String,
    role: Role<Arc<Self>>,
    /// Absent where there are no policies.
    planned: Option<Planned>,
    /// Absent for kinds that have none.
    directives: OnceLock<Result<Option<Directives>, Unavailable>>,
}

// === impl Destination ===

impl Destination {
    /// `secrets` are those that could be read.
    pub(super) fn new(route: Route, secrets: &Secrets) -> Self {
        Self {
            title: route.object.key.title(),
            role: role(&route, secrets),
            planned: None,
            route,
            directives: OnceLock::new(),
        }
    }

    pub(super) fn with_plan(self, plan: Option<Plan>) -> Self {
        Self {
            planned: plan.map(|plan| Planned(Arc::new(plan))),
            ..self
        }
    }

    /// Where it has any that can be used.
    pub(super) fn own_directives(&self) -> Option<&Directives> {
        self.directives().ok().flatten()
    }

    fn directives(&self) -> Result<Option<&Directives>, &Unavailable> {
        let compiled = self.directives.get_or_init(|| compile(&self.route));
        compiled.as_ref().map(Option::as_ref)
    }
}

impl decide::Destination for Destination {
    type Handle = Arc<Self>;
    type Policies = Planned;

    fn policies(&self) -> Option<Planned> {
        self.planned.clone()
    }

    fn role(&self) -> &Role<Arc<Self>> {
        &self.role
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn matcher(&self) -> &Matcher {
        &self.route.matcher
    }

    fn introduces_caller(&self) -> bool {
        self.route.introduces_caller()
    }

    fn forwards_authorization(&self) -> bool {
        self.route.forward_authorization
    }

    fn backend(&self) -> Result<Backend<'_>, &Unavailable> {
        match &self.route.action {
            Action::Forward(upstream) => Ok(Backend {
                base_path: &upstream.base_path,
                directives: self.directives()?,
            }),
            Action::Unavailable(why) => Err(why),
        }
    }
}

/// What it is to the Connector API.
fn role(route: &Route, secrets: &Secrets) -> Role<Arc<Destination>> {
    let at = |upstream: &Upstream| {
        let route = Route {
            action: Action::Forward(upstream.clone()),
            role: model::Role::None,
            ..route.clone()
        };
        Arc::new(Destination::new(route, secrets))
    };
    let all =
        |all: &BTreeMap<String, Upstream>| all.iter().map(|(name, to)| (name.clone(), at(to))).collect();
    match &route.role {
        model::Role::None => Role::None,
        model::Role::Connector(connector) => Role::Connector(Box::new(Connector {
            class: connector.class.clone(),
            address: connector.address.clone(),
            extensions: all(&connector.extensions),
            auth: connector.auth.clone(),
            credential: match &connector.credential {
                model::Credential::None => Credential::None,
                model::Credential::Problem(problem) => Credential::Problem(problem.clone()),
                model::Credential::Secret(key) => match secrets.get(key) {
                    Some(value) => Credential::Secret {
                        title: key.title(),
                        value: Arc::clone(value),
                    },
                    None => Credential::Problem(format!("{} could not be read here", key.title())),
                },
            },
        })),
        model::Role::Class(class) => Role::Class(Box::new(Class {
            operations: Operations::new(class.operations.iter().cloned()),
            auth: class.auth.clone(),
            extensions: all(&class.extensions),
            direct: all(&class.direct),
            proxy: match &class.proxy {
                ClassProxy::None => Proxy::None,
                ClassProxy::BuiltIn => Proxy::BuiltIn,
                ClassProxy::Own(own) => Proxy::Own {
                    destination: at(&own.upstream),
                    host_suffix: own.host_suffix.clone(),
                },
            },
            permissions: class.permissions.clone(),
        })),
    }
}

fn compile(route: &Route) -> Result<Option<Directives>, Unavailable> {
    match route.matcher {
        Matcher::ReverseProxy { .. } => {}
        Matcher::ApiService { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => {
            return Ok(None);
        }
    }
    let spec = route.directives.clone().unwrap_or_default();
    Directives::compile(&spec).map(Some).map_err(|problems| {
        let reasons = problems.iter().map(|p| format!("{}: {}", p.field, p.reason));
        Unavailable::new("Invalid", reasons.collect::<Vec<_>>().join("; "))
    })
}
