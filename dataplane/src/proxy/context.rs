use genkan_routing::answer::reason;
use std::net::SocketAddr;
use std::sync::Arc;

use genkan_callers::{Recent, User};
use genkan_routing::answer::Answer;
use genkan_routing::arriving::Kind;
use genkan_routing::connectors::Injected;
use http::{HeaderValue, Method};
use parking_lot::Mutex;
use pingora_core::{Error, ErrorType, Result};
use tokio::time::Instant;

use crate::access::{Access, Line};
use crate::endpoints::Lease;
use crate::front::{EndlessAnswer, Unawaited};
use crate::metrics::Metrics;
use crate::proxy::Running;
use crate::rewriting::{Left, LinkRewriter};
use crate::tables::Route;
use crate::upstream::Upstream;

/// What is known of one request, from its head to its access line.
#[derive(Debug)]
pub struct Context {
    pub start: Instant,
    pub line: Line,
    /// The one object of the tables that the request started with; the tables themselves would be kept for as long
    /// as a tunnel lives.
    pub route: Option<Arc<Route>>,
    /// Where the request goes for it, if that is not its own address.
    pub through: Option<Arc<Route>>,
    /// It is a request of the Connector API; whether methods that write are served there.
    pub connectors: Option<bool>,
    /// Who calls, once that is known.
    pub user: Option<Arc<User>>,
    /// The token that its connection showed last.
    pub recent: Option<Recent>,
    pub outgoing: Option<Outgoing>,
    /// The policies of its object; absent where there are none.
    pub running: Option<Box<Running>>,
    pub kind: Kind,
    pub attempt: Attempt,
    /// An answer of our own that has been decided on in a place where none can be written.
    pub verdict: Option<Answer>,
    /// The answer is of our own, and its status that of the line: in gRPC another one is written.
    pub is_own_answer: bool,
    /// The body of the answer goes no further: the client asked for its head.
    pub is_bodiless: bool,
    /// The client has the whole of its answer, and what the backend still sends is of no use.
    pub is_answered: bool,
    /// In a lock only because the engine wants contexts to be shareable.
    pub links: Option<Mutex<LinkRewriter>>,
    /// So that draining finds it.
    pub endless: Option<EndlessAnswer>,
    /// So that draining for an extension does not count it.
    pub unawaited: Option<Unawaited>,
    access: Arc<Access>,
    metrics: Arc<Metrics>,
    is_logged: bool,
    has_left_links: bool,
}

/// The request for the backend, as the directives made it.
#[derive(Debug)]
pub struct Outgoing {
    pub method: Method,
    /// Behind the base path, with the query.
    pub target: Vec<u8>,
    /// What a backend has to put in front of its links to stay below it.
    pub cluster: String,
    pub stripped_prefix: Option<String>,
    /// What a Connector adds.
    pub call: Option<Call>,
}

/// A request through a Connector.
#[derive(Debug)]
pub struct Call {
    pub injected: Injected,
    /// Of what the client sent: cookies of the tool belong there.
    pub base: String,
    pub host: Option<HeaderValue>,
    /// Of a body that is put together first.
    pub held: Vec<u8>,
}

/// How far the sending has come.
#[derive(Debug, Default)]
pub struct Attempt {
    pub number: u32,
    /// Where no connection could be made.
    pub failed: Vec<SocketAddr>,
    pub lease: Option<Lease>,
    pub is_pinned: bool,
    /// Pinned from the start, because the one before was.
    pub is_pin_remembered: bool,
    /// It failed for a reason of ours before a byte was sent, and another attempt is due.
    pub is_unsent: bool,
    pub is_http2: bool,
    /// Answers before the answer, in all attempts together.
    pub interim_answers: u32,
}

/// Attempts for one request, at most. The engine's own limit is set to the same.
pub const MOST_ATTEMPTS: u32 = 8;

// === impl Attempt ===

impl Attempt {
    /// May there be another one?
    pub fn may_follow(&self) -> bool {
        self.number < MOST_ATTEMPTS
    }
}

// === impl Context ===

impl Context {
    pub fn new(access: Arc<Access>, metrics: Arc<Metrics>) -> Self {
        Self {
            start: Instant::now(),
            line: Line::default(),
            endless: None,
            unawaited: None,
            route: None,
            through: None,
            connectors: None,
            user: None,
            recent: None,
            outgoing: None,
            running: None,
            kind: Kind::default(),
            attempt: Attempt::default(),
            verdict: None,
            is_own_answer: false,
            is_bodiless: false,
            is_answered: false,
            links: None,
            access,
            metrics,
            is_logged: false,
            has_left_links: false,
        }
    }

    /// Where the request goes. Both are there when the engine asks for a peer: deciding is what put them there.
    ///
    /// # Errors
    /// When nothing was decided.
    pub fn destination(&self) -> Result<(Arc<Route>, Arc<Upstream>)> {
        let route = self.route.as_ref();
        let through = self.through.as_ref().or(route);
        let upstream = through.and_then(|through| through.upstream());
        let found = route.and_then(|route| Some((Arc::clone(route), Arc::clone(upstream?))));
        found.ok_or_else(|| Error::explain(ErrorType::InternalError, "no destination was decided on"))
    }

    /// Links of the answer pass unmoved. That is no error, but what its reader misses is found here.
    pub fn note_left_links(&mut self, left: Left) {
        if !std::mem::replace(&mut self.has_left_links, true) {
            self.metrics.answers_left_unmoved.inc();
            self.line.detail = left.sentence().to_owned();
        }
    }

    /// Ends the request: one access line, and the numbers of its object.
    pub fn close(&mut self) {
        if std::mem::replace(&mut self.is_logged, true) {
            return;
        }
        let took = self.start.elapsed();
        self.line.took = took;
        if let Some(running) = self.running.take() {
            running.account();
            self.line.policies = Some(Box::new(running.line()));
        }
        if let Some(route) = &self.route {
            route.meter.record(self.line.status, took);
        }
        self.access.write(&self.line);
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.is_logged {
            return;
        }
        // The engine calls nothing after a panic or when the task is dropped; the request is accounted for here.
        if std::thread::panicking() {
            self.metrics.panics.inc();
            self.line.reason = reason::PANIC.into();
        } else if crate::front::is_stalled() {
            self.line.reason = reason::BODY_TIMEOUT.into();
        } else if self.line.reason.is_empty() {
            self.line.reason = reason::DROPPED.into();
        }
        self.close();
    }
}
