//! What expressions see, built of the members that they mention.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use cel::Context;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use http::HeaderMap;
use http::header::COOKIE;
use serde_json::{Map, Value};

use super::wants::{Want, Wants};
use crate::exchange::{Caller, Certificate, Exchange, Pairs, Source, Stage};

type Boxed<'v> = Box<dyn Val + 'v>;
type Members<'v> = HashMap<CelMapKey<'v>, Boxed<'v>>;

static ALL: Want = Want::All;

const OF_REQUEST: [&str; 12] = [
    "id",
    "method",
    "scheme",
    "host",
    "path",
    "query",
    "query_string",
    "uri",
    "headers",
    "header_lists",
    "cookies",
    "body",
];

pub(super) fn add<'v>(
    context: &mut Context<'_, 'v>,
    wants: &'v Wants,
    exchange: &'v Exchange<'_>,
    now: Duration,
) {
    for (root, want) in wants.each() {
        let value = match root {
            "request" => Some(of_request(want, exchange)),
            "response" => of_response(want, exchange),
            "message" => of_response(want, exchange).or_else(|| Some(of_request(want, exchange))),
            "source" => Some(of_source(want, exchange.request.source)),
            "auth" => Some(of_auth(want, exchange.auth())),
            "vars" => Some(of_members(&exchange.state.vars, want)),
            "params" => Some(match &exchange.params {
                Some(params) => of_members(params, want),
                None => map(Members::new()),
            }),
            "route" => Some(chosen(want, &["name"], &|_, _| {
                Some(text(exchange.request.route))
            })),
            "now" => Some(int(now.as_secs())),
            _ => None,
        };
        if let Some(value) = value {
            context.add_variable_as_val(root, value);
        }
    }
}

fn of_request<'v>(want: &'v Want, exchange: &'v Exchange<'_>) -> Boxed<'v> {
    let request = &exchange.request;
    let headers = exchange.request_headers();
    chosen(want, &OF_REQUEST, &|name, want| match name {
        "id" => Some(text(request.id)),
        "method" => Some(text(request.method)),
        "scheme" => Some(text(request.scheme)),
        "host" => Some(text(request.host)),
        "path" => Some(text(request.path)),
        "query" => Some(of_query(exchange.query())),
        "query_string" => Some(text(exchange.query())),
        "uri" => Some(owned(exchange.target())),
        "headers" => Some(of_headers(headers, want)),
        "header_lists" => Some(of_header_lists(headers)),
        "cookies" => Some(of_cookies(headers)),
        "body" => Some(of_json(exchange.body_value().ok()??, want)),
        _ => None,
    })
}

/// `None`: the message is a request, and no answer is there.
fn of_response<'v>(want: &'v Want, exchange: &'v Exchange<'_>) -> Option<Boxed<'v>> {
    let status = exchange.status()?;
    let headers = match &exchange.stage {
        Stage::Request(_) => None,
        Stage::Response { headers, .. } => Some(headers.map()),
    };
    let names = ["status", "headers", "header_lists"];
    Some(chosen(want, &names, &|name, want| match name {
        "status" => Some(int(u64::from(status))),
        "headers" => Some(of_headers(headers?, want)),
        "header_lists" => Some(of_header_lists(headers?)),
        _ => None,
    }))
}

fn of_source<'v>(want: &'v Want, source: Source<'v>) -> Boxed<'v> {
    chosen(want, &["address", "certificate"], &|name, want| match name {
        "address" => Some(owned(source.address?.to_canonical().to_string().into())),
        "certificate" => Some(match source.certificate {
            Some(certificate) => of_certificate(want, certificate),
            None => Box::new(CelNull),
        }),
        _ => None,
    })
}

fn of_certificate<'v>(want: &'v Want, certificate: &'v Certificate) -> Boxed<'v> {
    chosen(want, &["subject", "dns", "uri"], &|name, _| match name {
        "subject" => Some(text(&certificate.subject)),
        "dns" => Some(texts(&certificate.dns)),
        "uri" => Some(texts(&certificate.uri)),
        _ => None,
    })
}

fn of_auth<'v>(want: &'v Want, caller: Caller<'v>) -> Boxed<'v> {
    let names = ["user", "groups", "claims", "key", "method"];
    chosen(want, &names, &|name, want| match name {
        "user" => Some(text(caller.user)),
        "groups" => Some(texts(caller.groups)),
        "claims" => Some(match caller.claims {
            Some(claims) => of_members(claims, want),
            None => map(Members::new()),
        }),
        "key" => Some(text(caller.key?)),
        "method" => Some(text(caller.method)),
        _ => None,
    })
}

fn of_query(query: &str) -> Boxed<'_> {
    let mut members = Members::new();
    for (name, value) in Pairs(query).decoded() {
        members
            .entry(CelMapKey::from(name.into_owned()))
            .or_insert_with(|| owned(value));
    }
    map(members)
}

/// The first value of each name.
fn of_headers<'v>(headers: &'v HeaderMap, want: &'v Want) -> Boxed<'v> {
    let mut members = Members::new();
    let mut add = |name: &'v str, value: Option<&'v http::HeaderValue>| {
        if let Some(value) = value {
            members.insert(CelMapKey::from(name), of_value(value));
        }
    };
    match want {
        // A name with another case than is sent is another member, and not there.
        Want::Members(names) => names
            .keys()
            .filter(|name| !name.bytes().any(|byte| byte.is_ascii_uppercase()))
            .for_each(|name| add(name, headers.get(name.as_str()))),
        Want::All => headers
            .keys()
            .for_each(|name| add(name.as_str(), headers.get(name))),
    }
    map(members)
}

fn of_header_lists(headers: &HeaderMap) -> Boxed<'_> {
    let lists = headers.keys().map(|name| {
        let values = headers.get_all(name).iter().map(of_value).collect::<Vec<_>>();
        (
            CelMapKey::from(name.as_str()),
            Box::new(CelList::from(values)) as Boxed<'_>,
        )
    });
    map(lists.collect())
}

fn of_cookies(headers: &HeaderMap) -> Boxed<'_> {
    let mut members = Members::new();
    let lines = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    for pair in lines.flat_map(|line| line.split(';')) {
        if let Some((name, value)) = pair.trim().split_once('=') {
            members
                .entry(CelMapKey::from(name))
                .or_insert_with(|| text(value));
        }
    }
    map(members)
}

fn of_value(value: &http::HeaderValue) -> Boxed<'_> {
    owned(String::from_utf8_lossy(value.as_bytes()))
}

fn of_json<'v>(value: &'v Value, want: &'v Want) -> Boxed<'v> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Box::new(CelInt::from(number)),
            (None, Some(number)) => Box::new(CelUInt::from(number)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(value) => text(value),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| of_json(item, &ALL)).collect();
            Box::new(CelList::from(items))
        }
        Value::Object(members) => of_members(members, want),
    }
}

fn of_members<'v>(members: &'v Map<String, Value>, want: &'v Want) -> Boxed<'v> {
    let mut made = Members::new();
    match want {
        Want::All => {
            for (name, value) in members {
                made.insert(CelMapKey::from(name.as_str()), of_json(value, &ALL));
            }
        }
        Want::Members(names) => {
            for (name, want) in names {
                if let Some(value) = members.get(name) {
                    made.insert(CelMapKey::from(name.as_str()), of_json(value, want));
                }
            }
        }
    }
    map(made)
}

/// The members that are wanted, of those that there are.
fn chosen<'v>(
    want: &'v Want,
    names: &[&'static str],
    make: &dyn Fn(&str, &'v Want) -> Option<Boxed<'v>>,
) -> Boxed<'v> {
    let mut members = Members::new();
    for name in names {
        let want = match want {
            Want::All => Some(&ALL),
            Want::Members(wanted) => wanted.get(*name),
        };
        if let Some(value) = want.and_then(|want| make(name, want)) {
            members.insert(CelMapKey::from(*name), value);
        }
    }
    map(members)
}

fn map(members: Members<'_>) -> Boxed<'_> {
    Box::new(CelMap::from(members))
}

fn text(value: &str) -> Boxed<'_> {
    Box::new(CelString::from(value))
}

fn owned(value: Cow<'_, str>) -> Boxed<'_> {
    Box::new(CelString::from(value))
}

fn texts(values: &[String]) -> Boxed<'_> {
    let values: Vec<_> = values.iter().map(|value| text(value)).collect();
    Box::new(CelList::from(values))
}

fn int<'v>(value: u64) -> Boxed<'v> {
    Box::new(CelInt::from(i64::try_from(value).unwrap_or(i64::MAX)))
}
