use genkan_routing::answer::reason;
use serde::Deserialize;

use crate::answer::PolicyAnswer;
use crate::exchange::{Certificate, Exchange};
use crate::glob::Glob;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};

/// Which client certificates are taken; that they are good was found before.
#[derive(Debug)]
pub(crate) struct Mtls {
    dns: Box<[Glob]>,
    uri: Box<[Glob]>,
    common_names: Box<[Glob]>,
    organizations: Box<[Glob]>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    #[serde(default)]
    san: San,
    #[serde(default)]
    subject: Subject,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct San {
    #[serde(default)]
    dns: Vec<String>,
    #[serde(default)]
    uri: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Subject {
    #[serde(default)]
    cn: Vec<String>,
    #[serde(default)]
    o: Vec<String>,
}

// === impl Mtls ===

impl Mtls {
    pub(crate) fn compile(with: With, _: &Site<'_>) -> Result<Self, Fault> {
        let globs = |texts: &[String]| texts.iter().map(|text| Glob::new(text)).collect::<Box<[_]>>();
        let small = |texts: &[String]| {
            texts
                .iter()
                .map(|text| text.to_ascii_lowercase())
                .collect::<Vec<_>>()
        };
        Ok(Self {
            dns: globs(&small(&with.san.dns)),
            uri: globs(&with.san.uri),
            common_names: globs(&with.subject.cn),
            organizations: globs(&with.subject.o),
        })
    }

    /// One of the alternative names, and the subject, where they are asked for.
    fn takes(&self, certificate: &Certificate) -> bool {
        let is_dns = certificate.dns.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            self.dns.iter().any(|glob| glob.matches_within(&name, b'.'))
        });
        let is_uri = any(&self.uri, certificate.uri.iter().map(String::as_str));
        let asks_for_names = !self.dns.is_empty() || !self.uri.is_empty();
        let parts = parts_of(&certificate.subject);
        let has = |wanted: &[Glob], name: &str| {
            let values = parts.iter().filter(|(part, _)| part.eq_ignore_ascii_case(name));
            wanted.is_empty() || any(wanted, values.map(|(_, value)| value.as_str()))
        };
        (!asks_for_names || is_dns || is_uri)
            && has(&self.common_names, "CN")
            && has(&self.organizations, "O")
    }
}

impl Act for Mtls {
    fn act(&self, exchange: &mut Exchange<'_>, _: Moment) -> Result<(), Stop> {
        let Some(certificate) = exchange.request.source.certificate else {
            let text = "a client certificate is needed";
            return Err(PolicyAnswer::refused(401, reason::CERTIFICATE_MISSING, text).into());
        };
        if !self.takes(certificate) {
            let text = "the client certificate is none of those that are taken here";
            return Err(PolicyAnswer::refused(401, reason::CERTIFICATE_INVALID, text).into());
        }
        exchange.auth_mut().method = "mtls".to_owned();
        Ok(())
    }
}

fn any<'v>(wanted: &[Glob], mut values: impl Iterator<Item = &'v str>) -> bool {
    values.any(|value| wanted.iter().any(|glob| glob.matches(value)))
}

/// Of `CN=till-7,O=Acme\, Inc.`.
fn parts_of(subject: &str) -> Vec<(String, String)> {
    let mut parts = vec![String::new()];
    let mut letters = subject.chars();
    while let Some(letter) = letters.next() {
        match (letter, parts.last_mut()) {
            ('\\', Some(part)) => part.extend(letters.next()),
            (',' | '+', _) => parts.push(String::new()),
            (other, Some(part)) => part.push(other),
            (_, None) => {}
        }
    }
    let pairs = parts.iter().filter_map(|part| part.trim().split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_with_their_escapes() {
        let parts = parts_of(r"CN=till-7,O=Acme\, Inc.");
        assert_eq!(
            parts,
            [("CN".into(), "till-7".into()), ("O".into(), "Acme, Inc.".into())]
        );
        assert_eq!(parts_of(r"CN=a\,O=Acme").len(), 1);
    }
}
