//! What Connectors and their classes are served with beyond one address.

use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_routing::connectors::{Class, Connector, Credential, Operations, Proxy, Role};
use genkan_routing::model::{self, ClassProxy, FeatureFlags, Secret};

use super::Builder;
use crate::tables::{Action, Route};
use crate::upstream::{Upstream, UpstreamError};

// === impl Builder ===

impl Builder {
    /// Puts switches in force.
    pub(super) fn switch(&mut self, flags: &FeatureFlags) {
        self.table.connectors.switch(flags);
    }

    /// `secret` is the value of the one that a Connector names.
    pub(super) fn role(
        &mut self,
        route: &model::Route,
        secret: Option<&Arc<Secret>>,
    ) -> Result<Role<Arc<Route>>, UpstreamError> {
        Ok(match &route.role {
            model::Role::None => Role::None,
            model::Role::Connector(connector) => Role::Connector(Box::new(Connector {
                class: connector.class.clone(),
                address: connector.address.clone(),
                extensions: self.destinations(route, &connector.extensions)?,
                auth: connector.auth.clone(),
                credential: match (&connector.credential, secret) {
                    (model::Credential::Problem(problem), _) => Credential::Problem(problem.clone()),
                    (model::Credential::Secret(key), Some(value)) => Credential::Secret {
                        title: key.title(),
                        value: Arc::clone(value),
                    },
                    // Without its value the route is a stub.
                    (model::Credential::Secret(_) | model::Credential::None, _) => Credential::None,
                },
            })),
            model::Role::Class(class) => Role::Class(Box::new(Class {
                operations: Operations::new(class.operations.iter().cloned()),
                auth: class.auth.clone(),
                extensions: self.destinations(route, &class.extensions)?,
                direct: self.destinations(route, &class.direct)?,
                proxy: match &class.proxy {
                    ClassProxy::None => Proxy::None,
                    ClassProxy::BuiltIn => Proxy::BuiltIn,
                    ClassProxy::Own(own) => Proxy::Own {
                        destination: self.destination(route, &own.upstream)?,
                        host_suffix: own.host_suffix.clone(),
                    },
                },
                permissions: class.permissions.clone(),
            })),
        })
    }

    fn destinations(
        &mut self,
        route: &model::Route,
        all: &BTreeMap<String, model::Upstream>,
    ) -> Result<BTreeMap<String, Arc<Route>>, UpstreamError> {
        all.iter()
            .map(|(name, to)| Ok((name.clone(), self.destination(route, to)?)))
            .collect()
    }

    /// Another place where requests go for the same object.
    fn destination(
        &mut self,
        route: &model::Route,
        to: &model::Upstream,
    ) -> Result<Arc<Route>, UpstreamError> {
        let Self {
            sets, names, parts, ..
        } = self;
        let upstream = Upstream::build(to, names, |key| sets.get(key), |key| parts.bundle(key))?;
        let described = model::Route {
            object: route.object.clone(),
            matcher: route.matcher.clone(),
            directives: None,
            action: model::Action::Forward(to.clone()),
            forward_authorization: false,
            secrets: Vec::new(),
            role: model::Role::None,
            policies: None,
        };
        let meter = self.metrics.meter(&route.object.key);
        let action = Action::Forward(Arc::new(upstream));
        Ok(Arc::new(Route::new(
            described,
            action,
            None,
            Vec::new(),
            Role::None,
            meter,
        )))
    }
}
