use genkan_routing::answer::reason;
use genkan_routing::model::{
    Action, Matcher, ObjectKey, ObjectRef, Published, Role, Route, SecretKey, Unavailable,
};

use super::{connector, directives, policy, upstream};
use crate::v1alpha1::resource::Resource as Body;
use crate::v1alpha1::{
    self as wire, api_service, connector as wire_connector, connector_class, reverse_proxy,
};

/// Each kind has a message of its own, whatever the form of its match: who does not know the kind takes it for nothing else.
pub fn to_wire(route: &Route) -> Body {
    let forward_authorization = route.forward_authorization;
    match (&route.matcher, route.object.key.kind) {
        (
            Matcher::ReverseProxy { path, method },
            Published::ReverseProxy
            | Published::ApiService
            | Published::ConnectorClass
            | Published::Connector
            | Published::PolicyDefinition
            | Published::GatewayExtension,
        ) => Body::ReverseProxy(wire::ReverseProxy {
            path: path.clone(),
            method: method.clone(),
            directives: route.directives.as_ref().map(directives::to_wire),
            action: Some(match &route.action {
                Action::Forward(to) => reverse_proxy::Action::Upstream(upstream::to_wire(to)),
                Action::Unavailable(why) => reverse_proxy::Action::Unavailable(unavailable(why)),
            }),
            forward_authorization,
        }),
        (
            Matcher::ApiService { group, version },
            Published::ReverseProxy
            | Published::ApiService
            | Published::ConnectorClass
            | Published::Connector
            | Published::PolicyDefinition
            | Published::GatewayExtension,
        ) => Body::ApiService(wire::ApiService {
            group: group.clone(),
            version: version.clone(),
            action: Some(match &route.action {
                Action::Forward(to) => api_service::Action::Upstream(upstream::to_wire(to)),
                Action::Unavailable(why) => api_service::Action::Unavailable(unavailable(why)),
            }),
            forward_authorization,
        }),
        (
            Matcher::ConnectorClass { .. },
            Published::ReverseProxy
            | Published::ApiService
            | Published::ConnectorClass
            | Published::Connector
            | Published::PolicyDefinition
            | Published::GatewayExtension,
        ) => Body::ConnectorClass(wire::ConnectorClass {
            action: Some(match &route.action {
                Action::Forward(to) => connector_class::Action::Upstream(upstream::to_wire(to)),
                Action::Unavailable(why) => connector_class::Action::Unavailable(unavailable(why)),
            }),
            call: connector::class(&route.role),
        }),
        (
            Matcher::Connector { .. },
            Published::ReverseProxy
            | Published::ApiService
            | Published::ConnectorClass
            | Published::Connector
            | Published::PolicyDefinition
            | Published::GatewayExtension,
        ) => Body::Connector(wire::Connector {
            action: Some(match &route.action {
                Action::Forward(to) => wire_connector::Action::Upstream(upstream::to_wire(to)),
                Action::Unavailable(why) => wire_connector::Action::Unavailable(unavailable(why)),
            }),
            call: connector::call(&route.role),
        }),
    }
}

/// The keys of what it is served with.
pub fn secrets(route: &Route) -> Vec<String> {
    route.secrets.iter().map(SecretKey::to_string).collect()
}

/// A route as it came, but for its object.
pub struct Received {
    matcher: Matcher,
    directives: Option<wire::Directives>,
    /// An upstream, or why there is none.
    action: Option<Result<wire::Upstream, wire::Unavailable>>,
    forward_authorization: bool,
    /// What it is to the Connector API, or what makes no sense in that.
    role: Result<Role, String>,
}

// === impl Received ===

impl From<wire::ReverseProxy> for Received {
    fn from(proxy: wire::ReverseProxy) -> Self {
        Self {
            matcher: Matcher::ReverseProxy {
                path: proxy.path,
                method: proxy.method,
            },
            directives: proxy.directives,
            action: proxy.action.map(|action| match action {
                reverse_proxy::Action::Upstream(to) => Ok(to),
                reverse_proxy::Action::Unavailable(why) => Err(why),
            }),
            forward_authorization: proxy.forward_authorization,
            role: Ok(Role::None),
        }
    }
}

impl From<wire::ApiService> for Received {
    fn from(service: wire::ApiService) -> Self {
        Self {
            matcher: Matcher::ApiService {
                group: service.group,
                version: service.version,
            },
            directives: None,
            action: service.action.map(|action| match action {
                api_service::Action::Upstream(to) => Ok(to),
                api_service::Action::Unavailable(why) => Err(why),
            }),
            forward_authorization: service.forward_authorization,
            role: Ok(Role::None),
        }
    }
}

/// With the key of its resource.
impl From<(wire::ConnectorClass, &str)> for Received {
    fn from((class, key): (wire::ConnectorClass, &str)) -> Self {
        let name = key.parse().map(|key: ObjectKey| key.name);
        Self {
            matcher: Matcher::ConnectorClass {
                name: name.unwrap_or_default(),
            },
            directives: None,
            action: class.action.map(|action| match action {
                connector_class::Action::Upstream(to) => Ok(to),
                connector_class::Action::Unavailable(why) => Err(why),
            }),
            forward_authorization: false,
            role: class.call.map_or(Ok(Role::None), connector::class_from_wire),
        }
    }
}

/// With the key of its resource.
impl From<(wire::Connector, &str)> for Received {
    fn from((tool, key): (wire::Connector, &str)) -> Self {
        let named = key.parse().map(|key: ObjectKey| (key.namespace, key.name));
        let (namespace, name) = named.unwrap_or_default();
        Self {
            matcher: Matcher::Connector { namespace, name },
            directives: None,
            action: tool.action.map(|action| match action {
                wire_connector::Action::Upstream(to) => Ok(to),
                wire_connector::Action::Unavailable(why) => Err(why),
            }),
            forward_authorization: false,
            role: tool.call.map_or(Ok(Role::None), connector::call_from_wire),
        }
    }
}

impl Received {
    /// With what makes no sense in it, in one sentence; it is a stub then.
    pub fn read(
        self,
        object: ObjectRef,
        secrets: &[String],
        policies: Option<wire::Policies>,
    ) -> (Route, Option<String>) {
        let read = |key: &String| {
            SecretKey::parse(key).ok_or_else(|| format!("it is served with {key:?}, which is no Secret"))
        };
        let secrets: Result<Vec<SecretKey>, String> = secrets.iter().map(read).collect();
        let action = match self.action {
            Some(Ok(to)) => upstream::from_wire(to).map(Action::Forward),
            Some(Err(why)) => Ok(Action::Unavailable(Unavailable::new(why.reason, why.message))),
            None => Err("the operator sent neither an upstream nor a reason why there is none".to_owned()),
        };
        let (role, action) = match (self.role, action) {
            (Ok(role), action) => (role, action),
            (Err(problem), Ok(_)) => (Role::None, Err(problem)),
            (Err(_), Err(problem)) => (Role::None, Err(problem)),
        };
        let (secrets, action) = match (secrets, action) {
            (Ok(secrets), action) => (secrets, action),
            (Err(problem), Ok(Action::Forward(_))) => (Vec::new(), Err(problem)),
            (Err(_), action) => (Vec::new(), action),
        };
        let (policies, action) = match (policies.map(policy::policies_from_wire).transpose(), action) {
            (Ok(policies), action) => (policies, action),
            (Err(problem), Ok(Action::Forward(_))) => (None, Err(problem)),
            (Err(_), action) => (None, action),
        };
        let (action, problem) = match action {
            Ok(action) => (action, None),
            Err(problem) => {
                let why = Unavailable::new(reason::INVALID, problem.as_str());
                (Action::Unavailable(why), Some(problem))
            }
        };
        let route = Route {
            object,
            matcher: self.matcher,
            directives: self.directives.map(directives::from_wire),
            action,
            forward_authorization: self.forward_authorization,
            secrets,
            role: if problem.is_some() { Role::None } else { role },
            policies: policies.filter(|_| problem.is_none()).map(Box::new),
        };
        (route, problem)
    }
}

pub fn unavailable(why: &Unavailable) -> wire::Unavailable {
    wire::Unavailable {
        reason: why.reason.clone(),
        message: why.message.clone(),
    }
}
