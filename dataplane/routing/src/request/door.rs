//! What a request comes to by the name that its client uses: all paths, or one web UI with an origin of its own.

use std::net::IpAddr;
use std::str::FromStr;

use super::public::{Front, Origin, host_of, is_loopback};

/// A request as it arrived, beside its headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arrival<'r> {
    /// The authority that the client named.
    pub host: &'r str,
    /// Its connection is encrypted.
    pub is_tls: bool,
    /// The name that it asked for when that was agreed on.
    pub server_name: Option<&'r str>,
    /// Where it comes from.
    pub peer: Option<IpAddr>,
}

/// What a request comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Door<'r> {
    /// All paths.
    #[default]
    Main,
    /// One web UI, by the first segment of its path below `/proxy`: its root is that of the origin.
    App(&'r str),
    /// The same on the machine itself, through a forwarded port: whoever forwards it says who calls.
    Local(&'r str),
    /// A name of web UIs that cannot be that of one.
    Nowhere,
    /// TLS was agreed on for a name that is another door's.
    Misdirected,
}

/// The domain below which each web UI has a name: `apps.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppsDomain {
    /// Lower-case, with a dot in front.
    suffix: Box<str>,
}

/// Why a text is no [`AppsDomain`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no domain for web UIs; write its name alone, such as apps.example.com")]
pub struct NoDomain(String);

/// Why the names of a front cannot stand beside one another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the public URL {0} lies in the domain of web UIs, whose pages could set cookies for it; give web UIs a domain of their own"
)]
pub struct SharedDomain(String);

/// Browsers lead every name below to the machine that they run on.
pub(super) const LOCAL_APPS: &str = ".localhost";
/// A name of DNS has so many bytes at most.
const LONGEST_NAME: usize = 253;
/// And a label of it so many.
const LONGEST_LABEL: usize = 63;

// === impl Door ===

impl<'r> Door<'r> {
    /// The one web UI that is behind it.
    pub fn app(self) -> Option<&'r str> {
        match self {
            Self::App(name) | Self::Local(name) => Some(name),
            Self::Main | Self::Nowhere | Self::Misdirected => None,
        }
    }
}

// === impl Front ===

impl Front {
    /// The door that a request comes to. Names of web UIs count as they are written: no other case, no dot at the end.
    pub fn door<'r>(&self, arrival: Arrival<'r>) -> Door<'r> {
        self.door_of(arrival.host, arrival.server_name, arrival.peer)
    }

    /// The same, by what it depends on.
    pub fn door_of<'r>(&self, host: &'r str, server_name: Option<&str>, peer: Option<IpAddr>) -> Door<'r> {
        // Whatever stands behind the colon: a port that is none makes no other name of it.
        let end = host.rfind(':').filter(|at| !host[*at..].contains(']'));
        let host = &host[..end.unwrap_or(host.len())];
        if let Some(apps) = &self.apps {
            let label = below(host, &apps.suffix);
            let of_tls = server_name.and_then(|name| self.is_for_apps(apps, name));
            return match label {
                _ if of_tls.is_some_and(|is_for_apps| is_for_apps != label.is_some()) => Door::Misdirected,
                Some(label) if is_label(label) && host.ends_with(&*apps.suffix) => Door::App(label),
                Some(_) => Door::Nowhere,
                None => local(host, peer),
            };
        }
        local(host, peer)
    }

    /// Where the web UI of this name lives, without a slash at the end; its scheme and port are those of the first public
    /// URL, since one listener has both.
    pub fn app_origin(&self, name: &str) -> Option<String> {
        let suffix = &self.apps.as_ref()?.suffix;
        Some(match self.origins.first() {
            None => format!("https://{name}{suffix}"),
            Some(origin) => format!("{}://{name}{suffix}{}", origin.scheme(), origin.port_as_written()),
        })
    }

    /// Whoever forwards a port may not reach the names of the front.
    pub(crate) fn is_of_own_machine(&self, host: &str) -> bool {
        let is_named = |origin: &Origin| origin.authority().eq_ignore_ascii_case(host);
        is_loopback(host_of(host)) && !self.origins.iter().any(is_named)
    }

    /// # Errors
    /// When one of its names lies in the domain of web UIs.
    pub fn check(&self) -> Result<(), SharedDomain> {
        let Some(apps) = &self.apps else {
            return Ok(());
        };
        let is_inside = |origin: &&Origin| {
            let host = host_of(origin.authority());
            below(host, &apps.suffix).is_some() || host == &apps.suffix[1..]
        };
        match self.origins.iter().find(is_inside) {
            Some(origin) => Err(SharedDomain(origin.to_string())),
            None => Ok(()),
        }
    }

    /// `None` of a name that is neither that of a web UI nor one of the front: proxies in front choose what they like.
    fn is_for_apps(&self, apps: &AppsDomain, name: &str) -> Option<bool> {
        if below(name, &apps.suffix).is_some() {
            return Some(true);
        }
        let mut origins = self.origins.iter();
        origins
            .any(|origin| host_of(origin.authority()).eq_ignore_ascii_case(name))
            .then_some(false)
    }
}

/// Names below `localhost` count on the machine itself.
fn local(host: &str, peer: Option<IpAddr>) -> Door<'_> {
    let is_local = peer.is_none_or(|peer| peer.to_canonical().is_loopback());
    match below(host, LOCAL_APPS) {
        Some(label) if is_local && is_label(label) && host.ends_with(LOCAL_APPS) => Door::Local(label),
        Some(_) if is_local => Door::Nowhere,
        Some(_) | None => Door::Main,
    }
}

/// What stands in front of the suffix, in whatever case that is written, with or without dots at the end.
fn below<'h>(host: &'h str, suffix: &str) -> Option<&'h str> {
    let name = host.trim_end_matches('.');
    let at = name.len().checked_sub(suffix.len())?;
    let is_below = name.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(suffix));
    is_below.then(|| &name[..at])
}

pub(super) fn is_below_localhost(host: &str) -> bool {
    below(host, LOCAL_APPS).is_some()
}

/// A label of DNS in small letters.
pub(crate) fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST_LABEL
        && bytes.iter().copied().all(is_inner)
        && is_edge(bytes.first())
        && is_edge(bytes.last())
}

// === impl AppsDomain ===

impl FromStr for AppsDomain {
    type Err = NoDomain;

    fn from_str(text: &str) -> Result<Self, NoDomain> {
        let name = text.trim().to_ascii_lowercase();
        // The longest label in front, and a dot.
        let is_short = name.len() + LONGEST_LABEL < LONGEST_NAME;
        let is_local = name == "localhost" || is_below_localhost(&name);
        if !name.split('.').all(is_label) || !is_short || is_local {
            return Err(NoDomain(text.to_owned()));
        }
        Ok(Self {
            suffix: format!(".{name}").into(),
        })
    }
}

#[cfg(test)]
mod tests;
