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

/// Of `CN=till-7,O=Acme\, Inc.`, as RFC 4514 writes it.
fn parts_of(subject: &str) -> Vec<(String, String)> {
    let mut parts = vec![Vec::new()];
    let mut bytes = subject.bytes();
    while let Some(byte) = bytes.next() {
        match (byte, parts.last_mut()) {
            (b'\\', Some(part)) => part.extend(unescaped(&mut bytes)),
            (b',' | b'+', _) => parts.push(Vec::new()),
            (other, Some(part)) => part.push(other),
            (_, None) => {}
        }
    }
    let texts = parts.iter().map(|part| String::from_utf8_lossy(part));
    let pairs = texts.filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        Some((name.trim().to_owned(), value.to_owned()))
    });
    pairs.collect()
}

/// The byte that a backslash stands in front of, or that two digits say.
fn unescaped(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = bytes.next()?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let second = bytes.clone().next();
    match (digit(first), second.and_then(digit)) {
        (Some(high), Some(low)) => {
            bytes.next();
            u8::try_from(high * 16 + low).ok()
        }
        (Some(_), None) | (None, _) => Some(first),
    }
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
        assert_eq!(
            parts_of(r"CN=a\,O\=Acme\20\C3\A9"),
            [("CN".into(), "a,O=Acme \u{e9}".into())]
        );
        // A blank is part of a name.
        assert_eq!(parts_of(r"CN=a\ , O=b")[0].1, "a ");
    }
}
