//! Policies of the object, run as the data plane runs them: on the request alone, and without asking anybody.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use anyhow::{Error, anyhow};
use bytes::Bytes;
use genkan_policies::{
    AnswerBody, Caller, Chain, Class, Coming, Exchange, Job, Later, Outcome as Outcome_, Outside, Plan,
    PolicyAnswer, Reading, Replacing, Source, Stage, State, Unreachable, Waiting,
};
use genkan_routing::HeaderStore;
use genkan_routing::decide::{Changed, Place, Policies};
use genkan_routing::guard::Guard;
use http::header::{CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use tokio::runtime::Builder;

use super::access::Somebody;
use super::destination::Destination;
use super::lines::Lines;
use super::request::BackendAnswer;
use super::sending::Forward;
use super::verdict::Outcome;

/// The policies of an object that are in force.
#[derive(Clone, Debug)]
pub(super) struct Planned(pub(super) Arc<Plan>);

/// A step that an object's requests meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyStep {
    /// Such as `PreRequest/AfterBuiltin`, or `Builtin`.
    pub place: String,
    /// `EXTENSION/ENTRY`, the object, or genkan.
    pub from: String,
    /// As it is resolved.
    #[serde(rename = "use")]
    pub uses: String,
    /// `Shadow` where it changes and blocks nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<&'static str>,
}

/// What answers in the place of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InPlace {
    pub code: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// `EXTENSION/ENTRY`.
    pub by: String,
}

/// An answer of a backend, as the client gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passed {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

/// A request under its policies.
#[derive(Default)]
pub(super) struct Running {
    planned: Option<Planned>,
    state: State,
    seen: Seen,
    /// As they are by now.
    headers: HeaderMap,
    /// Those of an answer of a policy.
    of_answer: Vec<(String, String)>,
    /// What the log would have of a policy that could not be applied.
    detail: String,
}

/// What the request shows of itself.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) title: String,
    pub(super) user: Option<(String, Vec<String>)>,
    pub(super) body: Option<Bytes>,
    pub(super) is_upgrade: bool,
}

/// Why the request goes no further.
pub(super) enum Halt {
    Answer(Outcome),
    Unknown(Error),
}

/// Nobody is asked.
#[derive(Default)]
struct Alone {
    wanted: OnceLock<String>,
}

// === impl Planned ===

impl Policies for Planned {
    fn claims_authorization(&self) -> bool {
        self.0.claims_authorization()
    }

    fn acts(&self, place: Place) -> bool {
        match place {
            // Hooks for errors are told of a refusal of the review, too.
            Place::BeforeReview => !self.0.before_review.is_empty() || self.0.is_for_errors(),
            Place::AfterReview => !self.0.is_empty(),
        }
    }
}

impl Planned {
    /// The steps that requests of the object meet, in order; none where there are none but genkan's own.
    pub(super) fn steps(&self) -> (Vec<PolicyStep>, &'static str) {
        let description = self.0.describe();
        let all = description.steps.iter().chain(&description.on_error);
        let step = |step: &genkan_policies::Described| PolicyStep {
            place: step.place.to_owned(),
            from: step.from.clone(),
            uses: step.uses.clone(),
            mode: step.mode_word(),
        };
        let class = match self.0.class() {
            Class::HeaderOnly => "HeaderOnly",
            Class::EarlyBody => "EarlyBody",
            Class::ResponseBody => "ResponseBody",
        };
        (all.map(step).collect(), class)
    }
}

// === impl Seen ===

impl Seen {
    fn request(&self) -> genkan_policies::Request<'_> {
        genkan_policies::Request {
            id: "",
            method: &self.method,
            scheme: "http",
            host: &self.host,
            path: &self.path,
            query: &self.query,
            route: &self.title,
            source: Source::default(),
            caller: self
                .user
                .as_ref()
                .map_or_else(Caller::default, |(user, groups)| Caller {
                    user,
                    groups,
                    ..Caller::default()
                }),
        }
    }

    /// What is known of the body before it comes.
    fn reading<'h>(&self, headers: &'h HeaderMap) -> Reading<'h> {
        Reading::of(headers, self.is_upgrade, headers.contains_key(TRANSFER_ENCODING))
    }
}

// === impl Running ===

impl Running {
    /// Runs what acts at a place of the decision.
    pub(super) fn run(
        &mut self,
        planned: &Planned,
        place: Place,
        seen: Seen,
        headers: &mut Lines,
    ) -> Result<Changed<Arc<Somebody>>, Halt> {
        self.planned = Some(planned.clone());
        self.headers = copied(headers);
        self.seen = seen;
        let before = self.state.query.clone();
        let plan = Arc::clone(&planned.0);
        let chain = match place {
            Place::BeforeReview => &plan.before_review,
            Place::AfterReview => {
                let coming = match plan.class() {
                    Class::HeaderOnly => Coming::HeaderOnly,
                    Class::EarlyBody | Class::ResponseBody => {
                        plan.class_for(&self.seen.reading(&self.headers))
                    }
                };
                if let Coming::Answer(answer) = coming {
                    return Err(self.halt(&answer));
                }
                &plan.after_review
            }
        };
        let as_sent = self.headers.clone();
        self.apply(chain)?;
        write_back(&as_sent, &self.headers, headers);
        let query = (self.state.query.as_ref()).filter(|query| before.as_ref() != Some(*query));
        let identity = self.state.identity.as_ref();
        Ok(Changed {
            query: query.map(|query| query.as_bytes().to_vec()),
            caller: identity.map(|identity| Arc::new(Somebody::named(&identity.user, &identity.groups))),
            forwards_authorization: self.state.forwards_authorization,
        })
    }

    /// Hooks on what the backend would get.
    pub(super) fn before_sending(&mut self, forward: &mut Forward) -> Result<(), Halt> {
        let Some(planned) = self.planned.clone() else {
            return Ok(());
        };
        let mut lines = Lines::default();
        for (name, value) in &forward.headers {
            lines.append(name, value.as_bytes());
        }
        if let Some(body) = &self.state.body {
            lines.remove(TRANSFER_ENCODING.as_str());
            lines.set("Content-Length", body.len().to_string().as_bytes());
            forward.body = Some(String::from_utf8_lossy(body).into_owned());
            forward
                .notes
                .push("policies put another body in its place".to_owned());
        }
        let as_dressed = copied(&lines);
        self.headers = as_dressed.clone();
        self.apply(&planned.0.post_request)?;
        write_back(&as_dressed, &self.headers, &mut lines);
        forward.headers = lines.into_text();
        Ok(())
    }

    /// The steps for the answer of the backend, with `headerDown` between those of the object and the hooks.
    pub(super) fn on_answer(
        &mut self,
        answer: &BackendAnswer,
        destination: Option<&Destination>,
        guard: Option<&Guard<'_>>,
    ) -> Result<Passed, Halt> {
        let mut lines = Lines::default();
        for (name, value) in &answer.headers {
            lines.append(name, value.as_bytes());
        }
        let mut status = answer.status;
        let planned = self.planned.clone();
        if let Some(planned) = &planned {
            self.answer_steps(&planned.0.response, &mut status, &mut lines)?;
        }
        if let Some(directives) = destination.and_then(Destination::own_directives) {
            directives.header_down.apply(&mut lines);
        }
        if let Some(guard) = guard {
            guard.apply(&mut lines);
        }
        if let Some(planned) = &planned {
            self.answer_steps(&planned.0.post_response, &mut status, &mut lines)?;
        }
        for later in &self.state.later {
            match later {
                Later::Set(name, value) => lines.set(name.as_str(), value.as_bytes()),
                Later::Add(name, value) => lines.append(name.as_str(), value.as_bytes()),
            }
        }
        Ok(Passed {
            status,
            headers: lines.into_text(),
        })
    }

    fn answer_steps(&mut self, chain: &Chain, status: &mut u16, lines: &mut Lines) -> Result<(), Halt> {
        if chain.is_empty() {
            return Ok(());
        }
        let before = copied(lines);
        let mut headers = before.clone();
        let runtime = Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Halt::Unknown(error.into()))?;
        let stage = Stage::Response {
            request: &self.headers,
            status,
            headers: &mut headers,
        };
        let mut exchange = Exchange::new(self.seen.request(), stage, &mut self.state);
        if let Some(body) = &self.seen.body {
            exchange.body = Some(body.clone());
        }
        let outcome = runtime.block_on(chain.run(&mut exchange, &Alone::default()));
        write_back(&before, &headers, lines);
        match outcome {
            Outcome_::Forward => Ok(()),
            Outcome_::Answer(answer) => Err(self.halt(&answer)),
        }
    }

    /// What hooks for errors say in the place of a refusal.
    pub(super) fn in_place(&mut self, outcome: &Outcome) -> Result<Option<InPlace>, Error> {
        let (
            Some(planned),
            Outcome::Refuse {
                code,
                reason,
                message,
            },
        ) = (&self.planned, outcome)
        else {
            return Ok(None);
        };
        if !planned.0.is_for_errors() {
            return Ok(None);
        }
        let error = Replacing {
            status: *code,
            reason,
            message,
        };
        let outside = Alone::default();
        let runtime = Builder::new_current_thread().build()?;
        let seen = self.seen.request();
        let replacing = planned
            .0
            .replace(error, seen, &self.headers, &mut self.state, &outside);
        let Some(replaced) = runtime.block_on(replacing) else {
            return Ok(None);
        };
        let (kind, body) = match &replaced.body {
            AnswerBody::Raw { content_type, bytes } => {
                let kind = content_type.as_ref().map(text_of);
                (kind, String::from_utf8_lossy(bytes).into_owned())
            }
            AnswerBody::Status => (None, replaced.message.clone()),
        };
        let kind = kind.map(|kind| (CONTENT_TYPE.to_string(), kind));
        Ok(Some(InPlace {
            code: replaced.status,
            headers: kind.into_iter().chain(texts(&replaced.headers)).collect(),
            body,
            by: replaced.by.to_string(),
        }))
    }

    /// What policies add to the head of the answer, whoever gives it.
    pub(super) fn of_answer(&self) -> Vec<(String, String)> {
        let later = self.state.later.iter().map(|later| match later {
            Later::Set(name, value) | Later::Add(name, value) => (name.to_string(), text_of(value)),
        });
        later.chain(self.of_answer.iter().cloned()).collect()
    }

    /// Why a policy could not be applied, which clients are not told; empty where one could.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    fn apply(&mut self, chain: &Chain) -> Result<(), Halt> {
        let outside = Alone::default();
        let runtime = Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Halt::Unknown(error.into()))?;
        let stage = Stage::Request(&mut self.headers);
        let mut exchange = Exchange::new(self.seen.request(), stage, &mut self.state);
        if let Some(body) = &self.seen.body {
            exchange = exchange.with_body(body.clone());
        }
        let outcome = runtime.block_on(chain.run(&mut exchange, &outside));
        let wanted = outside.wanted.into_inner();
        if let Some(url) = wanted {
            let error =
                anyhow!("data planes fetch keys from {url}; nothing is fetched here, so nobody can say");
            return Err(Halt::Unknown(error));
        }
        match outcome {
            Outcome_::Forward => Ok(()),
            Outcome_::Answer(answer) => Err(self.halt(&answer)),
        }
    }

    fn halt(&mut self, answer: &PolicyAnswer) -> Halt {
        let (kind, _) = answer.render();
        let kind = kind.map(|kind| (CONTENT_TYPE.to_string(), text_of(&kind)));
        self.of_answer = kind.into_iter().chain(texts(&answer.headers)).collect();
        self.detail.clone_from(&answer.detail);
        Halt::Answer(answered(answer))
    }
}

fn text_of(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn texts(headers: &[(HeaderName, HeaderValue)]) -> impl Iterator<Item = (String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text_of(value)))
}

fn copied(headers: &Lines) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers.pairs() {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            map.append(name, value);
        }
    }
    map
}

/// Takes over what policies changed; everything else stays as it is spelled.
fn write_back(before: &HeaderMap, after: &HeaderMap, headers: &mut Lines) {
    let names: Vec<&HeaderName> = before.keys().chain(after.keys()).collect();
    for name in names {
        let same = before.get_all(name).iter().eq(after.get_all(name).iter());
        if same {
            continue;
        }
        headers.remove(name.as_str());
        for value in after.get_all(name) {
            headers.append(name.as_str(), value.as_bytes());
        }
    }
}

fn answered(answer: &PolicyAnswer) -> Outcome {
    let location = answer.headers.iter().find(|(name, _)| *name == LOCATION);
    if let (false, Some((_, location))) = (answer.is_error(), location) {
        return Outcome::Redirect {
            code: answer.status,
            location: String::from_utf8_lossy(location.as_bytes()).into_owned(),
        };
    }
    if answer.is_error() {
        return Outcome::Refuse {
            code: answer.status,
            reason: answer.reason.to_string(),
            message: answer.message.clone(),
        };
    }
    let body = match &answer.body {
        AnswerBody::Raw { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
        AnswerBody::Status => answer.message.clone(),
    };
    Outcome::Respond {
        code: answer.status,
        reason: answer.reason.to_string(),
        step: answer.step.to_string(),
        body,
    }
}

impl Outside for Alone {
    fn now(&self) -> Duration {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default()
    }

    /// Time stands still: what is used up stays so from one request to the next.
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn fetch_keys<'a>(
        &'a self,
        url: &'a str,
        _: Option<Duration>,
    ) -> Waiting<'a, Result<Arc<[u8]>, Unreachable>> {
        // The first one is told.
        let _ = self.wanted.set(url.to_owned());
        Box::pin(async {
            Err(Unreachable {
                is_timeout: false,
                detail: String::new(),
            })
        })
    }

    /// Time stands still.
    fn pause(&self, _: Duration) -> Waiting<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn blocking(&self, job: Job) -> Waiting<'_, Option<bool>> {
        Box::pin(async { Some(job()) })
    }
}
