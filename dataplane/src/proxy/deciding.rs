use genkan_routing::answer::reason;
use std::sync::Arc;

use pingora_proxy::Session;

use genkan_routing::connectors::Role;
use genkan_routing::credential::Credential;
use genkan_routing::decide::{
    self, Access, Backend, Deciding, Destination, Family, Next, Plan, Question, Request, Room, Settings,
    Shown,
};
use genkan_routing::model::{Matcher, Unavailable};

use super::fields::Fields;
use super::generating::Generators;
use super::policies::{Asked, Parts};
use super::{Proxy, login, tool};
use crate::access::SHOWN;
use crate::context::{Call, Context, Outgoing};
use crate::listening::{certificate_of, server_name_of};
use crate::tables::{Action, Linked, Route};
use genkan_callers::{Step, User};
use genkan_routing::answer::Answer;

impl Proxy {
    /// Decides where the request goes and what the backend will see of it; an error is the answer. Nothing is waited for
    /// where the questions of the decision are answered already.
    pub(super) async fn decide(&self, session: &mut Session, context: &mut Context) -> Result<(), Answer> {
        let decided = self.judge(session, context).await;
        decided.map_err(|refused| self.invite(session, context, refused))
    }

    async fn judge(&self, session: &mut Session, context: &mut Context) -> Result<(), Answer> {
        let tables = self.current.load();
        let (identity, authorization) = (&self.callers.identity, &self.callers.authorization);
        let Context {
            line,
            route: taking,
            through,
            connectors,
            user: calling,
            outgoing,
            running,
            kind,
            recent,
            ..
        } = context;
        let sent = session.req_header().raw_path().to_vec();
        let method = session.req_header().method.clone();
        let client = line.client.map(|client| client.ip());
        let door = self
            .front
            .door_of(&line.host, server_name_of(session.digest()), client);
        let request = Request {
            method: method.as_str(),
            target: &sent,
            host: &line.host,
            door,
            is_upgrade: kind.upgrade.is_some(),
            has_certificate: identity.knows_certificates() && certificate_of(session.digest()).is_some(),
        };
        let settings = Settings {
            places: identity.places(),
            mode: authorization.mode,
            forwards_always: self.callers.forwards_always,
            front: Some(&self.front),
        };
        let mut room = Room::default();
        let mut deciding =
            Deciding::<Arc<Route>, Arc<User>>::new(request, &tables.table, settings, &mut room);
        loop {
            let mut fields = Fields(session.req_header_mut());
            match deciding.next(&mut fields) {
                // Before anybody is asked who calls: empty tables would say of everything that it does not exist.
                Next::Ask(Question::Who(_)) if tables.sequence == 0 => {
                    line.path = deciding.path().unwrap_or_default().to_owned();
                    return Err(not_configured());
                }
                Next::Ask(Question::Who(shown)) => {
                    let by_cookie = matches!(shown, Shown::Token(Credential::Cookie(_)));
                    let step = match shown {
                        Shown::Nothing => Ok(Step::Known(identity.anonymous())),
                        Shown::Certificate => {
                            let certificate = certificate_of(session.digest());
                            identity.of_certificate(certificate).map(Step::Known)
                        }
                        Shown::Token(Credential::Session(sealed)) => {
                            let key = tables.fleet_key.as_deref();
                            let token = login::token_of(sealed, door.app().unwrap_or_default(), key);
                            token.and_then(|token| identity.of_token(&token, client, recent))
                        }
                        Shown::Token(token) => identity.of_token(token.token(), client, recent),
                    };
                    line.path = deciding
                        .shown_path()
                        .unwrap_or_else(|| deciding.path().unwrap_or_default().to_owned());
                    if deciding.family() == Family::Connectors {
                        *connectors = Some(tables.table.connectors.writes);
                    }
                    let user = match step {
                        Ok(Step::Known(user)) => Ok(user),
                        Ok(Step::Unknown(question)) => identity.ask(question).await,
                        Err(refused) => Err(refused),
                    };
                    let user = user.map_err(|refused| match by_cookie {
                        true => deciding.veiled(refused),
                        false => refused,
                    })?;
                    line.user = Arc::clone(&user.name);
                    *calling = Some(Arc::clone(&user));
                    deciding.is_called_by(user);
                }
                Next::Ask(Question::May(access)) => {
                    let Access {
                        route,
                        caller,
                        questions,
                    } = access;
                    if let Some(route) = route {
                        *taking = Some(Arc::clone(route));
                        line.object = Arc::clone(&route.title);
                    }
                    let verdict = match authorization.known(caller, &questions) {
                        Some(known) => known,
                        None => authorization.ask(caller, &questions).await,
                    };
                    verdict.map_err(|refused| match &*refused.reason {
                        reason::ACCESS_DENIED => deciding.veiled(refused),
                        _ => refused,
                    })?;
                    deciding.is_allowed();
                }
                Next::Ask(Question::Policies(place)) => {
                    let (Some(linked), Some(route)) = (deciding.policies().cloned(), deciding.route()) else {
                        return Err(decide::Answer::nothing().into());
                    };
                    *taking = Some(Arc::clone(route));
                    line.object = Arc::clone(&route.title);
                    let asked = Asked {
                        place,
                        linked: &linked,
                        title: &route.title,
                        path: deciding.path().unwrap_or_default(),
                        query: deciding.query().unwrap_or_default(),
                    };
                    let mut parts = Parts {
                        running,
                        request_id: &line.request_id,
                        host: &line.host,
                        client: line.client,
                        user: calling.as_deref(),
                    };
                    let changed = self.ask_policies(asked, session, &mut parts).await?;
                    if let Some(caller) = &changed.caller {
                        *calling = Some(Arc::clone(caller));
                    }
                    deciding.is_passed(changed);
                }
                Next::Ask(Question::Verb(evaluation)) => {
                    let body = match Generators::wants_body(&evaluation) {
                        true => Some(tool::read_ahead(session).await?),
                        false => None,
                    };
                    let head = session.req_header();
                    let judging = self.generators.judge(&evaluation, head, &line.host, body);
                    deciding.counts_as(judging.await?);
                }
                Next::Ask(Question::Generate(evaluation)) => {
                    let body = match Generators::wants_body(&evaluation) {
                        true => Some(tool::read_ahead(session).await?),
                        false => None,
                    };
                    let head = session.req_header();
                    let injected = self
                        .generators
                        .generate(&evaluation, head, &line.host, body)
                        .await?;
                    deciding.is_generated(injected);
                }
                Next::Ask(Question::Token(grant)) => {
                    deciding.is_generated(tool::grant(&self.tokens, &grant).await?);
                }
                Next::Forward(plan) => {
                    if plan.call.as_ref().is_some_and(|call| call.is_deprecated) {
                        self.metrics.deprecated_requests.inc();
                    }
                    *through = plan.call.is_some().then(|| Arc::clone(plan.route));
                    *outgoing = Some(plan.into());
                    return Ok(());
                }
                Next::Answer(answer) => {
                    let key = tables.fleet_key.as_deref();
                    let answer = match answer {
                        decide::Answer::LogIn(wanted) => self
                            .log_in(&wanted, session.req_header(), key)
                            .map_err(login::alone),
                        decide::Answer::Redeem { code, to } => {
                            let app = door.app().unwrap_or_default();
                            self.redeem(app, &code, &to, session.req_header(), key)
                                .map_err(login::alone)
                        }
                        decide::Answer::Escaped { path, refused } => {
                            if let Some(route) = deciding.route() {
                                route.meter.escape();
                                self.usage.escape(&route.object, path);
                            }
                            Err(refused.into())
                        }
                        answer => Err(answer.into()),
                    };
                    let answer = answer.unwrap_or_else(|refused| refused);
                    if deciding.family() == Family::Connectors {
                        *connectors = Some(tables.table.connectors.writes);
                    }
                    if let Some(path) = deciding.shown_path() {
                        line.path = path;
                    }
                    if line.path.is_empty() {
                        line.path = deciding.path().map_or_else(|| shown(&sent), ToOwned::to_owned);
                    }
                    return Err(answer);
                }
            }
        }
    }
}

/// A path that has no canonical form, for the log.
fn shown(target: &[u8]) -> String {
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    path[..path.len().min(SHOWN)].escape_ascii().to_string()
}

impl From<Plan<'_, Arc<Route>>> for Outgoing {
    fn from(plan: Plan<'_, Arc<Route>>) -> Self {
        let call = plan.call.map(|call| Call {
            injected: call.injected,
            base: String::from_utf8_lossy(call.base).into_owned(),
            host: call.host.and_then(|host| host.try_into().ok()),
            held: Vec::new(),
        });
        Self {
            call,
            method: plan.method,
            target: plan.target,
            cluster: plan.cluster.to_owned(),
            stripped_prefix: plan.stripped_prefix,
        }
    }
}

impl Destination for Route {
    type Handle = Arc<Self>;
    type Policies = Linked;

    fn policies(&self) -> Option<Linked> {
        self.linked.load().as_deref().cloned()
    }

    fn role(&self) -> &Role<Arc<Self>> {
        &self.role
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    fn introduces_caller(&self) -> bool {
        self.introduces_caller
    }

    fn forwards_authorization(&self) -> bool {
        self.forward_authorization
    }

    fn backend(&self) -> Result<Backend<'_>, &Unavailable> {
        match &self.action {
            Action::Forward(upstream) => Ok(Backend {
                base_path: &upstream.base_path,
                directives: self.directives.as_ref(),
            }),
            Action::Unavailable(why) => Err(why),
        }
    }
}

/// Seconds after which the operator is likely to have been reached.
const CONFIGURED_SOON: u32 = 5;

fn not_configured() -> Answer {
    let message = "this data plane has had no configuration yet, so it cannot say what exists; if that lasts, its log and \
                   /readyz say why the operator is not reached";
    Answer::status(503, reason::NOT_CONFIGURED, message).with_retry_after(CONFIGURED_SOON)
}
