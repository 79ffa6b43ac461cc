use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_routing::answer::reason;
use http::HeaderName;
use ring::hmac;
use serde::Deserialize;

use super::api_key::SecretRef;
use super::{duration_of, header_name};
use crate::answer::PolicyAnswer;
use crate::exchange::Exchange;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};
use crate::template::Template;

/// A signature that sender and receiver make with the same key.
pub(crate) struct Hmac {
    key: hmac::Key,
    header: HeaderName,
    encoding: Encoding,
    prefix: String,
    timestamp: Option<HeaderName>,
    tolerance: Duration,
    payload: Box<[Part]>,
}

enum Part {
    Body,
    Timestamp,
    Text(Template),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    key: SecretRef,
    header: String,
    #[serde(default)]
    algorithm: Algorithm,
    #[serde(default)]
    encoding: Encoding,
    #[serde(default)]
    prefix: String,
    timestamp_header: Option<String>,
    tolerance: Option<String>,
    payload: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Algorithm {
    #[default]
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Encoding {
    #[default]
    Hex,
    Base64,
}

const TOLERANCE: &str = "300s";

// === impl Hmac ===

impl Hmac {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let field = "with.key.secret";
        let alias = site.alias(field, &with.key.secret)?;
        let missing = || Fault::new(field, "the Secret has several keys, and none of them is key");
        let value = alias.value(&["key"]).ok_or_else(missing)?;
        let algorithm = match with.algorithm {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let timestamp = with.timestamp_header.as_deref();
        let tolerance = with.tolerance.as_deref().unwrap_or(TOLERANCE);
        let payload = with.payload.as_deref().unwrap_or("{{body}}");
        let payload = parts_of(payload).map_err(|error| Fault::new("with.payload", error))?;
        let is_dated = payload.iter().any(|part| matches!(part, Part::Timestamp));
        if is_dated && timestamp.is_none() {
            let text = "the payload has a timestamp, so it has to be said which header that is";
            return Err(Fault::new("with.timestampHeader", text));
        }
        if !is_dated && timestamp.is_some() {
            let text = "it has to hold {{timestamp}}: a time that is not signed could be any";
            return Err(Fault::new("with.payload", text));
        }
        Ok(Self {
            key: hmac::Key::new(algorithm, value),
            header: header_name("with.header", &with.header)?,
            encoding: with.encoding,
            prefix: with.prefix,
            timestamp: timestamp
                .map(|name| header_name("with.timestampHeader", name))
                .transpose()?,
            tolerance: duration_of("with.tolerance", tolerance)?,
            payload: payload.into(),
        })
    }

    /// The text of the time, if it is near enough.
    fn time<'e>(&self, exchange: &'e Exchange<'_>, moment: Moment) -> Result<&'e str, &'static str> {
        let Some(name) = &self.timestamp else {
            return Ok("");
        };
        let value = exchange.headers().get(name).and_then(|value| value.to_str().ok());
        let text = value.ok_or("the header of its time is missing")?;
        let seconds: u64 = text.parse().map_err(|_| "its time is no number of seconds")?;
        if moment.now.abs_diff(Duration::from_secs(seconds)) > self.tolerance {
            return Err("its time is too far away");
        }
        Ok(text)
    }

    fn payload(&self, exchange: &Exchange<'_>, time: &str, moment: Moment) -> Result<Vec<u8>, Stop> {
        let mut payload = Vec::new();
        for part in &self.payload {
            match part {
                Part::Body => {
                    let body = exchange
                        .body()
                        .ok_or_else(|| Stop::error("the body was not read"))?;
                    payload.extend_from_slice(body);
                }
                Part::Timestamp => payload.extend_from_slice(time.as_bytes()),
                Part::Text(text) => payload.extend_from_slice(text.render(exchange, moment.now)?.as_bytes()),
            }
        }
        Ok(payload)
    }

    fn decoded(&self, text: &str) -> Option<Vec<u8>> {
        let text = text.strip_prefix(&self.prefix)?;
        match self.encoding {
            Encoding::Base64 => STANDARD.decode(text).ok(),
            Encoding::Hex => {
                let bytes = text.as_bytes();
                if bytes.len() % 2 != 0 {
                    return None;
                }
                let pairs = bytes.chunks(2).map(|pair| std::str::from_utf8(pair).ok());
                pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
            }
        }
    }
}

impl Act for Hmac {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        let invalid = |detail: &str| {
            let mut answer =
                PolicyAnswer::refused(401, reason::SIGNATURE_INVALID, "the signature is not good");
            answer.detail = detail.to_owned();
            Stop::from(answer)
        };
        let Some(signature) = exchange.headers().get(&self.header) else {
            let text = format!("a signature is needed in {}", self.header);
            return Err(PolicyAnswer::refused(401, reason::SIGNATURE_MISSING, text).into());
        };
        let signature = signature.to_str().ok().and_then(|text| self.decoded(text));
        let signature = signature.ok_or_else(|| invalid("it has another form"))?;
        let time = self.time(exchange, moment).map_err(invalid)?;
        let payload = self.payload(exchange, time, moment)?;
        hmac::verify(&self.key, &payload, &signature).map_err(|_| invalid("it is of something else"))?;
        exchange.auth_mut().method = "hmac".to_owned();
        Ok(())
    }
}

impl std::fmt::Debug for Hmac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hmac(..)")
    }
}

/// `{{timestamp}}.{{body}}`; anything else in braces is CEL.
fn parts_of(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let special = ["body", "timestamp"].iter().filter_map(|name| {
            let at = find_placeholder(rest, name)?;
            Some((at, *name))
        });
        let Some(((start, end), name)) = special.min() else {
            break;
        };
        if start > 0 {
            parts.push(Part::Text(Template::parse(&rest[..start])?));
        }
        parts.push(if name == "body" {
            Part::Body
        } else {
            Part::Timestamp
        });
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(Template::parse(rest)?));
    }
    Ok(parts)
}

fn find_placeholder(text: &str, name: &str) -> Option<(usize, usize)> {
    let written = [format!("{{{{{name}}}}}"), format!("{{{{ {name} }}}}")];
    let found = written.iter().filter_map(|form| {
        let at = text.find(form.as_str())?;
        Some((at, at + form.len()))
    });
    found.min()
}
