//! Where in a request a credential stands.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::builtins::header_name;
use crate::exchange::{Exchange, Pairs};
use crate::link::{Fault, Site};

/// As it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PlaceWith {
    header: Option<String>,
    prefix: Option<String>,
    query: Option<String>,
    cookie: Option<String>,
}

/// The places of a step; the first that has a credential counts.
#[derive(Debug)]
pub(crate) struct Places(Box<[Place]>);

#[derive(Debug)]
enum Place {
    Header { name: HeaderName, prefix: Box<str> },
    Query(Box<str>),
    Cookie(Box<str>),
}

// === impl Places ===

impl Places {
    pub(crate) fn compile(from: &[PlaceWith], default: Usual, site: &Site<'_>) -> Result<Self, Fault> {
        if from.is_empty() {
            return Ok(Self([default.place()].into()));
        }
        let places = from.iter().enumerate().map(|(index, place)| {
            let field = format!("with.from[{index}]");
            match (&place.header, &place.query, &place.cookie) {
                (Some(header), None, None) => {
                    let header = site.fixed(&field, header)?;
                    let name = header_name(&format!("{field}.header"), header)?;
                    let prefix = match &place.prefix {
                        Some(prefix) => prefix.as_str(),
                        None if name == AUTHORIZATION => "Bearer ",
                        None => "",
                    };
                    Ok(Place::Header {
                        name,
                        prefix: prefix.into(),
                    })
                }
                (None, Some(name), None) => Ok(Place::Query(name.as_str().into())),
                (None, None, Some(name)) => Ok(Place::Cookie(name.as_str().into())),
                _ => Err(Fault::new(&field, "it needs one of header, query and cookie")),
            }
        });
        places.collect::<Result<_, _>>().map(Self)
    }

    /// Empty where it is there twice: nobody can say which is meant.
    pub(crate) fn find<'e>(&self, exchange: &'e Exchange<'_>) -> Option<Cow<'e, str>> {
        self.0.iter().find_map(|place| place.find(exchange))
    }

    /// One of them is the query.
    pub(crate) fn are_in_query(&self) -> bool {
        self.0.iter().any(|place| matches!(place, Place::Query(_)))
    }

    /// The credential that counts stands in `Authorization`.
    pub(crate) fn is_in_authorization(&self, exchange: &Exchange<'_>) -> bool {
        let first = self.0.iter().find(|place| place.find(exchange).is_some());
        matches!(first, Some(Place::Header { name, .. }) if name == AUTHORIZATION)
    }

    /// Takes the credential out of every place that has one.
    pub(crate) fn remove(&self, exchange: &mut Exchange<'_>) {
        for place in &self.0 {
            if place.find(exchange).is_some() {
                place.remove(exchange);
            }
        }
    }
}

/// Where a credential stands if the step does not say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Usual {
    Bearer,
    ApiKey,
}

// === impl Usual ===

impl Usual {
    fn place(self) -> Place {
        match self {
            Self::Bearer => Place::Header {
                name: AUTHORIZATION,
                prefix: "Bearer ".into(),
            },
            Self::ApiKey => Place::Header {
                name: HeaderName::from_static("x-api-key"),
                prefix: "".into(),
            },
        }
    }
}

// === impl Place ===

impl Place {
    fn find<'e>(&self, exchange: &'e Exchange<'_>) -> Option<Cow<'e, str>> {
        match self {
            Self::Header { name, prefix } => {
                let mut lines = exchange.headers().get_all(name).iter();
                let first = lines.next()?;
                let text = first.to_str().unwrap_or_default();
                let start = text.get(..prefix.len());
                let is_meant = start.is_some_and(|start| start.eq_ignore_ascii_case(prefix));
                if lines.next().is_some() {
                    return Some(Cow::Borrowed(""));
                }
                is_meant.then(|| Cow::Borrowed(text[prefix.len()..].trim()))
            }
            Self::Query(name) => {
                let pairs = Pairs(exchange.query()).decoded();
                once(
                    pairs
                        .filter(|(other, _)| **other == **name)
                        .map(|(_, value)| value),
                )
            }
            Self::Cookie(name) => {
                let lines = exchange.headers().get_all(COOKIE).iter();
                let pairs = lines
                    .filter_map(|line| line.to_str().ok())
                    .flat_map(|line| line.split(';'));
                let values = pairs.filter_map(|pair| pair.trim().split_once('='));
                once(
                    values
                        .filter(|(other, _)| **other == **name)
                        .map(|(_, value)| Cow::Borrowed(value)),
                )
            }
        }
    }

    fn remove(&self, exchange: &mut Exchange<'_>) {
        match self {
            Self::Header { name, .. } => exchange.headers_mut().remove(name),
            Self::Query(name) => {
                let query = Pairs(exchange.query()).without(|other| other == &**name);
                exchange.state.query = Some(query);
            }
            Self::Cookie(name) => {
                let lines = exchange.headers().get_all(COOKIE).iter();
                let mut kept = Vec::new();
                for line in lines {
                    let Ok(line) = line.to_str() else {
                        kept.push(line.clone());
                        continue;
                    };
                    let pairs = line.split(';').map(str::trim);
                    let is_other =
                        |pair: &&str| pair.split_once('=').is_none_or(|(other, _)| *other != **name);
                    let line = pairs.filter(is_other).collect::<Vec<_>>().join("; ");
                    if let Ok(line) = HeaderValue::from_str(&line)
                        && !line.is_empty()
                    {
                        kept.push(line);
                    }
                }
                exchange.headers_mut().remove(&COOKIE);
                for line in kept {
                    exchange.headers_mut().add(COOKIE, line);
                }
            }
        }
    }
}

fn once<'e>(mut values: impl Iterator<Item = Cow<'e, str>>) -> Option<Cow<'e, str>> {
    let first = values.next()?;
    Some(if values.next().is_some() {
        Cow::Borrowed("")
    } else {
        first
    })
}
