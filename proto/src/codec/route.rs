use genkan_routing::answer::reason;
use genkan_routing::model::{Action, Matcher, ObjectRef, Published, Route, SecretKey, Unavailable};

use super::{directives, upstream};
use crate::v1alpha1::resource::Resource as Body;
use crate::v1alpha1::{self as wire, api_service, reverse_proxy};

/// Each kind has a message of its own, whatever the form of its match: who does not know the kind takes it for nothing else.
pub fn to_wire(route: &Route) -> Body {
    let forward_authorization = route.forward_authorization;
    match (&route.matcher, route.object.key.kind) {
        (Matcher::ReverseProxy { path, method }, Published::ReverseProxy | Published::ApiService) => {
            Body::ReverseProxy(wire::ReverseProxy {
                path: path.clone(),
                method: method.clone(),
                directives: route.directives.as_ref().map(directives::to_wire),
                action: Some(match &route.action {
                    Action::Forward(to) => reverse_proxy::Action::Upstream(upstream::to_wire(to)),
                    Action::Unavailable(why) => reverse_proxy::Action::Unavailable(unavailable(why)),
                }),
                forward_authorization,
            })
        }
        (Matcher::ApiService { group, version }, Published::ReverseProxy | Published::ApiService) => {
            Body::ApiService(wire::ApiService {
                group: group.clone(),
                version: version.clone(),
                action: Some(match &route.action {
                    Action::Forward(to) => api_service::Action::Upstream(upstream::to_wire(to)),
                    Action::Unavailable(why) => api_service::Action::Unavailable(unavailable(why)),
                }),
                forward_authorization,
            })
        }
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
        }
    }
}

impl Received {
    /// With what makes no sense in it, in one sentence; it is a stub then.
    pub fn read(self, object: ObjectRef, secrets: &[String]) -> (Route, Option<String>) {
        let read = |key: &String| {
            SecretKey::parse(key).ok_or_else(|| format!("it is served with {key:?}, which is no Secret"))
        };
        let secrets: Result<Vec<SecretKey>, String> = secrets.iter().map(read).collect();
        let action = match self.action {
            Some(Ok(to)) => upstream::from_wire(to).map(Action::Forward),
            Some(Err(why)) => Ok(Action::Unavailable(Unavailable::new(why.reason, why.message))),
            None => Err("the operator sent neither an upstream nor a reason why there is none".to_owned()),
        };
        let (secrets, action) = match (secrets, action) {
            (Ok(secrets), action) => (secrets, action),
            (Err(problem), Ok(Action::Forward(_))) => (Vec::new(), Err(problem)),
            (Err(_), action) => (Vec::new(), action),
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
        };
        (route, problem)
    }
}

fn unavailable(why: &Unavailable) -> wire::Unavailable {
    wire::Unavailable {
        reason: why.reason.clone(),
        message: why.message.clone(),
    }
}
