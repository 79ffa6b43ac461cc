use serde_json::{Map, Value};

use crate::words::words;

use super::limit;

const NOT_CONVERTED: &str = "this command is not converted";

/// Objects of DataPower's whose settings have a counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapping {
    /// The gateway, collections and plans: limits.
    Limits {
        sub: &'static str,
    },
    Parse,
    UpstreamTls,
}

/// Commands of `parse-settings`, and the settings that they are.
const PARSE: [(&str, &str); 6] = [
    ("document-size", "bodyBytes"),
    ("nesting-depth", "depth"),
    ("width", "width"),
    ("name-length", "nameLength"),
    ("value-length", "valueLength"),
    ("number-length", "numberLength"),
];

/// Protocols that a backend can be spoken to with, the oldest first.
const PROTOCOLS: [(&str, &str); 2] = [("TLSv1d2", "1.2"), ("TLSv1d3", "1.3")];

/// Why an object has no counterpart.
pub(super) fn not_converted(object: &str) -> Option<&'static str> {
    Some(match object {
        "config-sequence" => "there is no configuration sequence",
        "analytics-endpoint" => "analytics are read from metrics and access lines",
        "front-side-handler" => "listeners are set by the chart (dataplane.tls)",
        "registry" => "there are no user registries; use jwt, introspect or basic",
        "oauth-provider" => "genkan issues no tokens",
        "api-definition" | "assembly" => "it is not converted; use spec.policies",
        _ => return None,
    })
}

pub(super) fn is_echo(command: &str) -> bool {
    command
        .split_whitespace()
        .next()
        .is_none_or(|word| word == "echo")
}

// === impl Mapping ===

impl Mapping {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "apigw" | "api-plan" => Self::Limits { sub: "override" },
            "api-collection" => Self::Limits { sub: "collection" },
            "parse-settings" => Self::Parse,
            "tls-client" => Self::UpstreamTls,
            _ => return None,
        })
    }

    /// Whether this sub-object is the one whose commands have a counterpart.
    pub fn has(self, sub: &str) -> bool {
        let known = match self {
            Self::Limits { sub } => sub,
            Self::Parse => "override",
            Self::UpstreamTls => "profile",
        };
        sub == known
    }

    /// Adds what a command sets.
    pub fn apply(self, sub: &str, command: &str, settings: &mut Map<String, Value>) -> Result<(), String> {
        if is_echo(command) {
            return Ok(());
        }
        if !self.has(sub) {
            return Err(NOT_CONVERTED.to_owned());
        }
        let words = words(command)?;
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let (key, members) = match self {
            Self::Limits { .. } => {
                let limit = limit::read(&words)?;
                let (name, limit) = limit.ok_or_else(|| NOT_CONVERTED.to_owned())?;
                ("limits", vec![(name, limit)])
            }
            Self::Parse => {
                let found = parse(&words).ok_or_else(|| NOT_CONVERTED.to_owned())?;
                ("parse", vec![found])
            }
            Self::UpstreamTls => ("upstreamTLS", protocols(&words)?),
        };
        let of = settings.entry(key).or_insert_with(|| Value::Object(Map::new()));
        if let Some(of) = of.as_object_mut() {
            of.extend(members);
        }
        Ok(())
    }
}

fn parse(words: &[&str]) -> Option<(String, Value)> {
    let [name, number] = words else {
        return None;
    };
    let (_, setting) = PARSE.iter().find(|(command, _)| command == name)?;
    let number: u64 = number.parse().ok()?;
    Some(((*setting).to_owned(), Value::from(number)))
}

fn protocols(words: &[&str]) -> Result<Vec<(String, Value)>, String> {
    let ["protocols", listed] = words else {
        return Err(NOT_CONVERTED.to_owned());
    };
    let listed: Vec<_> = listed.split('+').collect();
    let mut versions = PROTOCOLS
        .iter()
        .filter(|(name, _)| listed.contains(name))
        .map(|(_, version)| *version);
    let none = "neither TLS 1.2 nor TLS 1.3 is among the protocols";
    let least = versions.next().ok_or(none)?;
    let most = versions.next_back().unwrap_or(least);
    Ok(vec![
        ("minVersion".to_owned(), Value::from(least)),
        ("maxVersion".to_owned(), Value::from(most)),
    ])
}
