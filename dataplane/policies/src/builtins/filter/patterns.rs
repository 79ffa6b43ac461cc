use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::refused;
use crate::exchange::{Exchange, decoded};
use crate::link::Fault;
use crate::step::Stop;

/// What must be nowhere.
#[derive(Debug)]
pub(crate) struct Pattern {
    name: String,
    regex: Regex,
    bytes: regex::bytes::Regex,
    places: Box<[Place]>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PatternWith {
    name: String,
    regex: String,
    #[serde(default = "usual", rename = "in")]
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Place {
    Path,
    Query,
    Headers,
    Body,
}

fn usual() -> Vec<Place> {
    vec![Place::Query, Place::Body]
}

/// Bytes of a compiled expression at most.
const LARGEST: usize = 1 << 20;

// === impl Pattern ===

impl Pattern {
    pub(super) fn compile(field: &str, with: PatternWith) -> Result<Self, Fault> {
        let field = format!("{field}.regex");
        let bytes = regex::bytes::RegexBuilder::new(&with.regex)
            .size_limit(LARGEST)
            .dfa_size_limit(LARGEST)
            .build();
        Ok(Self {
            name: with.name,
            regex: built(&field, &with.regex)?,
            bytes: bytes.map_err(|error| Fault::new(&field, sentence(&error)))?,
            places: with.places.into(),
        })
    }

    pub(super) fn check(&self, exchange: &Exchange<'_>) -> Result<(), Stop> {
        for place in &self.places {
            let is_found = match place {
                Place::Path => self.regex.is_match(&percent_decoded(exchange.request.path)),
                Place::Query => self.regex.is_match(&decoded(exchange.query())),
                Place::Headers => {
                    let values = exchange.headers().values();
                    values
                        .into_iter()
                        .any(|value| self.bytes.is_match(value.as_bytes()))
                }
                Place::Body => {
                    let body = exchange
                        .body()
                        .ok_or_else(|| Stop::error("the body was not read"))?;
                    self.bytes.is_match(body)
                }
            };
            if is_found {
                return Err(refused(
                    403,
                    format!("the request has what the pattern {} forbids", self.name),
                ));
            }
        }
        Ok(())
    }
}

/// A plus of a path is a plus.
fn percent_decoded(path: &str) -> String {
    decoded(&path.replace('+', "%2B")).into_owned()
}

/// # Errors
/// When it is no expression, or too large.
pub(super) fn pattern(field: &str, text: Option<&str>) -> Result<Option<Regex>, Fault> {
    text.map(|text| built(field, text)).transpose()
}

fn built(field: &str, text: &str) -> Result<Regex, Fault> {
    let built = RegexBuilder::new(text)
        .size_limit(LARGEST)
        .dfa_size_limit(LARGEST)
        .build();
    built.map_err(|error| Fault::new(field, sentence(&error)))
}

fn sentence(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or("it cannot be read")
        .trim_start_matches("error: ")
        .to_owned()
}
