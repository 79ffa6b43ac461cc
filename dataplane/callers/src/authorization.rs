//! What a caller may do: asked of the API server, and kept.

use genkan_routing::answer::reason;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use genkan_routing::access::{Attributes, Mode, Questions, Reading, Refusal};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::bucket::{Buckets, Empty};
use crate::decided::Decided;
use crate::decisions::{Answered, Cacheable, Decisions, Key, Keys, Limits, Owner};
use crate::identity::User;
use crate::kubernetes::{Kubernetes, Lane, Unavailable, access_question};
use genkan_routing::answer::Answer;

/// Tells what callers may do.
#[derive(Debug)]
pub struct Authorization {
    pub mode: Mode,
    /// `None`: everybody may do everything.
    reviewer: Option<AccessReviewer>,
}

#[derive(Debug)]
pub struct AccessReviewer {
    kubernetes: Arc<Kubernetes>,
    decisions: Arc<Decisions<bool>>,
    keys: Arc<Keys>,
    /// By identity: what may be asked about paths that a caller is free to invent.
    paths: Buckets,
    /// By identity: what may be asked otherwise.
    others: Buckets,
    path_reviews: Arc<Semaphore>,
    decided: Decided,
}

/// Questions about exact paths: what one identity may ask at once, and then each second. Two of them, somebody and nobody,
/// stay below 50 in any second.
const PATHS_AT_ONCE: u32 = 14;
const PATHS_EACH_SECOND: u32 = 10;
/// Names are invented less easily, and controllers ask for many.
const OTHERS_AT_ONCE: u32 = 200;
const OTHERS_EACH_SECOND: u32 = 50;
/// Questions about exact paths in flight, of everybody.
const PATH_REVIEWS: usize = 4;
/// What was decided about a Connector, a yes like a no, is not kept longer: whose right is taken away has it no more.
const OF_CONNECTORS: Duration = Duration::from_secs(10);
/// Who gets no turn by then is told to come back.
const TURN_WITHIN: Duration = Duration::from_secs(1);

/// What a question is about, and so from which bucket it is paid.
#[derive(Debug, Clone, Copy)]
enum About<'b> {
    /// A path that the caller was free to invent.
    Path(&'b Buckets),
    Other,
}

impl Cacheable for bool {
    fn is_allow(&self) -> bool {
        *self
    }
}

// === impl Authorization ===

impl Authorization {
    pub fn disabled() -> Self {
        Self {
            mode: Mode::default(),
            reviewer: None,
        }
    }

    pub fn new(mode: Mode, reviewer: AccessReviewer) -> Self {
        Self {
            mode,
            reviewer: Some(reviewer),
        }
    }

    /// What is known without asking; an error is the answer to whoever may not.
    pub fn known(&self, user: &User, questions: &Questions<'_>) -> Option<Result<(), Answer>> {
        match &self.reviewer {
            Some(reviewer) => {
                let known = reviewer.known(user, questions)?;
                Some(known.map_err(|reading| denied(user, reading)))
            }
            None => Some(Ok(())),
        }
    }

    /// Asks what is not known.
    ///
    /// # Errors
    /// The answer to whoever may not, or about whom nobody can say it.
    pub async fn ask(&self, user: &User, questions: &Questions<'_>) -> Result<(), Answer> {
        let Some(reviewer) = &self.reviewer else {
            return Ok(());
        };
        let asked = reviewer.ask(user, questions, self.mode).await?;
        asked.map_err(|reading| denied(user, reading))
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Instant) {
        if let Some(reviewer) = &self.reviewer {
            reviewer.decisions.sweep(now);
        }
    }
}

// === impl AccessReviewer ===

impl AccessReviewer {
    pub fn new(kubernetes: Arc<Kubernetes>, keys: Arc<Keys>, limits: Limits, decided: Decided) -> Self {
        Self {
            kubernetes,
            decisions: Arc::new(Decisions::new(limits)),
            keys,
            paths: Buckets::new(PATHS_EACH_SECOND, PATHS_AT_ONCE),
            others: Buckets::new(OTHERS_EACH_SECOND, OTHERS_AT_ONCE),
            path_reviews: Arc::new(Semaphore::new(PATH_REVIEWS)),
            decided,
        }
    }

    /// Every reading has to be allowed; an error is the first that is not.
    fn known<'q>(&self, user: &User, questions: &'q Questions<'_>) -> Option<Result<(), Reading<'q>>> {
        for reading in questions.readings() {
            if !self.known_reading(user, reading)? {
                return Some(Err(reading));
            }
        }
        Some(Ok(()))
    }

    /// One yes is enough, and only as many noes as there are questions.
    fn known_reading(&self, user: &User, reading: Reading<'_>) -> Option<bool> {
        let first = self.known_of(user, reading.first);
        if first == Some(true) {
            return first;
        }
        match reading.then {
            None => first,
            Some(then) => match self.known_of(user, then) {
                Some(true) => Some(true),
                Some(false) if first.is_some() => Some(false),
                _ => None,
            },
        }
    }

    fn known_of(&self, user: &User, attributes: &Attributes<'_>) -> Option<bool> {
        let key = self.key(user, attributes);
        let known = self
            .decisions
            .known(&key, Instant::now(), self.kubernetes.is_away())?;
        self.decided.known(known.is_stale);
        if known.is_due && self.kubernetes.takes_renewals() {
            let renewal = || self.review(Lane::Renewal, user, attributes, None);
            self.decisions.renew(key, self.owner(user), renewal);
        }
        Some(known.verdict)
    }

    async fn ask<'q>(
        &self,
        user: &User,
        questions: &'q Questions<'_>,
        mode: Mode,
    ) -> Result<Result<(), Reading<'q>>, Answer> {
        for reading in questions.readings() {
            if !self.ask_reading(user, reading, mode).await? {
                return Ok(Err(reading));
            }
        }
        Ok(Ok(()))
    }

    async fn ask_reading(&self, user: &User, reading: Reading<'_>, mode: Mode) -> Result<bool, Answer> {
        let is_path = matches!(reading.first, Attributes::NonResource { .. });
        let first = match mode {
            // Nobody but its sender made such a path.
            _ if is_path && reading.is_other => About::Path(&self.paths),
            // Where only exact paths are asked about, every page of a UI is many questions.
            Mode::Exact if is_path => About::Path(&self.others),
            _ => About::Other,
        };
        if self.ask_one(user, reading.first, first).await? {
            return Ok(true);
        }
        match reading.then {
            Some(then) => {
                let is_path = matches!(then, Attributes::NonResource { .. });
                let about = if is_path {
                    About::Path(&self.paths)
                } else {
                    About::Other
                };
                self.ask_one(user, then, about).await
            }
            None => Ok(false),
        }
    }

    async fn ask_one(
        &self,
        user: &User,
        attributes: &Attributes<'_>,
        about: About<'_>,
    ) -> Result<bool, Answer> {
        if let Some(known) = self.known_of(user, attributes) {
            return Ok(known);
        }
        let (key, owner) = (self.key(user, attributes), self.owner(user));
        let now = Instant::now();
        // A question that is being asked already costs nothing more.
        if self.decisions.honoured(&key, now).is_none() && !self.decisions.is_asked(&key) {
            let bucket = match about {
                About::Path(bucket) => bucket,
                About::Other => &self.others,
            };
            bucket.take(owner, now).map_err(|empty| too_many(user, empty))?;
        }
        self.decided.unknown();
        let turn = matches!(about, About::Path(_)).then(|| Arc::clone(&self.path_reviews));
        let review = || self.review(Lane::Caller, user, attributes, turn);
        match self.decisions.ask(key, owner, review).await {
            Ok(allowed) => Ok(allowed),
            Err(Unavailable::Busy) => Err(too_many(user, Empty(TURN_WITHIN))),
            Err(error) => match self.decisions.honoured(&key, Instant::now()) {
                Some(allowed) if error.is_away() => {
                    self.decided.known(true);
                    Ok(allowed)
                }
                _ => Err(unavailable(&error)),
            },
        }
    }

    /// One SubjectAccessReview, whoever waits for it.
    fn review(
        &self,
        lane: Lane,
        user: &User,
        attributes: &Attributes<'_>,
        turn: Option<Arc<Semaphore>>,
    ) -> impl Future<Output = Result<Answered<bool>, Unavailable>> + Send + 'static + use<> {
        let question = access_question(user.subject(), attributes);
        let ends_in = attributes.is_of_connectors().then_some(OF_CONNECTORS);
        let (kubernetes, decided) = (Arc::clone(&self.kubernetes), self.decided.clone());
        async move {
            let _turn = match &turn {
                Some(turn) => {
                    let turn = tokio::time::timeout(TURN_WITHIN, turn.acquire()).await;
                    Some(turn.map_err(|_| Unavailable::Busy)?)
                }
                None => None,
            };
            let status = match question {
                Ok(question) => kubernetes.review_access(lane, question).await,
                Err(error) => Err(error),
            };
            let allowed = status.map(|status| status.allowed && !status.denied);
            decided.reviewed(allowed.as_ref().ok().copied());
            Ok(Answered {
                verdict: allowed?,
                ends_in,
            })
        }
    }

    fn key(&self, user: &User, attributes: &Attributes<'_>) -> Key {
        let values = attributes.values();
        let values = values.iter().map(|value| value.as_bytes());
        self.keys.of(std::iter::once(&user.digest[..]).chain(values))
    }

    fn owner(&self, user: &User) -> Owner {
        self.keys.owner(user.digest)
    }
}

/// The answer to a caller who may not do this.
fn denied(user: &User, reading: Reading<'_>) -> Answer {
    let refusal = Refusal {
        user: &user.name,
        reading,
    };
    Answer::from(refusal.refused())
}

fn too_many(user: &User, empty: Empty) -> Answer {
    let message = format!(
        "user {} asks for more than can be decided at once; try again later, or have everything allowed that is below one path",
        serde_json::Value::from(&*user.name)
    );
    Answer::status(429, reason::TOO_MANY_QUESTIONS, message).with_retry_after(empty.seconds())
}

fn unavailable(error: &Unavailable) -> Answer {
    let message =
        "nobody can say now whether this is allowed, because the API server gives no answer; try again";
    Answer::status(503, reason::ACCESS_UNAVAILABLE, message)
        .with_retry_after(1)
        .with_detail(error.to_string())
}

#[cfg(test)]
mod tests;
