//! The decision, step by step as the data plane takes it.

use std::sync::Arc;

use bytes::Bytes;
use genkan_rego::{Input, Policy};
use genkan_routing::Refused;
use genkan_routing::answer::reason::{ACCESS_DENIED, GENERATOR_FAILED};
use genkan_routing::connectors::{Injected, TokenId};
use genkan_routing::decide::{
    self, Answer, Caller as _, Deciding, Evaluation, Next, Question, Room, Shown, Verb, login,
};
use genkan_routing::door::Arrival;
use genkan_routing::guard::Guard;
use genkan_routing::model::Matcher;
use genkan_routing::public::Front;
use genkan_routing::target::parameters;
use serde::Serialize;

use super::access::Somebody;
use super::arrived::Arrived;
use super::candidates::{self, Candidate};
use super::destination::Destination;
use super::lines::Lines;
use super::policies::{Halt, InPlace, Passed, PolicyStep, Running, Seen};
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
    /// A policy answers, as it is meant to.
    Respond {
        code: u16,
        reason: String,
        step: String,
        body: String,
    },
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
    pub(super) policies: Vec<PolicyStep>,
    pub(super) class: Option<&'static str>,
    pub(super) outcome: Outcome,
    /// What the client gets of the answer of the backend.
    pub(super) answer: Option<Passed>,
    /// What policies put into the head of the answer.
    pub(super) headers: Vec<(String, String)>,
    pub(super) in_place: Option<InPlace>,
    /// What only the log has.
    pub(super) detail: String,
    /// The client gets a refusal in the form of gRPC.
    pub(super) as_grpc: bool,
    /// Who sends it to a backend.
    pub(super) destination: Option<Arc<Destination>>,
    /// What its answers may not say.
    pub(super) guard: Option<Guard<'static>>,
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
        policies: Vec::new(),
        class: None,
        outcome: refuse(404, "NoRouteMatched", "nothing is published under this path"),
        answer: None,
        headers: Vec::new(),
        in_place: None,
        detail: String::new(),
        as_grpc: false,
        destination: None,
        guard: None,
    };
    let mut running = Running::default();
    let decided = decide(world, settings, request, caller, &mut judged, &mut running);
    let sent = decided.and_then(|mut outcome| {
        if let Outcome::Forward(forward) = &mut outcome {
            running.before_sending(forward)?;
            if let Some(answer) = &request.answer {
                judged.answer =
                    Some(running.on_answer(answer, judged.destination.as_deref(), judged.guard.as_ref())?);
            }
        }
        Ok(outcome)
    });
    judged.outcome = match sent {
        Ok(outcome) | Err(Stop::Answer(outcome)) => outcome,
        Err(Stop::Unknown(error)) => return Err(error),
    };
    judged.in_place = running.in_place(&judged.outcome)?;
    judged.headers = running.of_answer();
    running.detail().clone_into(&mut judged.detail);
    Ok(judged)
}

fn decide(
    world: &World,
    settings: &Settings,
    request: &Request,
    caller: Option<&Caller>,
    judged: &mut Judged,
    running: &mut Running,
) -> Result<Outcome, Stop> {
    let is_tls = request.is_tls;
    let body = request.body.as_ref().map(|body| Bytes::copy_from_slice(body));
    let Arrived {
        method,
        target,
        host,
        mut headers,
        kind,
        is_server_options,
    } = Arrived::read(request)?;
    if is_server_options {
        return Ok(Outcome::ServerOptions);
    }
    judged.as_grpc = kind.is_grpc;
    let front = settings.front();
    let request = decide::Request {
        method: &method,
        target: &target,
        host: &host,
        door: front.door_of(&host, None, None),
        is_upgrade: kind.upgrade.is_some(),
        has_certificate: false,
    };
    let (places, mut room) = (settings.places(), Room::default());
    let chosen = decide::Settings {
        places: settings.identifies().then_some(&places),
        mode: caller.map_or_else(|| settings.mode(), |caller| caller.mode),
        forwards_always: settings.forwards_always(),
        front: Some(&front),
    };
    let known = match caller {
        _ if !settings.identifies() => Known::Nobody,
        Some(_) => Known::Named,
        None => Known::Unnamed,
    };
    let somebody = Arc::new(Somebody::new(caller, settings.identifies()));
    let mut deciding = Deciding::new(request, &world.doors, chosen, &mut room);
    let mut shows_credential = false;
    loop {
        match deciding.next(&mut headers) {
            Next::Ask(Question::Who(shown)) => {
                shows_credential = shown != Shown::Nothing;
                judged.path = deciding.path().map(ToOwned::to_owned);
                deciding.is_called_by(Arc::clone(&somebody));
            }
            Next::Ask(Question::May(access)) => {
                let refusal = match (caller, known) {
                    (Some(caller), Known::Named) => caller.refusal(&access.questions),
                    _ => Ok(None),
                };
                judged.candidates = candidates::of(world, &method, deciding.found());
                if let Some(refused) = refusal.map_err(Stop::Unknown)? {
                    let is_anonymous = somebody.is_anonymous();
                    let to = invited(settings, &front, &request, &headers, &refused, is_anonymous);
                    let told = to.unwrap_or_else(|| match refused.reason {
                        ACCESS_DENIED => deciding.veiled(Outcome::from(refused)),
                        _ => refused.into(),
                    });
                    return Err(told.into());
                }
                deciding.is_allowed();
            }
            Next::Ask(Question::Policies(place)) => {
                let Some((planned, route)) = deciding.policies().cloned().zip(deciding.route()) else {
                    return Err(Outcome::from(Answer::nothing()).into());
                };
                let (steps, class) = planned.steps();
                (judged.policies, judged.class) = (steps, Some(class));
                judged.candidates = candidates::of(world, &method, deciding.found());
                let seen = Seen {
                    method: method.clone(),
                    host: host.clone(),
                    path: deciding.path().unwrap_or_default().to_owned(),
                    query: String::from_utf8_lossy(deciding.query().unwrap_or_default()).into_owned(),
                    title: decide::Destination::title(route).to_owned(),
                    user: caller.map(|caller| (caller.user.clone(), caller.groups.clone())),
                    body: body.clone(),
                    is_upgrade: kind.upgrade.is_some(),
                };
                deciding.is_passed(running.run(&planned, place, seen, &mut headers)?);
            }
            Next::Ask(Question::Verb(evaluation)) => {
                let counted = verb(&evaluation, &headers, &host)
                    .map_err(|problem| refuse(500, GENERATOR_FAILED, problem))?;
                deciding.counts_as(counted);
            }
            Next::Ask(Question::Generate(evaluation)) => {
                let injected = generate(&evaluation, &headers, &host)
                    .map_err(|problem| refuse(500, GENERATOR_FAILED, problem))?;
                deciding.is_generated(injected);
            }
            Next::Ask(Question::Token(_)) => {
                // Nobody is asked for it here: a proxy gets it when it is needed.
                let injected = Injected::bearer("CREDENTIAL", TokenId::default());
                deciding.is_generated(injected.unwrap_or_default());
            }
            Next::Answer(answer) => {
                judged.path = deciding.path().map(ToOwned::to_owned);
                judged.candidates = candidates::of(world, &method, deciding.found());
                if let Answer::LogIn(wanted) = &answer {
                    let location = login::location_of_session(&front, wanted, "CODE");
                    return Ok(elsewhere(
                        location.as_ref().map_or(b"", |location| location.as_bytes()),
                    ));
                }
                return Ok(answer.into());
            }
            Next::Forward(plan) => {
                judged.destination = Some(Arc::clone(plan.route));
                let sent = target.split(|byte| *byte == b'?').next().unwrap_or_default();
                let cookie = settings.token_cookie.as_deref().filter(|_| settings.identifies());
                judged.guard = match (&plan.route.route.matcher, request.door.app()) {
                    (Matcher::ReverseProxy { .. }, Some(_)) => Some(Guard::of_app(cookie)),
                    (Matcher::ReverseProxy { path, .. }, _) => Some(Guard::new(
                        path,
                        deciding.path().unwrap_or_default(),
                        sent,
                        cookie,
                    )),
                    _ => None,
                }
                .map(Guard::into_owned);
                let Some(upstream) = plan.route.route.upstream() else {
                    return Err(Outcome::from(Answer::nothing()).into());
                };
                let forwarding = sending::Forwarding {
                    settings,
                    destination: plan.route,
                    upstream,
                    introduction: somebody.introduction().unwrap_or_default(),
                    known,
                    shows_credential,
                    kind: &kind,
                    arrival: Arrival {
                        host: &host,
                        is_tls,
                        ..Arrival::default()
                    },
                    path: target.split(|byte| *byte == b'?').next().unwrap_or_default(),
                };
                return Ok(forwarding.forward(world, plan, headers)?);
            }
        }
    }
}

/// Where a browser is sent that nobody knows yet. What is random is written as a word.
fn invited(
    settings: &Settings,
    front: &Front,
    request: &decide::Request<'_>,
    headers: &Lines,
    refused: &Refused,
    is_anonymous: bool,
) -> Option<Outcome> {
    settings.token_cookie.as_ref().filter(|_| settings.identifies())?;
    let app = login::helps(
        request.door,
        request.method,
        headers,
        refused.reason,
        is_anonymous,
    )?;
    let location = login::location(front, app, "STATE", request.target)?;
    Some(elsewhere(location.as_bytes()))
}

fn elsewhere(location: &[u8]) -> Outcome {
    Outcome::Redirect {
        code: 303,
        location: String::from_utf8_lossy(location).into_owned(),
    }
}

/// What the policy of a class makes of the Secret, for a request without a body.
fn generate(evaluation: &Evaluation<'_>, headers: &Lines, host: &str) -> Result<Injected, String> {
    let failed = |problem: String| of_class(evaluation, &problem);
    let policy = Policy::new(evaluation.policy).map_err(failed)?;
    let made = with_input(evaluation, headers, host, |input| policy.generate(input));
    let made = made.map_err(|failure| failed(failure.to_string()))?;
    let mut injected = Injected::try_from(made).map_err(|problem| failed(problem.to_owned()))?;
    // It stands in the target, which is shown.
    for (_, value) in &mut injected.query {
        *value = "CREDENTIAL".to_owned().into();
    }
    Ok(injected)
}

/// What a request without a body counts as.
fn verb(evaluation: &Evaluation<'_>, headers: &Lines, host: &str) -> Result<Verb, String> {
    let failed = |problem: String| of_class(evaluation, &problem);
    let policy = Policy::of_permissions(evaluation.policy).map_err(failed)?;
    let verb = with_input(evaluation, headers, host, |input| policy.verb(input));
    verb.map_err(|failure| failed(failure.to_string()))
}

fn of_class(evaluation: &Evaluation<'_>, problem: &str) -> String {
    format!(
        "Internal error occurred: connectorclass '{}': {problem}",
        evaluation.class
    )
}

fn with_input<T>(
    evaluation: &Evaluation<'_>,
    headers: &Lines,
    host: &str,
    ask: impl FnOnce(&Input<'_>) -> T,
) -> T {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (path, pairs) = (text(evaluation.path), headers.pairs());
    let query = evaluation.query.into_iter().flat_map(parameters);
    ask(&Input {
        secret: evaluation.secret.map(AsRef::as_ref),
        method: evaluation.method,
        path: &path,
        host,
        headers: pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        query: query.map(|(name, value)| (text(&name), text(&value))).collect(),
        body: None,
    })
}

pub(super) fn refuse(code: u16, reason: &str, message: impl Into<String>) -> Outcome {
    Outcome::Refuse {
        code,
        reason: reason.to_owned(),
        message: message.into(),
    }
}

impl From<Answer<'_>> for Outcome {
    fn from(answer: Answer<'_>) -> Self {
        match answer {
            Answer::Refused(refused) | Answer::Unsupported(refused) | Answer::Escaped { refused, .. } => {
                refused.into()
            }
            Answer::Unavailable { title, why } => {
                refuse(503, &why.reason, format!("{title}: {}", why.message))
            }
            Answer::Redirect { location } => Self::Redirect {
                code: 308,
                location: String::from_utf8_lossy(&location).into_owned(),
            },
            Answer::ToApp { location } => Self::Redirect {
                code: 307,
                location: String::from_utf8_lossy(&location).into_owned(),
            },
            // Whoever knows the front says more of it.
            Answer::LogIn(wanted) => elsewhere(wanted.to.as_bytes()),
            Answer::Redeem { to, .. } => elsewhere(to.as_bytes()),
            Answer::Moved { location } => Self::Redirect {
                code: 307,
                location: String::from_utf8_lossy(&location).into_owned(),
            },
            Answer::FeatureFlags(on) => Self::Discovery {
                what: format!("the switches of Connectors, of which {} are on", on.len()),
            },
            Answer::ApiGroup { group, versions } => Self::Discovery {
                what: format!("the APIGroup {group} with the versions {}", versions.join(", ")),
            },
            Answer::ApiGroupList(groups) => {
                let names: Vec<&str> = groups.iter().map(|(name, _)| *name).collect();
                let names = if names.is_empty() {
                    "no group".to_owned()
                } else {
                    names.join(", ")
                };
                Self::Discovery {
                    what: format!("the APIGroupList with {names}"),
                }
            }
        }
    }
}

impl From<Refused> for Outcome {
    fn from(refused: Refused) -> Self {
        refuse(refused.code, refused.reason, refused.message)
    }
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Answer(outcome) => Self::Answer(outcome),
            Halt::Unknown(error) => Self::Unknown(error),
        }
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
