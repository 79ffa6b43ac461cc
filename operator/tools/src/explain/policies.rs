//! Policies of the object, run as the data plane runs them: on the request alone, and without asking anybody.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Error, anyhow};
use genkan_policies::{
    AnswerBody, Caller, Class, Exchange, Job, Outcome as Outcome_, Outside, Plan, PolicyAnswer, Source,
    Stage, State, Unreachable, Waiting,
};
use genkan_routing::HeaderStore;
use genkan_routing::decide::{Changed, Place, Policies};
use http::header::LOCATION;
use http::{HeaderMap, HeaderName};
use serde::Serialize;
use tokio::runtime::Builder;

use super::access::Somebody;
use super::lines::Lines;
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

/// What the request shows of itself.
pub(super) struct Seen<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a [u8],
    pub(super) title: &'a str,
    pub(super) user: Option<(&'a str, &'a [String])>,
}

/// Why the request goes no further.
pub(super) enum Halt {
    Answer(Outcome),
    Unknown(Error),
}

/// Nobody is asked.
#[derive(Default)]
struct Alone {
    wanted: Mutex<Option<String>>,
}

// === impl Planned ===

impl Policies for Planned {
    fn claims_authorization(&self) -> bool {
        self.0.claims_authorization()
    }

    fn acts(&self, place: Place) -> bool {
        match place {
            Place::BeforeReview => !self.0.before_review.is_empty(),
            Place::AfterReview => !self.0.after_review.is_empty(),
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

    /// Runs what acts at a place.
    pub(super) fn run(
        &self,
        place: Place,
        seen: &Seen<'_>,
        headers: &mut Lines,
        state: &mut State,
    ) -> Result<Changed<Arc<Somebody>>, Halt> {
        let chain = match place {
            Place::BeforeReview => &self.0.before_review,
            Place::AfterReview => &self.0.after_review,
        };
        let query = String::from_utf8_lossy(seen.query).into_owned();
        let request = genkan_policies::Request {
            id: "",
            method: seen.method,
            scheme: "http",
            host: seen.host,
            path: seen.path,
            query: &query,
            route: seen.title,
            source: Source::default(),
            caller: seen.user.map_or_else(Caller::default, |(user, groups)| Caller {
                user,
                groups,
                ..Caller::default()
            }),
        };
        let before = state.query.clone();
        let mut map = copied(headers);
        let as_sent = map.clone();
        let outside = Alone::default();
        let mut exchange = Exchange::new(request, Stage::Request(&mut map), state);
        let runtime = Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Halt::Unknown(error.into()))?;
        let outcome = runtime.block_on(chain.run(&mut exchange, &outside));
        let wanted = outside.wanted.into_inner().ok().flatten();
        if let Some(url) = wanted {
            let error =
                anyhow!("data planes fetch keys from {url}; nothing is fetched here, so nobody can say");
            return Err(Halt::Unknown(error));
        }
        if let Outcome_::Answer(answer) = outcome {
            return Err(Halt::Answer(answered(&answer)));
        }
        write_back(&as_sent, &map, headers);
        let query = state
            .query
            .as_ref()
            .filter(|query| before.as_ref() != Some(*query));
        Ok(Changed {
            query: query.map(|query| query.as_bytes().to_vec()),
            caller: state
                .identity
                .as_ref()
                .map(|identity| Arc::new(Somebody::named(&identity.user, &identity.groups))),
            forwards_authorization: state.forwards_authorization,
        })
    }
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

    fn elapsed(&self) -> Duration {
        Instant::now().elapsed()
    }

    fn fetch_keys<'a>(
        &'a self,
        url: &'a str,
        _: Option<Duration>,
    ) -> Waiting<'a, Result<Arc<[u8]>, Unreachable>> {
        if let Ok(mut wanted) = self.wanted.lock() {
            *wanted = Some(url.to_owned());
        }
        Box::pin(async {
            Err(Unreachable {
                is_timeout: false,
                detail: String::new(),
            })
        })
    }

    fn blocking(&self, job: Job) -> Waiting<'_, Option<bool>> {
        Box::pin(async { Some(job()) })
    }
}
