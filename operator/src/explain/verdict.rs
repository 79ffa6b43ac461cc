//! The decision, step by step as the data plane takes it.

use genkan_proto::v1alpha1::{Unavailable, Upstream, api_service, reverse_proxy};
use genkan_routing::access::{Door, Questions};
use genkan_routing::identity::{forbidden_nomination, is_impersonation_header, tokens};
use genkan_routing::{Decision, Input, RequestInfo, Target, repair_query};
use serde::Serialize;

use super::candidates::{self, Candidate};
use super::sending::{self, Forward};
use super::{Caller, Request, World};

/// How the request ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Outcome {
    /// A backend gets it.
    Forward(Box<Forward>),
    /// The client is sent elsewhere.
    Redirect { code: u16, location: String },
    /// genkan answers by itself from what is published.
    Discovery { what: String },
    /// genkan refuses, with this code, `x-genkan-reason` and message.
    Refuse {
        code: u16,
        reason: String,
        message: String,
    },
}

/// An outcome, and what led to it.
pub(super) struct Judged {
    pub(super) path: Option<String>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) outcome: Outcome,
}

/// The object that takes the request.
pub(super) struct Route<'w> {
    pub(super) title: String,
    pub(super) directives: Option<&'w genkan_proto::v1alpha1::Directives>,
    /// The backend is told who calls.
    pub(super) tells_identity: bool,
    /// The backend gets the token that was verified.
    pub(super) forwards_token: bool,
    door: Door<'w>,
    action: Action<'w>,
}

enum Action<'w> {
    Forward(&'w Upstream),
    Unavailable(&'w Unavailable),
}

/// More proxies than that in front are a loop.
const MOST_HOPS: usize = 20;

/// Why there is no way on: an answer, or nobody who could say.
enum Stop {
    Answer(Outcome),
    Unknown(anyhow::Error),
}

pub(super) fn judge(
    world: &World,
    request: &Request,
    caller: Option<&Caller>,
) -> Result<Judged, anyhow::Error> {
    let mut judged = Judged {
        path: None,
        candidates: Vec::new(),
        outcome: refuse(404, "NoRouteMatched", "nothing is published under this path"),
    };
    judged.outcome = match decide(world, request, caller, &mut judged) {
        Ok(outcome) | Err(Stop::Answer(outcome)) => outcome,
        Err(Stop::Unknown(error)) => return Err(error),
    };
    Ok(judged)
}

fn decide(
    world: &World,
    request: &Request,
    caller: Option<&Caller>,
    judged: &mut Judged,
) -> Result<Outcome, Stop> {
    let target =
        Target::parse(&request.target).map_err(|refusal| refuse(400, "PathRefused", refusal.to_string()))?;
    judged.path = Some(target.path.clone().into_owned());
    for token in request.values("connection").flat_map(tokens) {
        let token = String::from_utf8_lossy(token);
        if forbidden_nomination(&token) {
            let message = format!("the header Connection must not name {token}");
            return Err(refuse(400, "ConnectionRefused", message).into());
        }
    }
    let hops = request.values("x-forwarded-for").flat_map(tokens).count();
    if hops > MOST_HOPS {
        let message = format!(
            "X-Forwarded-For names {hops} proxies, more than {MOST_HOPS}: the request goes round in a loop"
        );
        return Err(refuse(508, "LoopDetected", message).into());
    }
    let query = query(request, target.query);
    let info = RequestInfo::parse(&request.method, &target.path, query.as_deref())
        .map_err(|error| refuse(error.code(), "RequestNotUnderstood", error.to_string()))?;
    let for_kubernetes = info.is_kubernetes && info.cluster.is_empty();
    if !for_kubernetes
        && request
            .headers
            .iter()
            .any(|(name, _)| is_impersonation_header(name))
    {
        let message = "impersonation is supported only for requests to Kubernetes itself; send the request without Impersonate headers";
        return Err(refuse(403, "ImpersonationNotSupported", message).into());
    }
    let decision = world.doors.decide(&request.method, &info, query.as_deref());
    judged.candidates = match &decision {
        Decision::Cluster { .. } | Decision::Kubernetes => Vec::new(),
        _ if info.is_resource => candidates::api_services(world, info.group, info.version),
        Decision::ApiService(at) => world
            .api_service(**at)
            .map(|service| candidates::api_services(world, &service.group, &service.version))
            .unwrap_or_default(),
        _ => candidates::reverse_proxies(world, &request.method, &info),
    };
    let route = match decision {
        Decision::ReverseProxy(at) => world.reverse_proxy(*at).and_then(Route::of_reverse_proxy),
        Decision::ApiService(at) => world.api_service(*at).and_then(Route::of_api_service),
        other => return Ok(without_backend(other, &info)?),
    };
    let Some(route) = route else {
        return Err(refuse(503, "Pending", "the object has not been compiled").into());
    };
    if let Some(caller) = caller {
        let questions = Questions::of(route.door, &request.method, &info, caller.mode);
        let refusal = caller.refusal(&questions).map_err(Stop::Unknown)?;
        refusal.map_or(Ok(()), |refusal| Err(Stop::Answer(refusal)))?;
    }
    let upstream = match route.action {
        Action::Forward(upstream) => upstream,
        Action::Unavailable(why) => {
            return Err(refuse(503, &why.reason, format!("{}: {}", route.title, why.message)).into());
        }
    };
    let input = Input {
        method: &request.method,
        path: &info.path,
        query: query.as_deref(),
        host: &request.host,
    };
    Ok(sending::forward(world, request, &route, upstream, input, caller)?)
}

/// The query that counts, after the repair that KubeSphere clients rely on.
fn query(request: &Request, query: Option<&[u8]>) -> Option<Vec<u8>> {
    let query = query.map(|query| repair_query(query).into_owned());
    let sent = request
        .values("x-kubesphere-rawquery")
        .find(|value| !value.is_empty());
    match (query, sent) {
        (Some(query), _) if !query.is_empty() => Some(query),
        (_, Some(sent)) => Some(sent.to_vec()),
        (query, None) => query,
    }
}

fn without_backend<R, A>(decision: Decision<'_, R, A>, info: &RequestInfo<'_>) -> Result<Outcome, Outcome> {
    match decision {
        Decision::BarePrefix { location } => Ok(Outcome::Redirect {
            code: 308,
            location: String::from_utf8_lossy(&location).into_owned(),
        }),
        Decision::ApiGroup { group, versions } => Ok(Outcome::Discovery {
            what: format!("the APIGroup {group} with the versions {}", versions.join(", ")),
        }),
        Decision::ApiGroupList(groups) => {
            let names: Vec<&str> = groups.iter().map(|(name, _)| *name).collect();
            let names = if names.is_empty() {
                "no group".to_owned()
            } else {
                names.join(", ")
            };
            Ok(Outcome::Discovery {
                what: format!("the APIGroupList with {names}"),
            })
        }
        Decision::Cluster { name } => Err(refuse(
            400,
            "ClusterNotFound",
            format!("cluster {name} does not exist"),
        )),
        Decision::Kubernetes => {
            let message = "requests to Kubernetes itself (/api, /apis) are not forwarded; use the address of the API server";
            Err(refuse(404, "NoRouteMatched", message))
        }
        _ if info.is_resource => {
            let message = format!(
                "no APIService publishes version {} of group {}",
                info.version, info.group
            );
            Err(refuse(404, "NoRouteMatched", message))
        }
        _ => Err(refuse(
            404,
            "NoRouteMatched",
            "no ReverseProxy matches this method and path",
        )),
    }
}

pub(super) fn refuse(code: u16, reason: &str, message: impl Into<String>) -> Outcome {
    Outcome::Refuse {
        code,
        reason: reason.to_owned(),
        message: message.into(),
    }
}

impl From<Outcome> for Stop {
    fn from(outcome: Outcome) -> Self {
        Self::Answer(outcome)
    }
}

// === impl Outcome ===

impl Outcome {
    /// Does the client get an error of genkan's own?
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refuse { .. })
    }
}

// === impl Route ===

impl<'w> Route<'w> {
    fn of_reverse_proxy(proxy: &'w genkan_proto::v1alpha1::ReverseProxy) -> Option<Self> {
        let name = &proxy.r#ref.as_ref()?.name;
        Some(Self {
            title: format!("ReverseProxy {name}"),
            forwards_token: proxy.forward_authorization,
            door: Door::ReverseProxy { path: &proxy.path },
            directives: proxy.directives.as_ref(),
            tells_identity: proxy
                .directives
                .as_ref()
                .is_some_and(|directives| directives.auth_proxy),
            action: match proxy.action.as_ref()? {
                reverse_proxy::Action::Upstream(upstream) => Action::Forward(upstream),
                reverse_proxy::Action::Unavailable(why) => Action::Unavailable(why),
            },
        })
    }

    fn of_api_service(service: &'w genkan_proto::v1alpha1::ApiService) -> Option<Self> {
        let name = &service.r#ref.as_ref()?.name;
        Some(Self {
            title: format!("APIService {name}"),
            forwards_token: service.forward_authorization,
            door: Door::ApiService,
            directives: None,
            tells_identity: true,
            action: match service.action.as_ref()? {
                api_service::Action::Upstream(upstream) => Action::Forward(upstream),
                api_service::Action::Unavailable(why) => Action::Unavailable(why),
            },
        })
    }
}
