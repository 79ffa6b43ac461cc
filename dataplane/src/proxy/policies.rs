//! Policies of objects, run on requests and on answers.

mod memory;
mod outside;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use genkan_callers::{CallerCertificate, User};
use genkan_policies::{
    AnswerBody, Caller, Certificate, Class, Coming, EARLY_BODY, Exchange, Later, Outcome, Plan, PolicyAnswer,
    Reading, Replacing, Source, Stage, State,
};
use genkan_routing::answer::{Answer, Body, OfPolicy, Status, Text, reason};
use genkan_routing::decide::{Changed, Place};
use genkan_routing::model::Unavailable;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tokio::time::Instant;

use super::fields::Head;
use super::{Proxy, tool};
use crate::access::PolicyLine;
use crate::context::Context;
use crate::listening::certificate_of;
use crate::tables::Linked;

pub use outside::Outside;

/// The policies of one request, and what they have come to so far.
#[derive(Debug)]
pub struct Running {
    linked: Linked,
    state: State,
    /// As policies saw it, in canonical form.
    path: String,
    query: String,
    /// The head for the backend, as hooks behind everything else made it once for all attempts.
    sent: Option<HeaderMap>,
    /// Bytes of the body that came, if policies read it.
    body: Option<Bytes>,
    /// What that takes.
    memory: Option<memory::Taken>,
    is_replaced: bool,
    /// The step that answered.
    step: Arc<str>,
    took: Duration,
    /// Of the attempt under way: the body in place of the client's has gone out.
    is_body_sent: bool,
}

/// What is asked of policies, of one place in a decision.
pub(super) struct Asked<'a> {
    pub place: Place,
    pub linked: &'a Linked,
    pub title: &'a str,
    pub path: &'a str,
    pub query: &'a [u8],
}

/// The header fields of a message of the engine, for policies.
struct Fields<'h, H>(&'h mut H);

impl<H: Head + Send + Sync> genkan_policies::Headers for Fields<'_, H> {
    fn map(&self) -> &HeaderMap {
        self.0.headers()
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.insert(name, value);
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.append(name, value);
    }

    fn remove(&mut self, name: &HeaderName) {
        self.0.remove_name(name);
    }
}

// === impl Proxy ===

impl Proxy {
    /// Asks the policies of one place of the decision; an error is the answer.
    pub(super) async fn ask_policies(
        &self,
        asked: Asked<'_>,
        session: &mut Session,
        context: &mut Parts<'_>,
    ) -> Result<Changed<Arc<User>>, Answer> {
        let plan = asked.linked.plan().map_err(|why| unavailable(asked.title, why))?;
        let running = context.running.get_or_insert_with(|| {
            Box::new(Running {
                linked: asked.linked.clone(),
                state: State::default(),
                path: asked.path.to_owned(),
                query: String::from_utf8_lossy(asked.query).into_owned(),
                sent: None,
                body: None,
                memory: None,
                is_replaced: false,
                step: Arc::default(),
                took: Duration::ZERO,
                is_body_sent: false,
            })
        });
        let chain = match asked.place {
            Place::BeforeReview => &plan.before_review,
            Place::AfterReview => {
                if plan.class() != Class::HeaderOnly {
                    read(session, plan, (&mut running.body, &mut running.memory)).await?;
                }
                &plan.after_review
            }
        };
        let before = running.state.query.clone();
        let names = self.certificate(session);
        let (method, scheme) = (session.req_header().method.clone(), scheme_of(session));
        let source = Source {
            address: context.client.map(|client| client.ip().to_canonical()),
            certificate: names.as_ref(),
        };
        let request = genkan_policies::Request {
            id: context.request_id,
            method: method.as_str(),
            scheme,
            host: context.host,
            path: &running.path,
            query: &running.query,
            route: asked.title,
            source,
            caller: context.user.map(caller_of).unwrap_or_default(),
        };
        let mut fields = Fields(session.req_header_mut());
        let mut exchange = Exchange::new(request, Stage::Request(&mut fields), &mut running.state);
        if let Some(body) = &running.body {
            exchange = exchange.with_body(body.clone());
        }
        let begun = Instant::now();
        let outcome = chain.run(&mut exchange, &*self.outside).await;
        running.took += begun.elapsed();
        if let Outcome::Answer(answer) = outcome {
            return Err(answer_of(*answer));
        }
        let query = running
            .state
            .query
            .as_ref()
            .filter(|query| before.as_ref() != Some(*query));
        let identity = running.state.identity.as_ref();
        Ok(Changed {
            query: query.map(|query| query.as_bytes().to_vec()),
            caller: identity.map(|identity| self.callers.identity.named(&identity.user, &identity.groups)),
            forwards_authorization: running.state.forwards_authorization,
        })
    }

    /// Of the certificate that the client shows, if it is one of those that are taken here by now.
    fn certificate(&self, session: &Session) -> Option<Certificate> {
        let certificate = certificate_of(session.digest())?;
        let is_taken = self.callers.identity.of_certificate(Some(certificate)).is_ok();
        is_taken.then(|| names_of(certificate))
    }

    /// Hooks on the head that the backend will see; it is made once, whatever the number of attempts.
    pub(super) async fn before_sending(
        &self,
        session: &Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        let Some(running) = context.running.as_deref_mut() else {
            return Ok(());
        };
        running.is_body_sent = false;
        if let Some(body) = &running.state.body {
            let came_empty = running.body.as_ref().is_none_or(Bytes::is_empty);
            if came_empty && !body.is_empty() && request.version == Version::HTTP_2 {
                context.verdict = Some(no_stream(&context.line.object));
                return Err(Error::new_in(ErrorType::InternalError));
            }
            let outgoing = context.outgoing.as_ref();
            let call = outgoing.and_then(|outgoing| outgoing.call.as_ref());
            frame(
                request,
                body,
                call.is_some_and(|call| call.injected.body.is_some()),
            )?;
        }
        let Ok(plan) = running.linked.plan() else {
            return Ok(());
        };
        if plan.post_request.is_empty() {
            return Ok(());
        }
        if let Some(sent) = &running.sent {
            install(request, sent);
            return Ok(());
        }
        let known = Known::of(
            self.certificate(session),
            session,
            &context.line,
            context.user.as_deref(),
        );
        let seen = known.request(&running.path, &running.query);
        let mut fields = Fields(request);
        let mut exchange = Exchange::new(seen, Stage::Request(&mut fields), &mut running.state);
        if let Outcome::Answer(answer) = plan.post_request.run(&mut exchange, &*self.outside).await {
            context.verdict = Some(answer_of(*answer));
            return Err(Error::new_in(ErrorType::InternalError));
        }
        running.sent = Some(request.headers.clone());
        Ok(())
    }

    /// The policies of the object on the answer of its backend.
    pub(super) async fn on_answer(
        &self,
        session: &Session,
        response: &mut ResponseHeader,
        context: &mut Context,
        at: Answered,
    ) -> Result<()> {
        if response.status.is_informational() {
            return Ok(());
        }
        let Some(running) = context.running.as_deref_mut() else {
            return Ok(());
        };
        let Ok(plan) = running.linked.plan() else {
            return Ok(());
        };
        let chain = match at {
            Answered::ByBackend => &plan.response,
            Answered::ForClient => &plan.post_response,
        };
        if !chain.is_empty() {
            let known = Known::of(
                self.certificate(session),
                session,
                &context.line,
                context.user.as_deref(),
            );
            let seen = known.request(&running.path, &running.query);
            let mut status = response.status.as_u16();
            let mut fields = Fields(response);
            let stage = Stage::Response {
                request: &session.req_header().headers,
                status: &mut status,
                headers: &mut fields,
            };
            let mut exchange = Exchange::new(seen, stage, &mut running.state);
            exchange.body.clone_from(&running.body);
            if let Outcome::Answer(answer) = chain.run(&mut exchange, &*self.outside).await {
                context.verdict = Some(answer_of(*answer));
                return Err(Error::new_in(ErrorType::InternalError));
            }
            if status != response.status.as_u16() {
                response.set_status(status)?;
            }
        }
        if at == Answered::ForClient {
            add_later(&running.state, response);
        }
        Ok(())
    }

    /// What a hook for errors says in place of an answer of genkan's own.
    pub(super) async fn replaced(&self, session: &Session, context: &mut Context, answer: Answer) -> Answer {
        let is_error = answer.code >= 400 && !answer.is_responded();
        let Some(running) = context
            .running
            .as_deref_mut()
            .filter(|running| is_error && !running.is_replaced)
        else {
            return answer;
        };
        running.is_replaced = true;
        let Ok(plan) = running.linked.plan() else {
            return answer;
        };
        if !plan.is_for_errors() {
            return answer;
        }
        let known = Known::of(
            self.certificate(session),
            session,
            &context.line,
            context.user.as_deref(),
        );
        let seen = known.request(&running.path, &running.query);
        let error = Replacing {
            status: answer.code,
            reason: &answer.reason,
            message: answer.message(),
        };
        let headers = &session.req_header().headers;
        let replaced = plan
            .replace(error, seen, headers, &mut running.state, &*self.outside)
            .await;
        let Some(replaced) = replaced else {
            return answer;
        };
        let body = match replaced.body {
            AnswerBody::Raw { content_type, bytes } => Body::Text(Box::new(Text {
                content_type,
                text: String::from_utf8_lossy(&bytes).into_owned(),
                message: replaced.message,
            })),
            AnswerBody::Status => Body::Status(Status {
                code: replaced.status,
                reason: answer.reason.clone(),
                message: replaced.message,
            }),
        };
        let mut made = Answer::status(replaced.status, answer.reason, "");
        made.body = body;
        made.detail = answer.detail;
        made.policy = Some(Box::new(OfPolicy {
            step: replaced.step,
            headers: replaced.headers,
            is_responded: false,
        }));
        made
    }
}

/// The body of a running request, and the memory for it.
type Held<'r> = (&'r mut Option<Bytes>, &'r mut Option<memory::Taken>);

/// Which head of an answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    ByBackend,
    ForClient,
}

/// What of a request the decision shares with policies.
pub(super) struct Parts<'c> {
    pub running: &'c mut Option<Box<Running>>,
    pub request_id: &'c str,
    pub host: &'c str,
    pub client: Option<std::net::SocketAddr>,
    pub user: Option<&'c User>,
}

/// What a request is to policies behind its decision.
struct Known<'c> {
    line: &'c crate::access::Line,
    method: &'c str,
    scheme: &'static str,
    names: Option<Certificate>,
    user: Option<&'c User>,
}

// === impl Known ===

impl<'c> Known<'c> {
    fn of(
        names: Option<Certificate>,
        session: &'c Session,
        line: &'c crate::access::Line,
        user: Option<&'c User>,
    ) -> Self {
        Self {
            line,
            method: session.req_header().method.as_str(),
            scheme: scheme_of(session),
            names,
            user,
        }
    }

    fn request<'x>(&'x self, path: &'x str, query: &'x str) -> genkan_policies::Request<'x> {
        genkan_policies::Request {
            id: &self.line.request_id,
            method: self.method,
            scheme: self.scheme,
            host: &self.line.host,
            path,
            query,
            route: &self.line.object,
            source: Source {
                address: self.line.client.map(|client| client.ip().to_canonical()),
                certificate: self.names.as_ref(),
            },
            caller: self.user.map(caller_of).unwrap_or_default(),
        }
    }
}

// === impl Running ===

impl Running {
    /// The request is over: it counts for the extensions of which it met a step.
    pub fn account(&self) {
        if let Ok(plan) = self.linked.plan() {
            plan.account(&self.state);
        }
    }

    /// What the access line tells of it.
    pub fn line(self) -> PolicyLine {
        PolicyLine {
            step: self.step,
            class: match self.linked.plan().map(|plan| plan.class()) {
                Ok(Class::EarlyBody) => "EarlyBody",
                Ok(Class::ResponseBody) => "ResponseBody",
                Ok(Class::HeaderOnly) | Err(_) => "HeaderOnly",
            },
            took: self.took,
            warned: self.state.warned,
            fields: self.state.log,
        }
    }

    /// Notes who answered.
    pub(super) fn note_answer(&mut self, answer: &Answer) {
        if let Some(policy) = &answer.policy {
            self.step = Arc::clone(&policy.step);
        }
    }
}

fn scheme_of(session: &Session) -> &'static str {
    let is_tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    if is_tls { "https" } else { "http" }
}

fn names_of(certificate: &CallerCertificate) -> Certificate {
    let names = &certificate.names;
    Certificate {
        subject: names.subject.clone(),
        dns: names.dns.clone(),
        uri: names.uri.clone(),
    }
}

fn caller_of(user: &User) -> Caller<'_> {
    Caller {
        user: &user.name,
        groups: &user.groups,
        ..Caller::default()
    }
}

/// What is known of the body before it comes.
fn reading(session: &Session) -> Reading<'_> {
    let headers = &session.req_header().headers;
    let is_open = headers.contains_key(TRANSFER_ENCODING) || session.is_http2();
    Reading::of(headers, session.is_upgrade_req(), is_open)
}

/// # Errors
/// The answer to a body that no policy can look at.
async fn read(session: &mut Session, plan: &Plan, (body, memory): Held<'_>) -> Result<(), Answer> {
    let reading = reading(session);
    let most = reading.bytes.unwrap_or(EARLY_BODY).min(EARLY_BODY);
    match plan.class_for(&reading) {
        Coming::HeaderOnly => Ok(()),
        Coming::Answer(answer) => Err(answer_of(*answer)),
        Coming::EarlyBody => {
            let mut taken = memory::BODIES.take(most).ok_or_else(no_memory)?;
            let read = tool::read_early(session).await?;
            taken.keep(read.len());
            (*body, *memory) = (Some(read), Some(taken));
            Ok(())
        }
    }
}

/// The engine ends the stream to such a backend with the head of a request that came without a body.
fn no_stream(title: &str) -> Answer {
    let message = format!(
        "{title}: a policy gives the request a body, and it came without one; this version of genkan sends no body of its \
         own to a backend that speaks HTTP/2"
    );
    Answer::status(501, reason::UNSUPPORTED, message)
}

fn no_memory() -> Answer {
    let message = "the memory for bodies that policies look at is used up here; try again in a moment";
    Answer::status(503, reason::BODY_MEMORY_EXHAUSTED, message)
}

/// Says how long the body is that policies made. `grows`: a credential goes into it, so that nobody can say it yet.
fn frame(request: &mut RequestHeader, body: &Bytes, grows: bool) -> Result<()> {
    if !grows {
        request.remove_header(&TRANSFER_ENCODING);
        request.insert_header(CONTENT_LENGTH, body.len())?;
    }
    Ok(())
}

fn install(request: &mut RequestHeader, sent: &HeaderMap) {
    let names: Vec<HeaderName> = request.headers.keys().cloned().collect();
    for name in names {
        request.remove_header(&name);
    }
    for (name, value) in sent {
        // Names and values are those of a head that was made before.
        let _ = request.append_header(name.clone(), value.clone());
    }
}

/// What policies add to the head of an answer of genkan's own.
pub(super) fn dress(running: Option<&Running>, answer: Option<&OfPolicy>, response: &mut ResponseHeader) {
    if let Some(running) = running {
        add_later(&running.state, response);
    }
    let mut named: Vec<&HeaderName> = Vec::new();
    for (name, value) in answer.iter().flat_map(|answer| &answer.headers) {
        // Names and values are such.
        let _ = match named.contains(&name) {
            false => response.insert_header(name.clone(), value.clone()),
            true => response.append_header(name.clone(), value.clone()).map(|_| ()),
        };
        named.push(name);
    }
}

/// The body that policies made goes in place of the client's: its first piece is all of it.
pub(super) fn replace_body(context: &mut Context, body: &mut Option<Bytes>, is_end: bool) {
    let made = context.running.as_mut().and_then(|running| {
        let made = running.state.body.clone()?;
        Some((made, std::mem::replace(&mut running.is_body_sent, !is_end)))
    });
    if let Some((made, is_sent)) = made {
        *body = (!is_sent).then_some(made);
    }
}

fn add_later(state: &State, response: &mut ResponseHeader) {
    for later in &state.later {
        // Names and values are such.
        let _ = match later {
            Later::Set(name, value) => response.insert_header(name.clone(), value.clone()),
            Later::Add(name, value) => response.append_header(name.clone(), value.clone()).map(|_| ()),
        };
    }
}

fn unavailable(title: &str, why: &Unavailable) -> Answer {
    Answer::status(503, why.reason.clone(), format!("{title}: {}", why.message))
}

/// An answer of a policy, as genkan gives it.
fn answer_of(answer: PolicyAnswer) -> Answer {
    let (content_type, bytes) = answer.render();
    let mut made = Answer::status(answer.status, answer.reason.clone(), "");
    made.policy = Some(Box::new(OfPolicy {
        is_responded: !answer.is_error(),
        step: answer.step,
        headers: answer.headers,
    }));
    made.body = Body::Text(Box::new(Text {
        content_type,
        text: String::from_utf8_lossy(&bytes).into_owned(),
        message: answer.message,
    }));
    made.detail = answer.detail.into();
    made
}

#[cfg(test)]
mod tests {
    use genkan_routing::connectors::{Generated, Injected, Position};

    use super::*;

    #[test]
    fn nobody_says_how_long_a_body_is_that_a_credential_goes_into() {
        let generated = Generated {
            position: Position::Body,
            content_type: "application/json".to_owned(),
            auth: vec![("key".to_owned(), "value".into())],
        };
        let injected: Injected = generated.try_into().unwrap();
        let framing = |injected: &Injected| {
            let mut request = RequestHeader::build("POST", b"/", None).unwrap();
            request.insert_header(CONTENT_LENGTH, "3").unwrap();
            tool::inject(injected, &mut request).unwrap();
            frame(
                &mut request,
                &Bytes::from_static(b"{\"a\": 1}"),
                injected.body.is_some(),
            )
            .unwrap();
            let text = |name| {
                request
                    .headers
                    .get(name)
                    .map(|value| value.to_str().unwrap().to_owned())
            };
            (text(CONTENT_LENGTH), text(TRANSFER_ENCODING))
        };
        assert_eq!(framing(&injected), (None, Some("chunked".to_owned())));
        assert_eq!(framing(&Injected::default()), (Some("8".to_owned()), None));
    }
}
