use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use serde_json::json;

use genkan_routing::access::Questions;
use genkan_routing::identity::{is_identity_header, is_impersonation_header, tokens};
use genkan_routing::version::priority;
use genkan_routing::{Decision, Input, RequestInfo, Target, repair_query};

use super::{Proxy, arriving, fields};
use crate::answer::Answer;
use crate::authorization::denied;
use crate::context::{Context, Outgoing};
use crate::identity::{KUBESPHERE_AUTHORIZATION, Step, User};
use crate::tables::{Action, Route};

const KUBESPHERE_QUERY: HeaderName = HeaderName::from_static("x-kubesphere-rawquery");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// More proxies than that in front of us are a loop.
const MOST_HOPS: usize = 20;
/// What the engine can hold.
const LONGEST_TARGET: usize = 65_534;

impl Proxy {
    /// Decides where the request goes and what the backend will see of it; an error is the answer.
    pub(super) async fn decide(&self, session: &mut Session, context: &mut Context) -> Result<(), Answer> {
        let tables = self.current.load();
        let raw = Bytes::copy_from_slice(session.req_header().raw_path());
        let target = Target::parse(&raw).map_err(|refusal| {
            let path = raw.split(|&byte| byte == b'?').next().unwrap_or_default();
            context.line.path = path.escape_ascii().to_string();
            Answer::status(400, "PathRefused", refusal.to_string())
        })?;
        context.line.path = target.path.clone().into_owned();
        let request = session.req_header_mut();
        strip(request);
        let query = repair(request, target.query)?;
        refuse_loops(request)?;
        let method = request.method.clone();
        let info = RequestInfo::parse(method.as_str(), &target.path, query.as_deref())
            .map_err(|error| Answer::status(error.code(), "RequestNotUnderstood", error.to_string()))?;
        let user = self.authenticate(session, context).await?;
        refuse_impersonation(session.req_header(), &info)?;
        let decision = tables.doors.decide(method.as_str(), &info, query.as_deref());
        let route = match decision {
            Decision::ReverseProxy(route) | Decision::ApiService(route) => route,
            other => return Err(answer_for(other, &info)),
        };
        context.route = Some(route.clone());
        context.line.object = Arc::clone(&route.title);
        self.authorise(&user, route, method.as_str(), &info).await?;
        let upstream = match &route.action {
            Action::Forward(upstream) => upstream,
            Action::Unavailable { reason, message } => {
                return Err(Answer::status(
                    503,
                    reason.clone(),
                    format!("{}: {message}", route.title),
                ));
            }
        };
        if route.introduces_caller() {
            let checked = user.check_sendable();
            checked.map_err(|error| Answer::status(403, "IdentityNotSendable", error.to_string()))?;
        }
        let request = session.req_header_mut();
        if !(route.forward_authorization || self.callers.forwards_always) {
            self.callers.identity.clear(request);
        }
        let host = arriving::host(request);
        let input = Input {
            method: method.as_str(),
            path: &info.path,
            query: query.as_deref(),
            host,
        };
        context.outgoing = Some(outgoing(route, input, &info, &upstream.base_path)?);
        Ok(())
    }
}

impl Proxy {
    /// Who calls. Nothing is waited for when the caller is known.
    async fn authenticate(&self, session: &Session, context: &mut Context) -> Result<Arc<User>, Answer> {
        let identity = &self.callers.identity;
        let step = identity.recognize(
            session.req_header(),
            session.digest(),
            context.line.client.map(|client| client.ip()),
            context.kind.upgrade.is_some(),
        )?;
        let user = match step {
            Step::Known(user) => user,
            Step::Unknown(question) => identity.ask(question).await?,
        };
        context.line.user = Arc::clone(&user.name);
        context.user = Some(Arc::clone(&user));
        Ok(user)
    }

    /// Whether they may. Nothing is waited for when that is known.
    async fn authorise(
        &self,
        user: &User,
        route: &Route,
        method: &str,
        info: &RequestInfo<'_>,
    ) -> Result<(), Answer> {
        let authorization = &self.callers.authorization;
        let questions = Questions::of(route.access_door(), method, info, authorization.mode);
        match authorization.known(user, &questions) {
            Some(true) => Ok(()),
            Some(false) => Err(denied(user, &questions)),
            None => authorization.ask(user, &questions).await,
        }
    }
}

/// Takes away what a client may not say about itself, and what is meant for us alone.
fn strip(request: &mut RequestHeader) {
    fields::remove_nominated(request);
    fields::remove_where(request, is_identity_header);
}

/// The header repair of KubeSphere; gives the query that counts.
fn repair(request: &mut RequestHeader, query: Option<&[u8]>) -> Result<Option<Vec<u8>>, Answer> {
    let is_blank = request
        .headers
        .get(AUTHORIZATION)
        .is_none_or(HeaderValue::is_empty);
    let credential = request
        .headers
        .get(KUBESPHERE_AUTHORIZATION)
        .filter(|value| !value.is_empty())
        .cloned();
    if let (true, Some(credential)) = (is_blank, credential) {
        request.remove_header(&KUBESPHERE_AUTHORIZATION);
        let _ = request.insert_header("Authorization", credential);
    }
    let query = query.map(|query| repair_query(query).into_owned());
    let sent = request
        .headers
        .get(KUBESPHERE_QUERY)
        .filter(|value| !value.is_empty())
        .cloned();
    match (query, sent) {
        (Some(query), _) if !query.is_empty() => Ok(Some(query)),
        (_, Some(sent)) => {
            if sent
                .as_bytes()
                .iter()
                .any(|byte| !byte.is_ascii_graphic() || *byte == b'#')
            {
                let message = "the header X-KubeSphere-Rawquery holds what a query cannot hold";
                return Err(Answer::status(400, "QueryRefused", message));
            }
            request.remove_header(&KUBESPHERE_QUERY);
            Ok(Some(sent.as_bytes().to_vec()))
        }
        (query, None) => Ok(query),
    }
}

fn refuse_loops(request: &RequestHeader) -> Result<(), Answer> {
    let lines = request.headers.get_all(FORWARDED_FOR);
    let hops: usize = lines.iter().map(|line| tokens(line.as_bytes()).count()).sum();
    if hops <= MOST_HOPS {
        return Ok(());
    }
    let message = format!(
        "X-Forwarded-For names {hops} proxies, more than {MOST_HOPS}: the request goes round in a loop; \
         look for an object whose upstream leads back here"
    );
    Err(Answer::status(508, "LoopDetected", message))
}

/// kube-apiserver judges impersonation itself; anybody else would simply believe the caller.
fn refuse_impersonation(request: &RequestHeader, info: &RequestInfo<'_>) -> Result<(), Answer> {
    let is_for_kubernetes = info.is_kubernetes && info.cluster.is_empty();
    let is_asked = request
        .headers
        .keys()
        .any(|name| is_impersonation_header(name.as_str()));
    if !is_asked || is_for_kubernetes {
        return Ok(());
    }
    let message = "impersonation is supported only for requests to Kubernetes itself; send the request without Impersonate headers";
    Err(Answer::of(403, "ImpersonationNotSupported", message))
}

fn outgoing(route: &Route, input: Input<'_>, info: &RequestInfo<'_>, base: &str) -> Result<Outgoing, Answer> {
    let cluster = info.cluster.to_owned();
    let made = match &route.directives {
        Some(directives) => directives.rewrite_request(input).map_err(|error| {
            Answer::status(error.code(), "PathRefused", format!("{}: {error}", route.title))
        })?,
        None => genkan_routing::Outgoing {
            method: input.method.into(),
            path: input.path.into(),
            query: input.query.map(Into::into),
            stripped_prefix: None,
        },
    };
    let method = Method::from_bytes(made.method.as_bytes()).map_err(|_| {
        Answer::status(
            502,
            "MethodRefused",
            format!("{}: the method {} cannot be sent", route.title, made.method),
        )
    })?;
    let target = sendable(made.target(base));
    if target.len() > LONGEST_TARGET {
        let message = format!(
            "{}: the path and query for the backend are longer than {LONGEST_TARGET} bytes",
            route.title
        );
        return Err(Answer::status(414, "TargetTooLong", message));
    }
    let wraps = route
        .directives
        .as_ref()
        .is_some_and(|directives| directives.wrap_transport);
    let stripped_prefix = made.stripped_prefix.filter(|_| wraps).map(ToOwned::to_owned);
    Ok(Outgoing {
        method,
        target,
        cluster,
        stripped_prefix,
    })
}

/// Escapes what the engine cannot send in a query, whoever put it there: the front does so for the client's target only.
fn sendable(target: Vec<u8>) -> Vec<u8> {
    let is_foreign = |byte: &u8| matches!(byte, b'"' | b'<' | b'>');
    let Some(query) = memchr::memchr(b'?', &target).filter(|at| target[*at..].iter().any(is_foreign)) else {
        return target;
    };
    let (path, query) = target.split_at(query);
    let mut escaped = path.to_vec();
    for byte in query {
        if is_foreign(byte) {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            escaped.push(*byte);
        }
    }
    escaped
}

fn answer_for<R, A>(decision: Decision<'_, R, A>, info: &RequestInfo<'_>) -> Answer {
    match decision {
        Decision::BarePrefix { location } => match HeaderValue::from_bytes(&location) {
            Ok(location) => Answer::redirect(location),
            Err(_) => Answer::status(404, "NoRouteMatched", "nothing is published under this path"),
        },
        Decision::ApiGroup { group, versions } => {
            let mut body = group_json(group, &versions);
            body["kind"] = json!("APIGroup");
            body["apiVersion"] = json!("v1");
            Answer::json(body.to_string())
        }
        Decision::ApiGroupList(groups) => {
            let groups: Vec<_> = groups
                .iter()
                .map(|(group, versions)| group_json(group, versions))
                .collect();
            Answer::json(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }).to_string())
        }
        Decision::Cluster { name } => {
            Answer::status(400, "ClusterNotFound", format!("cluster {name} does not exist"))
        }
        Decision::Kubernetes => Answer::status(
            404,
            "NoRouteMatched",
            "requests to Kubernetes itself (/api, /apis) are not forwarded; use the address of the API server",
        ),
        _ if info.is_resource => Answer::status(
            404,
            "NoRouteMatched",
            format!(
                "no APIService publishes version {} of group {}",
                info.version, info.group
            ),
        ),
        _ => Answer::status(
            404,
            "NoRouteMatched",
            "no ReverseProxy matches this method and path",
        ),
    }
}

fn group_json(group: &str, versions: &[&str]) -> serde_json::Value {
    let json = |version: &&str| json!({ "groupVersion": format!("{group}/{version}"), "version": version });
    let preferred = versions.iter().max_by_key(|version| priority(version)).map(json);
    let versions: Vec<_> = versions.iter().map(json).collect();
    json!({ "name": group, "preferredVersion": preferred, "versions": versions })
}
