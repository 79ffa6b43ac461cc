//! The public side: how people reach genkan, and what backends are told of it.
//!
//! A backend behind a path or behind another name compares `Origin` with `Host`, and makes absolute links of what it is told
//! in `X-Forwarded-*`. So it is told the truth about the front, and the origin of the front is translated into its own.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use bytes::Bytes;
use http::header::{FORWARDED, InvalidHeaderValue, ORIGIN, REFERER};
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use serde::Serialize;

use super::door::{AppsDomain, Arrival, Door, is_below_localhost};
use crate::connection::tokens;
use crate::endpoint::Scheme;
use crate::headers::{HeaderStore, HeaderView, is_token};
use crate::reference::{same_authority, scheme_length};

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
/// A prefix of a proxy in front that is longer is none.
const LONGEST_PREFIX: usize = 1024;

/// An origin that people type: `https://gw.example`, `http://gw.example:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    /// Lower-case; without the port that the scheme has anyway.
    authority: Box<str>,
}

/// Why a text is no [`Origin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no public URL; write a scheme and a host, such as https://gw.example or http://gw.example:8080"
)]
pub struct NoOrigin(String);

/// Which words backends are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FrontHeaders {
    /// Those of the public side.
    #[default]
    Public,
    /// As KubeSphere has it: `X-Forwarded-For` alone, and with `wrapTransport` the names of the backend itself.
    Kubesphere,
}

/// How genkan is reached, as an administrator says it.
#[derive(Debug, Clone, Default)]
pub struct Front {
    pub headers: FrontHeaders,
    /// The names of the front.
    pub origins: Vec<Origin>,
    /// HTTP proxies that overwrite what clients say of the front.
    pub trusted: Vec<IpNet>,
    /// Each web UI has a name below it.
    pub apps: Option<AppsDomain>,
    /// Below `/proxy` they are not served, where they have a name.
    pub apps_only: bool,
}

/// The front as one client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side<'r> {
    pub scheme: Scheme,
    /// Empty where the client names none.
    pub authority: Cow<'r, str>,
    pub standing: Standing,
    /// What a trusted proxy took off in front of genkan.
    prefix: &'r str,
    port: Option<u16>,
    is_trusted: bool,
    is_told: bool,
}

/// What is known of the name that a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An administrator named it.
    Public,
    /// The machine of the client itself.
    Loopback,
    /// It may be one that somebody made lead here.
    Unknown,
}

/// What the backend of a web UI sees as `Host`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub enum HostMode {
    /// Its own, of the upstream.
    #[default]
    Own,
    /// The public name that the client used, where an administrator named it.
    Preserve,
    /// This one.
    Name(String),
}

/// How the backend of a web UI wants to be told of the front.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fronting {
    pub host: HostMode,
    /// `Origin` and `Referer` pass as they come.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_origin: bool,
}

/// What one request tells its backend of the front.
#[derive(Debug, Clone, Copy)]
pub struct Public<'r> {
    pub front: &'r Front,
    pub arrival: Arrival<'r>,
    pub fronting: &'r Fronting,
    /// The cluster that the path names, or nothing.
    pub cluster: &'r str,
    /// What stripPathPrefix took off.
    pub stripped: Option<&'r str>,
    /// Stands in front of every path of the backend.
    pub base: &'r str,
    /// The path as the client sees it.
    pub path: &'r [u8],
}

// === impl Origin ===

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let problem = || NoOrigin(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let (scheme, rest) = lower.split_once("://").ok_or_else(problem)?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(problem()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split(authority)
            .filter(|_| is_authority(authority))
            .ok_or_else(problem)?;
        let is_own_port = port.is_none_or(|port| port == scheme.default_port());
        Ok(Self {
            scheme,
            authority: if is_own_port { host } else { authority }.into(),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority)
    }
}

impl Origin {
    pub fn scheme(&self) -> &'static str {
        self.scheme.as_str()
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Behind its colon; nothing where it is the one of the scheme.
    pub(super) fn port_as_written(&self) -> &str {
        &self.authority[host_of(&self.authority).len()..]
    }
}

// === impl Front ===

impl Front {
    /// The front as the client of a request sees it.
    pub fn side<'r>(&self, arrival: Arrival<'r>, headers: &'r impl HeaderView) -> Side<'r> {
        let peer = arrival.peer.map(|peer| peer.to_canonical());
        let is_trusted = peer.is_some_and(|peer| self.trusted.iter().any(|range| range.contains(&peer)));
        let said = |name: HeaderName| is_trusted.then(|| last(headers, name)).flatten();
        let authority = said(FORWARDED_HOST).filter(|authority| is_authority(authority));
        let authority = authority.unwrap_or(arrival.host);
        let encrypted = match said(FORWARDED_PROTO) {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => Some(true),
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => Some(false),
            _ => arrival.is_tls.then_some(true),
        };
        let scheme_of = |is_https| match is_https {
            true => Scheme::Https,
            false => Scheme::Http,
        };
        let is_named =
            |origin: &&Origin| same_authority(authority.as_bytes(), origin.scheme, &origin.authority);
        let mut named = self.origins.iter().filter(is_named);
        let as_seen = named
            .clone()
            .find(|origin| Some(origin.scheme) == encrypted.map(scheme_of));
        // Behind something that ends TLS and says nothing of it, the administrator's word is what there is.
        let named = as_seen.or_else(|| named.next().filter(|_| encrypted.is_none()));
        let (scheme, standing) = match named {
            Some(origin) => (origin.scheme, Standing::Public),
            None if let Door::App(_) = self.door(arrival) => {
                let named = self.origins.first().filter(|_| encrypted.is_none());
                let seen = || scheme_of(encrypted == Some(true));
                (named.map_or_else(seen, |origin| origin.scheme), Standing::Public)
            }
            None if let Door::Local(_) = self.door(arrival) => {
                (scheme_of(encrypted == Some(true)), Standing::Public)
            }
            None if is_loopback(host_of(authority)) => {
                (scheme_of(encrypted == Some(true)), Standing::Loopback)
            }
            None => (scheme_of(encrypted == Some(true)), Standing::Unknown),
        };
        let prefix = match is_trusted {
            true => headers
                .first(FORWARDED_PREFIX)
                .and_then(|prefix| prefix.to_str().ok()),
            false => None,
        };
        let is_prefix = |prefix: &&str| {
            prefix.starts_with('/')
                && !prefix.starts_with("//")
                && prefix.len() <= LONGEST_PREFIX
                && !prefix.contains([',', ' ', ';', '?', '#'])
        };
        let prefix = prefix.filter(is_prefix).unwrap_or_default();
        Side {
            scheme,
            authority: Cow::Borrowed(authority),
            standing,
            prefix: prefix.strip_suffix('/').unwrap_or(prefix),
            port: said(FORWARDED_PORT).and_then(|port| port.parse().ok()),
            is_trusted,
            is_told: self.headers == FrontHeaders::Public,
        }
    }
}

// === impl Side ===
impl Side<'_> {
    /// Whether this is the origin of a reference.
    pub fn is_origin(&self, scheme: &[u8], authority: &[u8]) -> bool {
        scheme.eq_ignore_ascii_case(self.scheme.as_str().as_bytes())
            && same_authority(authority, self.scheme, &self.authority)
    }

    /// What a proxy in front takes off every path: begins with a slash and ends with none, or nothing.
    pub fn outer(&self) -> &str {
        self.prefix
    }

    /// What stands behind this very origin in a reference, where backends are told of it.
    pub fn path_of<'l>(&self, reference: &'l [u8]) -> Option<&'l [u8]> {
        let (scheme, authority, rest) = parts(reference)?;
        (self.is_told && self.is_origin(scheme, authority)).then_some(rest)
    }

    fn is_known(&self) -> bool {
        match self.standing {
            Standing::Public | Standing::Loopback => true,
            Standing::Unknown => false,
        }
    }

    fn port(&self) -> u16 {
        let own = split(&self.authority).and_then(|(_, port)| port);
        own.or(self.port).unwrap_or_else(|| self.scheme.default_port())
    }
}

// === impl Fronting ===

impl Fronting {
    /// Nothing is wanted that is not done anyway.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

// === impl Public ===

impl Public<'_> {
    /// Backends hear of it.
    pub(crate) fn is_told(&self) -> bool {
        self.front.headers == FrontHeaders::Public
    }

    /// Says how the client sees what it asks for. Before `headerUp`, whose word is the last. `own` is the `Host` of the
    /// backend and `scheme` how it is spoken to; what comes back is the `Host` that it gets.
    ///
    /// # Errors
    /// When something of the request is no header value.
    pub(crate) fn tell(
        &self,
        headers: &mut (impl HeaderView + HeaderStore),
        own: &HeaderValue,
        scheme: &'static str,
        client: Option<&(dyn fmt::Display + Sync)>,
        is_wrapped: bool,
    ) -> Result<HeaderValue, InvalidHeaderValue> {
        let made = {
            let side = self.front.side(self.arrival, headers);
            let host = match &self.fronting.host {
                HostMode::Preserve if side.standing == Standing::Public => {
                    HeaderValue::from_str(&side.authority)?
                }
                HostMode::Name(name) => HeaderValue::from_str(name)?,
                HostMode::Own | HostMode::Preserve => own.clone(),
            };
            if self.front.headers == FrontHeaders::Kubesphere {
                return Ok(host);
            }
            Made {
                words: self.words(&side, headers, client)?,
                translated: self.translate(&side, headers, &host, scheme)?,
                is_trusted: side.is_trusted,
                proto: HeaderValue::from_static(side.scheme.as_str()),
                host,
            }
        };
        let Words {
            host,
            port,
            prefix,
            forwarded,
        } = made.words;
        if !made.is_trusted {
            // Whatever else some backend may read there.
            headers.retain(&|name| !is_of_front(name));
        }
        put_or_remove(headers, "X-Forwarded-Host", host);
        headers.put("X-Forwarded-Proto", made.proto);
        headers.put("X-Forwarded-Port", port);
        put_or_remove(headers, "X-Forwarded-Prefix", prefix);
        headers.put("Forwarded", forwarded);
        if is_wrapped {
            headers.put("X-Forwarded-Uri", HeaderValue::from_bytes(self.path)?);
        }
        let (origin, referer) = made.translated;
        if let Some(origin) = origin {
            headers.put("Origin", origin);
        }
        if let Some(referer) = referer {
            headers.put("Referer", referer);
        }
        Ok(made.host)
    }

    /// All of them are parts of one text.
    fn words(
        &self,
        side: &Side<'_>,
        headers: &impl HeaderView,
        client: Option<&(dyn fmt::Display + Sync)>,
    ) -> Result<Words, InvalidHeaderValue> {
        let mut text = String::with_capacity(128);
        if side.is_trusted {
            for line in headers.values(FORWARDED).filter_map(|line| line.to_str().ok()) {
                let _ = write!(text, "{line}, ");
            }
        }
        if let Some(client) = client {
            let begin = text.len();
            let _ = write!(text, "for={client}");
            let shown = &text[begin + "for=".len()..];
            if shown.contains(':') {
                let quoted = format!("for=\"[{shown}]\"");
                text.replace_range(begin.., &quoted);
            }
            text.push(';');
        }
        let mut host = None;
        if !side.authority.is_empty() {
            let quote = if is_token(&side.authority) { "" } else { "\"" };
            let begin = text.len() + "host=".len() + quote.len();
            let _ = write!(text, "host={quote}{}{quote};", side.authority);
            host = Some(begin..begin + side.authority.len());
        }
        let _ = write!(text, "proto={}", side.scheme.as_str());
        let forwarded = text.len();
        let _ = write!(text, "{}", side.port());
        let port = forwarded..text.len();
        let begin = text.len();
        text.push_str(side.prefix);
        self.write_prefix(&mut text);
        let prefix = (text.len() > begin).then_some(begin..text.len());
        let text = Bytes::from(text);
        let part = |range| HeaderValue::from_maybe_shared(text.slice(range));
        Ok(Words {
            host: host.map(part).transpose()?,
            port: part(port)?,
            prefix: prefix.map(part).transpose()?,
            forwarded: part(0..forwarded)?,
        })
    }

    /// What stands in front of the path of the backend, as the client sees it: begins with a slash and ends with none.
    fn write_prefix(&self, text: &mut String) {
        if !self.cluster.is_empty() {
            text.push_str("/clusters/");
            text.push_str(self.cluster);
        }
        let stripped = self.stripped.unwrap_or_default();
        text.push_str(stripped.strip_suffix('/').unwrap_or(stripped));
    }

    /// `Origin` and `Referer` of this very front in the words of the backend. Foreign ones stay, so that its check is alive;
    /// under a name that nobody told us nothing is translated, since whoever made it lead here would be believed.
    fn translate(
        &self,
        side: &Side<'_>,
        headers: &impl HeaderView,
        host: &HeaderValue,
        scheme: &'static str,
    ) -> Result<(Option<HeaderValue>, Option<HeaderValue>), InvalidHeaderValue> {
        if !side.is_known() || self.fronting.keeps_origin {
            return Ok((None, None));
        }
        // It sees the public name, and by X-Forwarded-Proto how that is reached.
        let keeps_name = self.fronting.host == HostMode::Preserve && side.standing == Standing::Public;
        let own = |rest: &[&[u8]]| {
            let (scheme, host) = match keeps_name {
                true => (side.scheme.as_str().as_bytes(), side.authority.as_bytes()),
                false => (scheme.as_bytes(), host.as_bytes()),
            };
            let all = [&[scheme, b"://", host], rest].concat().concat();
            HeaderValue::from_maybe_shared(Bytes::from(all))
        };
        let of_front = |value: &HeaderValue| {
            let (scheme, authority, rest) = parts(value.as_bytes())?;
            side.is_origin(scheme, authority).then(|| rest.to_vec())
        };
        let origin = headers.first(ORIGIN).and_then(of_front);
        let origin = origin.filter(Vec::is_empty).map(|_| own(&[])).transpose()?;
        let referer = headers.first(REFERER).and_then(of_front);
        let referer = referer.map(|rest| {
            let mut prefix = side.prefix.to_owned();
            self.write_prefix(&mut prefix);
            // Other UIs of the front are none of its business.
            match rest.strip_prefix(prefix.as_bytes()) {
                Some(below) if matches!(below, [] | [b'/' | b'?', ..]) => own(&[self.base.as_bytes(), below]),
                _ => own(&[b"/"]),
            }
        });
        Ok((origin, referer.transpose()?))
    }
}

struct Made {
    words: Words,
    translated: (Option<HeaderValue>, Option<HeaderValue>),
    proto: HeaderValue,
    host: HeaderValue,
    is_trusted: bool,
}

struct Words {
    host: Option<HeaderValue>,
    port: HeaderValue,
    prefix: Option<HeaderValue>,
    forwarded: HeaderValue,
}

fn put_or_remove(headers: &mut impl HeaderStore, name: &'static str, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.put(name, value),
        None => headers.remove(name),
    }
}

/// Scheme, authority and the rest of a reference that has all of them.
fn parts(reference: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let length = scheme_length(reference)?;
    let rest = reference[length + 1..].strip_prefix(b"//")?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    Some((&reference[..length], authority, rest))
}

/// What only a proxy in front can say; `X-Forwarded-For` is appended to.
fn is_of_front(name: &str) -> bool {
    const FORWARDED: &str = "x-forwarded-";
    let is_forwarded = name
        .get(..FORWARDED.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(FORWARDED));
    is_forwarded && !name.eq_ignore_ascii_case("x-forwarded-for")
}

/// The word of the proxy that is nearest.
fn last(headers: &impl HeaderView, name: HeaderName) -> Option<&str> {
    let line = headers.lines(name).last()?;
    std::str::from_utf8(tokens(line).last()?).ok()
}

/// Host and port; the host of an IPv6 address with its brackets.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[end..].split_once(':') {
        None => Some((authority, None)),
        Some((host, "")) => Some((&authority[..end + host.len()], None)),
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port = port.parse().ok().filter(|port| *port != 0)?;
            Some((&authority[..end + host.len()], Some(port)))
        }
        Some(_) => None,
    }
}

pub(super) fn host_of(authority: &str) -> &str {
    split(authority).map_or(authority, |(host, _)| host)
}

/// A name or an address, perhaps with a port, and nothing that could end it early somewhere else.
pub fn is_authority(text: &str) -> bool {
    let Some((host, _)) = split(text) else {
        return false;
    };
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.len() <= 253 && host.bytes().all(is_letter)
        }
    }
}

/// Browsers lead these to the machine that they run on, whatever a name server says.
pub(super) fn is_loopback(host: &str) -> bool {
    if is_below_localhost(host) || host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback()),
        None => host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback()),
    }
}

#[cfg(test)]
mod tests;
