use std::collections::BTreeMap;

use genkan_routing::answer::reason;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::log::plain;
use super::{settable, status_of};
use crate::answer::{AnswerBody, AnswerKind, PolicyAnswer};
use crate::exchange::Exchange;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};
use crate::template::Template;

/// Answers instead of the backend, or in the place of an error.
#[derive(Debug)]
pub(crate) struct Respond {
    status: Option<u16>,
    headers: Box<[(HeaderName, Template)]>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Text {
        text: Template,
        content_type: Option<HeaderValue>,
    },
    /// `httpCode`, `httpMessage`, `moreInformation`.
    DataPower,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    content_type: Option<String>,
    template: Option<Ready>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Ready {
    Datapower,
}

// === impl Respond ===

impl Respond {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let headers = with.headers.iter().map(|(name, text)| {
            let field = format!("with.headers.{name}");
            Ok((settable(&field, name)?, site.template(&field, text)?))
        });
        let headers = headers.collect::<Result<_, Fault>>()?;
        let body = match (with.template, with.body) {
            (Some(Ready::Datapower), None) => Body::DataPower,
            (Some(_), Some(_)) => return Err(Fault::new("with.body", "it cannot stand beside template")),
            (None, body) => {
                let is_json = body.as_ref().is_some_and(|body| !body.is_string());
                let text = body.map(plain).unwrap_or_default();
                let kind = match with.content_type.as_deref() {
                    Some(kind) => Some(kind),
                    None if is_json => Some("application/json"),
                    None if text.is_empty() => None,
                    None => Some("text/plain; charset=utf-8"),
                };
                let kind = kind.map(HeaderValue::from_str).transpose();
                Body::Text {
                    text: site.template("with.body", &text)?,
                    content_type: kind.map_err(|_| Fault::new("with.contentType", "it is no media type"))?,
                }
            }
        };
        let status = with.status.map(|status| status_of("with.status", status));
        Ok(Self {
            status: status.transpose()?,
            headers,
            body,
        })
    }
}

impl Act for Respond {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        let failing = exchange.failing.as_ref();
        let before = failing.map_or(200, |failing| failing.status);
        let status = self.status.unwrap_or(before);
        let body = match &self.body {
            Body::Text { text, content_type } => AnswerBody::Raw {
                content_type: content_type.clone(),
                bytes: text.render(exchange, moment.now)?.into(),
            },
            Body::DataPower => AnswerBody::Raw {
                content_type: Some(HeaderValue::from_static("application/json")),
                bytes: datapower(status, failing.map_or("", |failing| &failing.message)).into(),
            },
        };
        let mut answer = PolicyAnswer {
            body,
            ..PolicyAnswer::new(AnswerKind::Responded, status, reason::RESPONDED)
        };
        for (name, text) in &self.headers {
            let value = HeaderValue::from_bytes(text.render(exchange, moment.now)?.as_bytes());
            let value = value.map_err(|_| Stop::error(format!("{name} cannot be written as a header")))?;
            answer.headers.push((name.clone(), value));
        }
        Err(answer.into())
    }
}

fn datapower(status: u16, message: &str) -> String {
    let code = StatusCode::from_u16(status).ok();
    let word = code
        .and_then(|code| code.canonical_reason())
        .unwrap_or(reason::UNKNOWN);
    json!({
        "httpCode": status.to_string(),
        "httpMessage": word,
        "moreInformation": message,
    })
    .to_string()
}
