use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use pingora_proxy::Session;
use serde_json::json;

use genkan_routing::access::Questions;
use genkan_routing::arriving;
use genkan_routing::sending::RequestLine;
use genkan_routing::version::priority;
use genkan_routing::{Decision, Input, Refused, RequestInfo, Target};

use super::Proxy;
use super::fields::Fields;
use crate::access::SHOWN;
use crate::answer::{Answer, Hint};
use crate::authority;
use crate::context::{Context, Outgoing};
use crate::identity::{Step, User};
use crate::tables::{Action, Route};

impl Proxy {
    /// Decides where the request goes and what the backend will see of it; an error is the answer.
    pub(super) async fn decide(&self, session: &mut Session, context: &mut Context) -> Result<(), Answer> {
        let tables = self.current.load();
        let raw = Bytes::copy_from_slice(session.req_header().raw_path());
        let target = Target::parse(&raw).map_err(|refusal| {
            let path = raw.split(|&byte| byte == b'?').next().unwrap_or_default();
            context.line.path = path[..path.len().min(SHOWN)].escape_ascii().to_string();
            Refused::from(refusal)
        })?;
        context.line.path = target.path.clone().into_owned();
        let request = session.req_header_mut();
        let query = arriving::admit(&mut Fields(request), target.query)?;
        let method = request.method.clone();
        let info =
            RequestInfo::parse(method.as_str(), &target.path, query.as_deref()).map_err(Refused::from)?;
        // Before anybody is asked who calls: empty tables would say of everything that it does not exist.
        if tables.sequence == 0 {
            return Err(not_configured());
        }
        let user = self.authenticate(session, context).await?;
        let decision = tables.doors.decide(method.as_str(), &info, query.as_deref());
        arriving::refuse_impersonation(&session.req_header().headers, &decision)
            .map_err(|refused| Answer::of(refused.code, refused.reason, refused.message))?;
        let route = match decision {
            Decision::ReverseProxy(route) | Decision::ApiService(route) => route,
            other => return Err(answer_for(other, &info)),
        };
        context.route = Some(route.clone());
        context.line.object = Arc::clone(&route.title);
        let questions = Questions::of(
            route.matcher.door(),
            method.as_str(),
            &info,
            query.as_deref(),
            self.callers.authorization.mode,
        );
        self.authorise(&user, &questions).await?;
        let upstream = match &route.action {
            Action::Forward(upstream) => upstream,
            Action::Unavailable(why) => {
                let message = format!("{}: {}", route.title, why.message);
                return Err(Answer::status(503, why.reason.clone(), message));
            }
        };
        if route.introduces_caller {
            user.introduction().map_err(Refused::from)?;
        }
        let request = session.req_header_mut();
        if !(route.forward_authorization || self.callers.forwards_always) {
            self.callers.identity.clear(request);
        }
        let host = authority::named(request);
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
    async fn authorise(&self, user: &User, questions: &Questions<'_>) -> Result<(), Answer> {
        let authorization = &self.callers.authorization;
        match authorization.known(user, questions) {
            Some(known) => known,
            None => authorization.ask(user, questions).await,
        }
    }
}

fn outgoing(
    route: &Route,
    input: Input<'_>,
    info: &RequestInfo<'_>,
    base: &str,
) -> Result<Outgoing, Refused> {
    let directives = route.directives.as_ref();
    let line = RequestLine::make(&route.title, directives, input, base)?;
    let wraps = directives.is_some_and(|directives| directives.wrap_transport);
    Ok(Outgoing {
        method: line.method,
        target: line.target,
        cluster: info.cluster.to_owned(),
        stripped_prefix: line.stripped_prefix.filter(|_| wraps).map(ToOwned::to_owned),
    })
}

fn answer_for<R, A>(decision: Decision<'_, R, A>, info: &RequestInfo<'_>) -> Answer {
    if let Some(refused) = decision.refusal(info) {
        return refused.into();
    }
    match decision {
        Decision::BarePrefix { location } => match HeaderValue::from_bytes(&location) {
            Ok(location) => Answer::redirect(location),
            Err(_) => unserved(),
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
        _ => unserved(),
    }
}

/// Seconds after which the operator is likely to have been reached.
const CONFIGURED_SOON: u32 = 5;

fn not_configured() -> Answer {
    let message = "this data plane has had no configuration yet, so it cannot say what exists; if that lasts, its log and \
                   /readyz say why the operator is not reached";
    Answer::status(503, "NotConfigured", message).with_hint(Hint::RetryAfter(CONFIGURED_SOON))
}

fn unserved() -> Answer {
    Answer::status(404, "NoRouteMatched", "nothing is published under this path")
}

fn group_json(group: &str, versions: &[&str]) -> serde_json::Value {
    let json = |version: &&str| json!({ "groupVersion": format!("{group}/{version}"), "version": version });
    let preferred = versions.iter().max_by_key(|version| priority(version)).map(json);
    let versions: Vec<_> = versions.iter().map(json).collect();
    json!({ "name": group, "preferredVersion": preferred, "versions": versions })
}
