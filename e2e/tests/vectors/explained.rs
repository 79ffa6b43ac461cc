//! What `genkan explain` says about a request, beside what the data plane did with it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use genkan_routing::access::{Attributes, Mode};
use genkan_tools::explain::{
    Authentication, Caller, Forward, ForwardAuthorization, FrontHeaders, Outcome, Request as Question,
    Reviewer as Asked, Settings, World, explain,
};
use serde_json::Value;

use super::case::{Request, text};
use super::client::{Answer, head};
use super::pair::{ALLOWED, Flags, Pair};
use super::reviewer::Reviewer;
use super::upstream::Received;
use genkan_kit::wire::{Headers, values};

/// Reasons that only the way to the backend shows.
const ON_THE_WAY: &[&str] = &[
    "BackendClosed",
    "BackendConnectFailed",
    "BackendProtocol",
    "BackendTLSVerify",
    "BackendTimeout",
    "BackendUnresolved",
];

/// Every way in which the two differ; `taken` is what the backend got.
pub fn differences(
    pair: &Pair,
    mark: &str,
    request: &Request,
    answer: &Answer,
    taken: &[Received],
) -> Vec<String> {
    // Only the API server knows whether a token is good.
    let is_unknown = values(&answer.headers, "x-genkan-reason").any(|reason| reason == "TokenRejected");
    if request.proto != "HTTP/1.1" || is_unknown {
        return Vec::new();
    }
    let caller = caller(pair, mark, request);
    let (world, problems) = World::from_directory(&pair.objects()).unwrap();
    assert_eq!(problems, [""; 0]);
    let settings = settings(&pair.flags);
    let told = explain(&world, &settings, &question(request), Some(&caller)).unwrap();
    let differences = compare(&told.outcome, request, answer, taken);
    differences
        .into_iter()
        .map(|what| format!("explain: {what}"))
        .collect()
}

fn settings(flags: &Flags) -> Settings {
    let (open, always) = (flags.is_open, flags.forwards_always);
    Settings {
        authentication: if open {
            Authentication::Disabled
        } else {
            Authentication::Kubernetes
        },
        forward_authorization: if always {
            ForwardAuthorization::Always
        } else {
            ForwardAuthorization::Never
        },
        token_cookie: flags.cookie.map(str::to_owned),
        allow_upstream_cidr: vec![ALLOWED.parse().unwrap()],
        public_url: flags.public.into_iter().map(|url| url.parse().unwrap()).collect(),
        front_headers: match flags.public {
            Some(_) => FrontHeaders::Public,
            None => FrontHeaders::Kubesphere,
        },
        ..Settings::default()
    }
}

/// The head as it is sent, line by line.
fn question(request: &Request) -> Question {
    let head = head(request);
    let lines = head.split("\r\n").skip(1).take_while(|line| !line.is_empty());
    let pair = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (
            name.to_owned(),
            value.trim_matches([' ', '\t']).as_bytes().to_vec(),
        )
    };
    Question {
        method: request.method.clone(),
        target: request.target.clone().into_bytes(),
        is_tls: false,
        headers: lines.map(pair).collect(),
        body: Some(request.body.clone().unwrap_or_default().into_bytes()),
        answer: None,
    }
}

fn compare(outcome: &Outcome, request: &Request, answer: &Answer, taken: &[Received]) -> Vec<String> {
    let reason = values(&answer.headers, "x-genkan-reason").next();
    let own = |code: u16, expected: Option<&str>| {
        let mut out = Vec::new();
        if (answer.status, reason) != (Some(code), expected) {
            let got = (answer.status, reason, &answer.body);
            out.push(format!("{code} {expected:?}, but the answer is {got:?}"));
        }
        if !taken.is_empty() {
            out.push("the request reaches no backend, but it did".to_owned());
        }
        out
    };
    match outcome {
        Outcome::Forward(forward) => match taken {
            [] if reason.is_none_or(|reason| ON_THE_WAY.contains(&reason)) => Vec::new(),
            [] => vec![format!(
                "it is forwarded, but the answer is {reason:?} {}",
                answer.body
            )],
            [first, ..] => forwarded(forward, first),
        },
        Outcome::Redirect { code, location } => {
            let mut out = own(*code, Some("BarePrefix"));
            if values(&answer.headers, "location").next() != Some(location) {
                out.push(format!("Location {location}, but it is {:?}", answer.headers));
            }
            out
        }
        Outcome::Respond { code, reason, .. } => own(*code, Some(reason.as_str())),
        Outcome::Discovery { .. } => own(200, Some("Discovery")),
        Outcome::ServerOptions => own(200, None),
        Outcome::Refuse {
            code,
            reason,
            message,
        } => {
            let mut out = own(*code, Some(reason));
            let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            // An answer to HEAD has no body.
            if request.method != "HEAD" && text(&body["message"]) != *message {
                out.push(format!("{message:?}, but the answer says {}", body["message"]));
            }
            out
        }
    }
}

fn forwarded(told: &Forward, taken: &Received) -> Vec<String> {
    let mut out = Vec::new();
    if (&told.method, &told.target) != (&taken.method, &taken.target) {
        let (told, taken) = ((&told.method, &told.target), (&taken.method, &taken.target));
        out.push(format!("{told:?}, but {taken:?} arrived"));
    }
    let (told, taken) = (by_name(&told.headers), by_name(&taken.headers));
    for (name, values) in &told {
        if taken.get(name) != Some(values) {
            out.push(format!("{name}: {values:?}, but {:?} arrived", taken.get(name)));
        }
    }
    let unforeseen = taken.keys().filter(|name| !told.contains_key(*name));
    out.extend(unforeseen.map(|name| format!("no {name}, but {:?} arrived", taken[name])));
    out
}

fn by_name(headers: &Headers) -> BTreeMap<String, Vec<String>> {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let value = value.replace("<address of the client>", "127.0.0.1");
        map.entry(name.to_lowercase()).or_default().push(value);
    }
    map
}

/// Who the reviewer would say it is.
fn caller(pair: &Pair, mark: &str, request: &Request) -> Caller {
    let asked = Box::new(Same(Arc::clone(&pair.reviewer)));
    let mk_caller = |user: &str, groups| Caller::new(user.to_owned(), groups, Mode::Pattern, asked);
    let Some(token) = token(mark, request) else {
        return mk_caller("system:anonymous", Vec::new());
    };
    let status = pair.reviewer.token(&token);
    let user = &status["user"];
    let list = |list: &Value| list.as_array().into_iter().flatten().map(text).collect();
    let mut groups: Vec<String> = list(&user["groups"]);
    groups.retain(|group| group != "system:authenticated");
    let mut caller = mk_caller(&text(&user["username"]), groups);
    caller.uid = text(&user["uid"]);
    let extra = user["extra"].as_object().into_iter().flatten();
    caller.extra = extra.map(|(key, values)| (key.clone(), list(values))).collect();
    caller
}

/// The token of the case, wherever it is sent.
fn token(mark: &str, request: &Request) -> Option<String> {
    let decoded = |word: &str| {
        let encoded = word.strip_prefix("base64url.bearer.authorization.k8s.io.")?;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        String::from_utf8(engine.decode(encoded).ok()?).ok()
    };
    let mut words = request
        .headers
        .iter()
        .flat_map(|(_, value)| value.split([' ', ',', ';', '=', '"']));
    words.find_map(|word| {
        let token = decoded(word).unwrap_or_else(|| word.to_owned());
        (token.starts_with("tok-") && token.ends_with(mark)).then_some(token)
    })
}

/// The reviewer that the data plane asks, asked without a trace.
struct Same(Arc<Reviewer>);

impl fmt::Debug for Same {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Same").finish()
    }
}

impl Asked for Same {
    fn allows(&self, _: &str, _: &[String], attributes: &Attributes<'_>) -> anyhow::Result<bool> {
        Ok(match attributes {
            Attributes::NonResource { path, .. } => self.0.allows(path, ""),
            Attributes::Resource { subresource, .. } => self.0.allows("", subresource),
        })
    }
}
