//! What becomes of a request, decided without I/O: the data plane and `genkan explain` both drive this.
//!
//! [`STEPS`] is the order in which a request is judged. Where only somebody outside knows the answer, who calls and whether
//! they may, the decision halts with a question, and goes on once it is told. Nothing goes on by itself behind a question.

pub mod app;
mod connectors;
mod escaped;
mod facts;
mod family;
mod halt;
pub mod login;
pub mod matcher;
pub mod precedence;
mod steps;
pub mod table;

use std::borrow::Cow;

use crate::answer::reason;
use crate::connectors::Injected;
use crate::headers::{HeaderStore, HeaderView};
use crate::info::RequestInfo;
use crate::table::{Decision, Table};
use crate::target::Target;

pub use facts::{Backend, Caller, Changed, Destination, Place, Policies, Request, Settings};
pub use family::{Certificate, Credentials, Family};
pub use halt::{Access, Answer, Call, Evaluation, Grant, Next, Plan, Question, Shown, Verb};
pub use steps::{STEPS, Step};

use connectors::Tool;
use escaped::Escape;
use halt::Stop;
use login::Wanted;
use steps::Line;

/// Where a decision keeps what the request's own bytes do not hold.
#[derive(Debug, Default)]
pub struct Room<'a> {
    path: Option<Cow<'a, str>>,
    query: Option<Cow<'a, [u8]>>,
    /// As policies before the review changed it, and as those behind it did.
    changed: [Option<Vec<u8>>; 2],
    home: Option<String>,
}

/// A decision under way. `R` is a published object, `U` a caller.
#[derive(Debug)]
pub struct Deciding<'a, R: Destination, U> {
    request: Request<'a>,
    table: &'a Table<R, R>,
    settings: Settings<'a>,
    room: Slots<'a>,
    /// Of [`STEPS`]: the next one.
    at: usize,
    path: Option<&'a str>,
    query: Option<&'a [u8]>,
    family: Family,
    info: RequestInfo<'a>,
    caller: Option<U>,
    /// As whom the backend is told that the request comes, where policies say so; the review is for `caller`.
    named: Option<U>,
    decision: Option<Decision<'a, R, R>>,
    route: Option<&'a R>,
    is_allowed: bool,
    /// Of the object that takes the request, as they were when it was looked up.
    policies: Option<R::Policies>,
    /// The last place at which they let the request pass.
    passed: Option<Place>,
    /// A policy wants the backend to see the credential that it judged.
    forwards_authorization: bool,
    tool: Tool<'a, R>,
    /// It is one to log in for the object.
    login: Option<Wanted<'a>>,
    line: Option<Line>,
    /// Where a request that left the prefix of its page is sent back to.
    escaped: Option<Escape>,
    /// Where that belongs.
    home: Option<&'a str>,
}

/// The places of a room, each of which is filled once.
#[derive(Debug)]
struct Slots<'a> {
    path: Option<&'a mut Option<Cow<'a, str>>>,
    query: Option<&'a mut Option<Cow<'a, [u8]>>>,
    changed: std::slice::IterMut<'a, Option<Vec<u8>>>,
    home: Option<&'a mut Option<String>>,
}

// === impl Deciding ===

impl<'a, R: Destination<Handle = R>, U: Caller> Deciding<'a, R, U> {
    pub fn new(
        request: Request<'a>,
        table: &'a Table<R, R>,
        settings: Settings<'a>,
        room: &'a mut Room<'a>,
    ) -> Self {
        Self {
            request,
            table,
            settings,
            room: Slots {
                path: Some(&mut room.path),
                query: Some(&mut room.query),
                changed: room.changed.iter_mut(),
                home: Some(&mut room.home),
            },
            at: 0,
            path: None,
            query: None,
            family: Family::default(),
            info: RequestInfo::default(),
            caller: None,
            named: None,
            decision: None,
            route: None,
            is_allowed: false,
            policies: None,
            passed: None,
            forwards_authorization: false,
            tool: Tool::default(),
            login: None,
            line: None,
            escaped: None,
            home: None,
        }
    }

    /// Goes on to the next question, or to the end. `headers` are those of the request, in all calls the same.
    pub fn next<'q, H: HeaderView + HeaderStore>(&'q mut self, headers: &'q mut H) -> Next<'q, 'a, R, U> {
        match (self.run(headers), self.route) {
            (Err(Stop::Answer(answer)), _) => Next::Answer(answer),
            (Err(Stop::Who), _) => match self.shown(headers) {
                Ok(shown) => Next::Ask(Question::Who(shown)),
                Err(refused) if refused.reason == reason::ORIGIN_REFUSED => {
                    Next::Answer(self.veiled(Answer::Refused(refused)))
                }
                Err(refused) => Next::Answer(Answer::Refused(refused)),
            },
            (Err(Stop::Policies(place)), _) => Next::Ask(Question::Policies(place)),
            (Err(Stop::Verb(evaluation)), _) => Next::Ask(Question::Verb(evaluation)),
            (Err(Stop::Generate(evaluation)), _) => Next::Ask(Question::Generate(evaluation)),
            (Err(Stop::Token(grant)), _) => Next::Ask(Question::Token(grant)),
            (Err(Stop::May), route) => match &self.caller {
                Some(caller) => Next::Ask(Question::May(Access {
                    route: route.filter(|_| self.escaped.is_none()),
                    caller,
                    questions: self.questions(route),
                })),
                None => Next::Answer(Answer::nothing()),
            },
            (Ok(line), Some(route)) => Next::Forward(Plan {
                route: self.tool.destination.unwrap_or(route),
                method: line.method,
                target: line.target,
                stripped_prefix: line.stripped_prefix,
                cluster: self.info.cluster,
                call: self.tool.take_call(self.request.target),
            }),
            (Ok(_), None) => Next::Answer(Answer::nothing()),
        }
    }

    /// The answer to [`Question::Who`].
    pub fn is_called_by(&mut self, caller: U) {
        self.caller = Some(caller);
    }

    /// The answer to [`Question::May`], if it is yes; a no is the end of the request.
    pub fn is_allowed(&mut self) {
        self.is_allowed = true;
    }

    /// The answer to [`Question::Policies`], if the request goes on.
    pub fn is_passed(&mut self, changed: Changed<U>) {
        self.passed = STEPS.get(self.at).and_then(|step| step.place());
        if let Some(query) = changed.query {
            self.query = self.room.keep_changed(query);
            self.tool.query_is_changed(self.query);
        }
        if changed.caller.is_some() {
            self.named = changed.caller;
        }
        self.forwards_authorization |= changed.forwards_authorization;
    }

    /// Of the object that takes the request; absent until it was looked up, and where there are none.
    pub fn policies(&self) -> Option<&R::Policies> {
        self.policies.as_ref()
    }

    /// The object that takes the request; absent until that is known.
    pub fn route(&self) -> Option<&'a R> {
        self.route
    }

    /// Without the question mark, as it is by now.
    pub fn query(&self) -> Option<&'a [u8]> {
        self.query
    }

    /// The answer to [`Question::Generate`], or to [`Question::Token`].
    pub fn is_generated(&mut self, injected: Injected) {
        self.tool.injected = Some(injected);
    }

    /// Of the path; [`Family::Other`] until it is known.
    pub fn family(&self) -> Family {
        self.family
    }

    /// In canonical form; absent while there is none.
    pub fn path(&self) -> Option<&'a str> {
        self.path
    }

    /// What the path says, and who could take it; absent until that was looked up.
    pub fn found(&self) -> Option<(&RequestInfo<'a>, &Decision<'a, R, R>)> {
        self.decision.as_ref().map(|decision| (&self.info, decision))
    }

    /// Takes steps to the next halt, or to the request line for the backend.
    fn run(&mut self, headers: &mut (impl HeaderView + HeaderStore)) -> Result<Line, Stop<'a>> {
        while let Some(step) = STEPS.get(self.at) {
            self.take(*step, headers)?;
            self.at += 1;
        }
        self.line.take().ok_or_else(|| Stop::Answer(Answer::nothing()))
    }
}

// === impl Slots ===

impl<'a> Slots<'a> {
    fn keep(&mut self, target: Target<'a>) -> Option<&'a str> {
        let path = self.path.take()?;
        Some(path.insert(target.path))
    }

    fn keep_query(&mut self, query: Cow<'a, [u8]>) -> Option<&'a [u8]> {
        let kept = self.query.take()?;
        Some(kept.insert(query))
    }

    fn keep_home(&mut self, path: String) -> Option<&'a str> {
        let kept = self.home.take()?;
        Some(kept.insert(path).as_str())
    }

    fn keep_changed(&mut self, query: Vec<u8>) -> Option<&'a [u8]> {
        let kept = self.changed.next()?;
        Some(kept.insert(query))
            .filter(|query| !query.is_empty())
            .map(|query| query.as_slice())
    }
}
