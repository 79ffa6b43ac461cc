use http::Method;

use super::connectors;
use super::halt::Stop;
use super::login::{self, Wanted};
use super::{
    Answer, Backend, Caller, Certificate, Credentials, Deciding, Destination, Family, Place, Policies,
    Request, Shown, app,
};
use crate::access::Questions;
use crate::answer::{Refused, reason};
use crate::arriving;
use crate::credential::{self, Credential, Places, SESSION_COOKIE};
use crate::directives::Input;
use crate::door::Door;
use crate::guard::Guard;
use crate::headers::{HeaderStore, HeaderView};
use crate::info::RequestInfo;
use crate::model::Matcher;
use crate::sending::RequestLine;
use crate::table::Decision;
use crate::target::Target;

/// The steps, in the order in which they are taken.
pub const STEPS: [Step; 18] = [
    Step::Target,
    Step::Family,
    Step::Admit,
    Step::Gate,
    Step::Info,
    Step::Lookup,
    Step::Who,
    Step::Impersonation,
    Step::Route,
    Step::PreRequest,
    Step::May,
    Step::Available,
    Step::Worker,
    Step::Policies,
    Step::Provider,
    Step::Credential,
    Step::Introduce,
    Step::Directives,
];

/// One step of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The one canonical path that everything else goes by.
    Target,
    /// To which family of paths it belongs, and so which credentials count.
    Family,
    /// Headers that a client may not send are taken out; the forms of KubeSphere get their usual place; loops end.
    Admit,
    /// What the Connector API never does, whoever asks.
    Gate,
    /// What the path asks for, in the terms of Kubernetes.
    Info,
    /// What is published for this path, or who else it belongs to.
    Lookup,
    /// Who calls is known, unless policies of the object judge that. Asks.
    Who,
    /// Nobody acts as somebody else, but before Kubernetes itself.
    Impersonation,
    /// There is an object that takes the request; genkan answers the rest itself.
    Route,
    /// Hooks of administrators before the review, and what answers preflights. Asks.
    PreRequest,
    /// The caller may. Asks.
    May,
    /// The object works.
    Available,
    /// No service worker of one object acts on another.
    Worker,
    /// Hooks of administrators, then the policies of the object. Asks.
    Policies,
    /// Who answers for a Connector: its tool, the API of its class, or a proxy of its class.
    Provider,
    /// What a Connector calls its tool with. Asks, where a policy makes it.
    Credential,
    /// The backend can be told who calls, and sees no credential that it is not to see.
    Introduce,
    /// What the backend is asked.
    Directives,
}

/// What the directives made of the request line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) method: Method,
    pub(super) target: Vec<u8>,
    pub(super) stripped_prefix: Option<String>,
}

// === impl Step ===

impl Step {
    /// Where its policies act, if it is one of those.
    pub(super) fn place(self) -> Option<Place> {
        match self {
            Self::PreRequest => Some(Place::BeforeReview),
            Self::Policies => Some(Place::AfterReview),
            Self::Target
            | Self::Family
            | Self::Admit
            | Self::Gate
            | Self::Info
            | Self::Lookup
            | Self::Who
            | Self::Impersonation
            | Self::Route
            | Self::May
            | Self::Available
            | Self::Worker
            | Self::Provider
            | Self::Credential
            | Self::Introduce
            | Self::Directives => None,
        }
    }
}

// === impl Deciding: the steps ===

impl<'a, R: Destination<Handle = R>, U: Caller> Deciding<'a, R, U> {
    pub(super) fn take(
        &mut self,
        step: Step,
        headers: &mut (impl HeaderView + HeaderStore),
    ) -> Result<(), Stop<'a>> {
        match step {
            Step::Target => self.target(),
            Step::Family => self.find_family(),
            Step::Admit => self.admit(headers),
            Step::Gate => self.gate(headers),
            Step::Info => self.info(),
            Step::Who => self.who(headers),
            Step::Lookup => self.lookup(headers),
            Step::Impersonation => self.impersonation(headers),
            Step::Route => self.find_route(),
            Step::PreRequest => self.ask_policies(Place::BeforeReview),
            Step::May => self.may(),
            Step::Available => self.available(),
            Step::Worker => self.keep_worker(headers),
            Step::Policies => self.ask_policies(Place::AfterReview),
            Step::Provider => self.choose_provider(),
            Step::Credential => self.find_credential(),
            Step::Introduce => self.introduce(headers),
            Step::Directives => self.direct(),
        }
    }

    fn target(&mut self) -> Result<(), Stop<'a>> {
        let mut target = Target::parse(self.request.target)?;
        match self.request.door {
            Door::Main if login::is_own(&target.path) => {
                let wanted = Wanted::read(self.request.method, &target, self.settings.front);
                let wanted = wanted.map_err(Stop::Answer)?;
                target.path = wanted.path().into();
                self.login = Some(wanted);
            }
            Door::Main => {}
            Door::App(_) if login::is_own(&target.path) => {
                return Err(Stop::Answer(login::on_app(self.request.method, &target)));
            }
            Door::Local(_) if login::is_own(&target.path) => return Err(Stop::Answer(Answer::nothing())),
            Door::App(name) | Door::Local(name) => {
                target.path = ["/proxy/", name, &target.path].concat().into();
            }
            Door::Nowhere => return Err(Stop::Answer(Answer::nothing())),
            Door::Misdirected => return Err(misdirected().into()),
        }
        self.query = target.query;
        self.path = self.room.keep(target);
        Ok(())
    }

    fn find_family(&mut self) -> Result<(), Stop<'a>> {
        let host = self.table.host_cluster.as_deref();
        self.family = Family::of(self.path.unwrap_or_default(), host);
        Ok(())
    }

    fn admit(&mut self, headers: &mut (impl HeaderView + HeaderStore)) -> Result<(), Stop<'a>> {
        if let Some(wanted) = &self.login {
            wanted.admit(headers)?;
        }
        self.query = match arriving::admit(headers, self.query)? {
            Some(query) => self.room.keep_query(query),
            None => None,
        };
        Ok(())
    }

    fn info(&mut self) -> Result<(), Stop<'a>> {
        let path = self.path.unwrap_or_default();
        self.info = RequestInfo::parse(self.request.method, path, self.query)?;
        Ok(())
    }

    fn who(&self, headers: &mut (impl HeaderView + HeaderStore)) -> Result<(), Stop<'a>> {
        if self.caller.is_none() {
            return Err(Stop::Who);
        }
        if let Door::App(_) = self.request.door {
            // From here on authors look at the request.
            credential::clear_own_cookies(headers);
        }
        Ok(())
    }

    fn lookup(&mut self, headers: &impl HeaderView) -> Result<(), Stop<'a>> {
        let decision = match self.family {
            Family::Connectors => {
                let found = self.tool.path.and_then(|path| self.table.connectors.get(&path));
                Decision::Connector(found)
            }
            _ => self.table.decide(self.request.method, &self.info, self.query),
        };
        let object = match decision {
            Decision::ReverseProxy(route) | Decision::ApiService(route) => Some(route),
            Decision::Connector(found) => found,
            _ => None,
        };
        self.policies = object.and_then(Destination::policies);
        self.decision = Some(decision);
        self.seek_page(headers);
        Ok(())
    }

    fn impersonation(&self, headers: &impl HeaderView) -> Result<(), Stop<'a>> {
        let decision = self.decision.as_ref().unwrap_or(&Decision::NotFound);
        arriving::refuse_impersonation(headers, decision)
            .map_err(|refused| Stop::Answer(Answer::Unsupported(refused)))
    }

    fn find_route(&mut self) -> Result<(), Stop<'a>> {
        let Some(decision) = &mut self.decision else {
            return Err(Stop::Answer(Answer::nothing()));
        };
        if let Some(refused) = decision.refusal(&self.info) {
            return Err(refused.into());
        }
        if let Decision::ReverseProxy(route) | Decision::ApiService(route) = *decision {
            return self.take_route(route);
        }
        if let Decision::Connector(found) = *decision {
            self.route = found;
            return Ok(());
        }
        let answer = match std::mem::replace(decision, Decision::NotFound) {
            Decision::BarePrefix { location } => Answer::Redirect { location },
            Decision::ApiGroup { group, versions } => Answer::ApiGroup { group, versions },
            Decision::ApiGroupList(groups) => Answer::ApiGroupList(groups),
            _ => Answer::nothing(),
        };
        Err(Stop::Answer(answer))
    }

    /// By the name of a web UI nothing but that is reached, and perhaps it by no other way.
    fn take_route(&mut self, route: &'a R) -> Result<(), Stop<'a>> {
        let named = self.login.as_ref().map(|wanted| &*wanted.app);
        if let Some(name) = named.or(self.request.door.app())
            && app_of(route) != Some(name)
        {
            return Err(Stop::Answer(Answer::nothing()));
        }
        if let Some(wanted) = self.login.take() {
            let is_anonymous = self.caller.as_ref().is_none_or(Caller::is_anonymous);
            return Err(Stop::Answer(wanted.answer(is_anonymous)));
        }
        let front = self.settings.front.filter(|front| front.apps_only);
        let front = front.filter(|_| self.escaped.is_none());
        if let (Some(front), Door::Main) = (front, self.request.door)
            && login::may_be_of_app(self.family)
            && !front.is_of_own_machine(self.request.host)
            && let Some(name) = app_of(route)
            && let Some(location) = login::location_of_app(front, name, &self.info.path, self.query)
        {
            return Err(Stop::Answer(Answer::ToApp { location }));
        }
        self.route = Some(route);
        Ok(())
    }

    fn ask_policies(&self, place: Place) -> Result<(), Stop<'a>> {
        let acts = self
            .policies
            .as_ref()
            .is_some_and(|policies| policies.acts(place));
        match acts && self.passed != Some(place) {
            true => Err(Stop::Policies(place)),
            false => Ok(()),
        }
    }

    fn may(&mut self) -> Result<(), Stop<'a>> {
        match self.is_allowed {
            true => self.send_back().and_then(|()| self.count_as()),
            false => Err(Stop::May),
        }
    }

    fn available(&self) -> Result<(), Stop<'a>> {
        self.tell_flags()?;
        match (self.tool.path, self.route) {
            (Some(path), None) => Err(connectors::connector_not_found(&path).into()),
            _ => self.backend().map(|_| ()),
        }
    }

    fn keep_worker(&self, headers: &impl HeaderView) -> Result<(), Stop<'a>> {
        if self.request.door.app().is_some() {
            return Ok(());
        }
        let Some((route, Matcher::ReverseProxy { path, .. })) =
            self.route.map(|route| (route, route.matcher()))
        else {
            return Ok(());
        };
        let sent = self.request.target.split(|byte| *byte == b'?').next();
        let guard = Guard::new(
            path,
            self.path.unwrap_or_default(),
            sent.unwrap_or_default(),
            None,
        );
        match guard.refuses_worker(headers) {
            true => Err(guard.worker_refused(route.title()).into()),
            false => Ok(()),
        }
    }

    fn introduce(&mut self, headers: &mut (impl HeaderView + HeaderStore)) -> Result<(), Stop<'a>> {
        if self.tool.path.is_some() {
            self.leave_caller_behind(headers);
            return Ok(());
        }
        let route = self.destination()?;
        let caller = self.named.as_ref().or(self.caller.as_ref());
        if let (true, Some(caller)) = (route.introduces_caller(), caller) {
            caller.introduction()?;
        }
        let keeps = route.forwards_authorization() || self.settings.forwards_always;
        if keeps {
            credential::clear_own_cookies(headers);
        }
        if let Some(places) = self.settings.places.filter(|_| !keeps) {
            match self.forwards_authorization {
                true => places.clear_all_but_authorization(headers),
                false => places.clear(headers),
            }
        }
        Ok(())
    }

    fn direct(&mut self) -> Result<(), Stop<'a>> {
        if self.tool.path.is_some() {
            return self.call_tool();
        }
        let (route, backend) = (self.destination()?, self.backend()?);
        let input = Input {
            method: self.request.method,
            path: &self.info.path,
            query: self.query,
            host: self.request.host,
        };
        let made = RequestLine::make(route.title(), backend.directives, input, backend.base_path)?;
        self.line = Some(Line {
            method: made.method,
            stripped_prefix: match self.request.door.app() {
                None => made.stripped_prefix.map(ToOwned::to_owned),
                Some(_) => None,
            },
            target: made.target,
        });
        Ok(())
    }
}

// === impl Deciding: what steps and questions need ===

impl<'a, R: Destination<Handle = R>, U: Caller> Deciding<'a, R, U> {
    /// Policies of the object judge who calls, so that nobody else is asked.
    fn is_claimed(&self) -> bool {
        let policies = self.policies.as_ref();
        policies.is_some_and(Policies::claims_authorization)
    }

    pub(super) fn destination(&self) -> Result<&'a R, Stop<'a>> {
        self.route.ok_or_else(|| Stop::Answer(Answer::nothing()))
    }

    pub(super) fn backend(&self) -> Result<Backend<'a>, Stop<'a>> {
        self.backend_of(self.destination()?)
    }

    pub(super) fn backend_of(&self, route: &'a R) -> Result<Backend<'a>, Stop<'a>> {
        route.backend().map_err(|why| {
            let title = route.title();
            Stop::Answer(Answer::Unavailable { title, why })
        })
    }

    pub(super) fn questions<'q>(&'q self, route: Option<&'q R>) -> Questions<'q> {
        let Some(route) = route.filter(|_| self.family != Family::Connectors) else {
            return self.questions_of_tool();
        };
        let (kind, mode) = (route.matcher().route_kind(), self.settings.mode);
        Questions::of(kind, self.request.method, &self.info, self.query, mode)
    }

    /// What the request shows of its caller, of all that counts. In the order of Kubernetes: a certificate comes before a
    /// token.
    pub(super) fn shown<'q>(&self, headers: &'q impl HeaderView) -> Result<Shown<'q>, Refused> {
        let Some(places) = self.settings.places.filter(|_| !self.is_claimed()) else {
            return Ok(Shown::Nothing);
        };
        let Request {
            method,
            host,
            is_upgrade,
            has_certificate,
            ..
        } = self.request;
        let Credentials { cookie, certificate } = self.family.credentials();
        let cookie = match self.request.door {
            Door::Main if cookie => places.cookie.as_deref(),
            Door::App(_) if cookie => Some(SESSION_COOKIE),
            Door::Main | Door::App(_) | Door::Local(_) | Door::Nowhere | Door::Misdirected => None,
        };
        let counts = match certificate {
            Certificate::Counts => has_certificate,
            Certificate::OfToolsOnly => has_certificate && !credential::is_by_browser(headers),
            Certificate::Ignored | Certificate::NotForwardable => false,
        };
        if counts {
            if credential::is_of_another_site(headers, method, host, is_upgrade) {
                return Err(credential::foreign_origin());
            }
            return Ok(Shown::Certificate);
        }
        if self.family == Family::Connectors {
            connectors::require_bearer(headers)?;
        }
        match Places::read_usable(headers, method, host, is_upgrade, cookie)? {
            Credential::Nothing if has_certificate && certificate == Certificate::NotForwardable => {
                Err(credential::not_forwardable())
            }
            Credential::Nothing => Ok(Shown::Nothing),
            token => Ok(Shown::Token(token)),
        }
    }
}

/// The name of the UI that an object is: it takes all that is below `/proxy/NAME`, of which its backend sees nothing. One
/// that is broken answers for itself.
pub(super) fn app_of<R: Destination>(route: &R) -> Option<&str> {
    let strips = route
        .backend()
        .map(|backend| backend.directives.map_or("", |directives| directives.strips()));
    app::name(route.matcher(), strips.ok())
}

fn misdirected() -> Refused {
    let message = "this connection was encrypted for another door of genkan than the one that its Host header names; open                    another connection for this host";
    Refused::new(421, reason::MISDIRECTED, message)
}
