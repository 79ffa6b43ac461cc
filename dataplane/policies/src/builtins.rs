//! What genkan's own policies do, one in each file.

mod api_key;
mod authorize;
mod basic;
mod check;
mod cors;
mod filter;
mod hmac;
mod jwt;
mod limit;
mod log;
mod lookup;
mod media;
mod mtls;
mod redact;
mod redirect;
mod respond;
mod set;
mod switch;
mod throw;
mod validate_schema;

use std::time::Duration;

use genkan_routing::model::policy::Direction;
use genkan_routing::quantity;
use http::HeaderName;
use serde_json::{Map, Value};

use crate::link::{Fault, Site};
use crate::step::{Act, Action};

pub(crate) use basic::Basic;
pub(crate) use jwt::Jwt;
pub(crate) use log::{LogRule, Part};
pub(crate) use switch::{SwitchWith, condition};

/// Those that this version runs.
const KNOWN: [&str; 20] = [
    "apiKey",
    "authorize",
    "basic",
    "check",
    "cors",
    "countLimit",
    "filter",
    "hmac",
    "jwt",
    "log",
    "lookup",
    "mtls",
    "rateLimit",
    "redact",
    "redirect",
    "respond",
    "set",
    "switch",
    "throw",
    "validateSchema",
];

/// Those that have a name only.
const LATER: [&str; 14] = [
    "antivirus",
    "call",
    "decrypt",
    "encrypt",
    "enrich",
    "extAuth",
    "extProc",
    "introspect",
    "script",
    "sign",
    "tokenExchange",
    "tokenMint",
    "transform",
    "verifySignature",
];

/// Of these, answers have none.
const OF_REQUESTS: [&str; 11] = [
    "apiKey",
    "authorize",
    "basic",
    "cors",
    "countLimit",
    "filter",
    "hmac",
    "jwt",
    "mtls",
    "rateLimit",
    "redirect",
];

/// It is one of genkan's own policies, whether this version runs it or not.
pub fn is_name(name: &str) -> bool {
    KNOWN.contains(&name) || LATER.contains(&name)
}

const LONGEST_DURATION: Duration = Duration::from_secs(31 * 86_400);

/// Makes a built-in ready to run. `switch` is made by whoever makes steps. The place: its label, and where it is written,
/// which no other step of the object has.
pub(crate) fn compile(
    name: &str,
    with: &Map<String, Value>,
    site: &Site<'_>,
    place: (&str, &str),
) -> Result<Action, Fault> {
    // An error that the client is told by its browser going elsewhere.
    let is_of_both = site.is_of_error && name == "redirect";
    if site.on == Direction::Response && OF_REQUESTS.contains(&name) && !is_of_both {
        return Err(Fault::new(
            "",
            format!("{name} is for requests, and not for answers"),
        ));
    }
    let act: Box<dyn Act> = match name {
        "apiKey" => Box::new(api_key::ApiKey::compile(site.read(with)?, site)?),
        "authorize" => Box::new(authorize::Authorize::compile(site.read(with)?, site)?),
        "basic" => return Ok(Action::Basic(Box::new(Basic::compile(site.read(with)?, site)?))),
        "check" => Box::new(check::Check::compile(site.read(with)?, site)?),
        "cors" => Box::new(cors::Cors::compile(site.read(with)?, site)?),
        "countLimit" => Box::new(limit::CountLimit::compile(site.read(with)?, with, site, place)?),
        "filter" => Box::new(filter::Filter::compile(site.read(with)?, site)?),
        "hmac" => Box::new(hmac::Hmac::compile(site.read(with)?, site)?),
        "log" => Box::new(log::Log::compile(site.read(with)?, site)?),
        "jwt" => return Ok(Action::Jwt(Box::new(Jwt::compile(site.read(with)?, site)?))),
        "lookup" => Box::new(lookup::Lookup::compile(site.read(with)?, site)?),
        "mtls" => Box::new(mtls::Mtls::compile(site.read(with)?, site)?),
        "rateLimit" => Box::new(limit::RateLimit::compile(site.read(with)?, with, site, place)?),
        "redact" => Box::new(redact::Redact::compile(site.read(with)?, site)?),
        "redirect" => Box::new(redirect::Redirect::compile(site.read(with)?, site)?),
        "respond" => Box::new(respond::Respond::compile(site.read(with)?, site)?),
        "set" => Box::new(set::Set::compile(site.read(with)?, site)?),
        "throw" => Box::new(throw::Throw::compile(site.read(with)?, site)?),
        "validateSchema" => Box::new(validate_schema::ValidateSchema::compile(site.read(with)?, site)?),
        _ => {
            let text = format!("{name} is not run by this version of genkan");
            return Err(Fault::unsupported(text));
        }
    };
    Ok(Action::Plain(act))
}

/// It judges what stands in `Authorization`, so nobody else is asked about that.
pub(crate) fn claims_authorization(name: &str, with: &Map<String, Value>) -> bool {
    let is_authorization = |text: &str| text.eq_ignore_ascii_case("authorization");
    let from = with.get("from").and_then(Value::as_array);
    match name {
        "jwt" | "introspect" => from.is_none_or(|from| {
            let headers = from.iter().filter_map(|place| place.get("header"));
            headers.filter_map(Value::as_str).any(is_authorization)
        }),
        "basic" => true,
        "hmac" => with
            .get("header")
            .and_then(Value::as_str)
            .is_some_and(is_authorization),
        "extAuth" => with
            .get("requestHeaders")
            .and_then(Value::as_array)
            .is_none_or(|names| names.iter().filter_map(Value::as_str).any(is_authorization)),
        _ => false,
    }
}

/// # Errors
/// When it is none, or so long that it can only be a mistake.
pub(crate) fn duration_of(field: &str, text: &str) -> Result<Duration, Fault> {
    let known = quantity::duration(text);
    let known = known.ok_or_else(|| Fault::new(field, format!("{text:?} is no duration such as 30s")))?;
    if known > LONGEST_DURATION {
        return Err(Fault::new(field, format!("{text} is longer than 31 days")));
    }
    Ok(known)
}

/// # Errors
/// When it is no name, or one that only genkan sets.
pub(crate) fn settable(field: &str, name: &str) -> Result<HeaderName, Fault> {
    let parsed = header_name(field, name)?;
    let plain = parsed.as_str().replace('_', "-");
    let is_ours = plain.starts_with("x-remote-") || plain.starts_with("impersonate-");
    if is_ours {
        return Err(Fault::new(
            field,
            format!("{name} is a header that only genkan sets"),
        ));
    }
    let is_framing = [
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
    .contains(&plain.as_str());
    if is_framing {
        return Err(Fault::new(field, format!("{name} cannot be set by a policy")));
    }
    Ok(parsed)
}

/// # Errors
/// When it is none.
pub(crate) fn header_name(field: &str, name: &str) -> Result<HeaderName, Fault> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Fault::new(field, format!("{name:?} is no name of a header")))
}

/// # Errors
/// When it is not one that an answer can have.
pub(crate) fn status_of(field: &str, status: u16) -> Result<u16, Fault> {
    if (200..=599).contains(&status) {
        Ok(status)
    } else {
        Err(Fault::new(
            field,
            format!("{status} is no status of an answer, 200 to 599"),
        ))
    }
}

#[cfg(test)]
mod tests;
