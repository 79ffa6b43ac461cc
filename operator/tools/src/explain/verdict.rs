//! The decision, step by step as the data plane takes it.

use genkan_routing::access::Questions;
use genkan_routing::credential::Credential;
use genkan_routing::identity::{ANONYMOUS, Introduction};
use genkan_routing::model::{Action, Matcher};
use genkan_routing::{Decision, Input, Refused, RequestInfo, Target, arriving};
use serde::Serialize;

use super::arrived::Arrived;
use super::candidates::{self, Candidate};
use super::sending::{self, Forward, Known};
use super::{Caller, Request, Settings, World};

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
    /// genkan says what may be asked of the server itself.
    ServerOptions,
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
    /// The client gets a refusal in the form of gRPC.
    pub(super) as_grpc: bool,
}

/// Why there is no way on: an answer, or nobody who could say.
enum Stop {
    Answer(Outcome),
    Unknown(anyhow::Error),
}

pub(super) fn judge(
    world: &World,
    settings: &Settings,
    request: &Request,
    caller: Option<&Caller>,
) -> Result<Judged, anyhow::Error> {
    let mut judged = Judged {
        path: None,
        candidates: Vec::new(),
        outcome: refuse(404, "NoRouteMatched", "nothing is published under this path"),
        as_grpc: false,
    };
    judged.outcome = match decide(world, settings, request, caller, &mut judged) {
        Ok(outcome) | Err(Stop::Answer(outcome)) => outcome,
        Err(Stop::Unknown(error)) => return Err(error),
    };
    Ok(judged)
}

fn decide(
    world: &World,
    settings: &Settings,
    request: &Request,
    caller: Option<&Caller>,
    judged: &mut Judged,
) -> Result<Outcome, Stop> {
    let mut arrived = Arrived::read(request)?;
    if arrived.is_server_options {
        return Ok(Outcome::ServerOptions);
    }
    judged.as_grpc = arrived.kind.is_grpc;
    let sent = std::mem::take(&mut arrived.target);
    let target = Target::parse(&sent).map_err(Refused::from)?;
    judged.path = Some(target.path.clone().into_owned());
    let query = arriving::admit(&mut arrived.headers, target.query)?;
    let method = arrived.method.clone();
    let info = RequestInfo::parse(&method, &target.path, query.as_deref()).map_err(Refused::from)?;
    if settings.identifies() {
        let (places, is_upgrade) = (settings.places(), arrived.kind.upgrade.is_some());
        let shown = places.read_usable(&arrived.headers, &method, &arrived.host, is_upgrade)?;
        arrived.shows_credential = shown != Credential::Nothing;
    }
    let decision = world.doors.decide(&method, &info, query.as_deref());
    arriving::refuse_impersonation(&arrived.headers, &decision)?;
    judged.candidates = match &decision {
        Decision::Cluster { .. } | Decision::Kubernetes => Vec::new(),
        _ if info.is_resource => candidates::api_services(world, info.group, info.version),
        Decision::ApiService(at) => match world.route(**at).map(|route| &route.matcher) {
            Some(Matcher::ApiService { group, version }) => candidates::api_services(world, group, version),
            Some(Matcher::ReverseProxy { .. }) | None => Vec::new(),
        },
        Decision::ReverseProxy(_)
        | Decision::BarePrefix { .. }
        | Decision::ApiGroup { .. }
        | Decision::ApiGroupList(_)
        | Decision::NotFound => candidates::reverse_proxies(world, &method, &info),
    };
    let route = match decision {
        Decision::ReverseProxy(at) | Decision::ApiService(at) => world.route(*at),
        other @ (Decision::BarePrefix { .. }
        | Decision::ApiGroup { .. }
        | Decision::ApiGroupList(_)
        | Decision::Kubernetes
        | Decision::Cluster { .. }
        | Decision::NotFound) => return Ok(without_backend(other, &info)?),
    };
    let Some(route) = route else {
        return Err(refuse(503, "Pending", "the object has not been compiled").into());
    };
    if let Some(caller) = caller.filter(|_| settings.identifies()) {
        let questions = Questions::of(
            route.matcher.door(),
            &method,
            &info,
            query.as_deref(),
            caller.mode,
        );
        let refusal = caller.refusal(&questions).map_err(Stop::Unknown)?;
        refusal.map_or(Ok(()), Err)?;
    }
    let title = route.object.key.title();
    let upstream = match &route.action {
        Action::Forward(upstream) => upstream,
        Action::Unavailable(why) => {
            return Err(refuse(503, &why.reason, format!("{title}: {}", why.message)).into());
        }
    };
    let introduction = if route.introduces_caller() {
        introduction(settings, caller)?
    } else {
        None
    };
    let input = Input {
        method: &method,
        path: &info.path,
        query: query.as_deref(),
        host: &arrived.host.clone(),
    };
    let course = sending::Course {
        settings,
        route,
        title,
        upstream,
        introduction,
        known: match caller {
            _ if !settings.identifies() => Known::Nobody,
            Some(_) => Known::Named,
            None => Known::Unnamed,
        },
    };
    Ok(course.forward(world, arrived, input)?)
}

/// How the backend is told who calls, if that is known.
fn introduction(settings: &Settings, caller: Option<&Caller>) -> Result<Option<Introduction>, Refused> {
    if !settings.identifies() {
        let groups = ["system:unauthenticated".to_owned()];
        let nobody = Introduction::new(ANONYMOUS, "", &groups, &std::collections::BTreeMap::new());
        return Ok(Some(nobody?));
    }
    Ok(caller.map(Caller::introduction).transpose()?)
}

fn without_backend<R, A>(decision: Decision<'_, R, A>, info: &RequestInfo<'_>) -> Result<Outcome, Outcome> {
    if let Some(refused) = decision.refusal(info) {
        return Err(refused.into());
    }
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
        Decision::ReverseProxy(_)
        | Decision::ApiService(_)
        | Decision::Kubernetes
        | Decision::Cluster { .. }
        | Decision::NotFound => Err(refuse(
            404,
            "NoRouteMatched",
            "nothing is published under this path",
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

impl From<Refused> for Outcome {
    fn from(refused: Refused) -> Self {
        refuse(refused.code, refused.reason, refused.message)
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Answer(refused.into())
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
