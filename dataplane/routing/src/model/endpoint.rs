//! Where an object's backend is: a `url`, or a Service.

use thiserror::Error;

use crate::path::canonicalize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

/// The address of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub scheme: Scheme,
    /// Lower-case, without brackets.
    pub host: String,
    /// The port that is dialled, whether it was written or not.
    pub port: u16,
    /// What the backend sees as `Host`: as it was written.
    pub authority: String,
    /// Put in front of every path; canonical, without a slash at the end.
    pub base_path: String,
}

/// Why an address cannot be used. The text names the part that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EndpointError {
    #[error("the url is empty; write http://host:port or https://host:port")]
    Empty,
    #[error("the url has {0} bytes; at most {MAX_URL} are allowed")]
    TooLong(usize),
    #[error("the url {0:?} has no scheme; write http://host:port or https://host:port")]
    NoScheme(String),
    #[error("the scheme of the url is {0:?}; it must be http or https")]
    Scheme(String),
    #[error("the url has no host")]
    NoHost,
    #[error("the host of the url, {0:?}, is not a host name or IP address")]
    Host(String),
    #[error("the port of the url, {0:?}, is not a number from 1 to 65535")]
    Port(String),
    #[error("the url has user info; send credentials with headerUp instead")]
    UserInfo,
    #[error("the {0} has a query; add one with a rewrite directive instead")]
    Query(&'static str),
    #[error("the {0} has a fragment")]
    Fragment(&'static str),
    #[error("the path of the url cannot be used: {0}")]
    Path(#[from] crate::path::Refusal),
    #[error("the service path {0:?} must begin with a slash: it becomes the path of the backend's url")]
    ServicePath(String),
}

const MAX_URL: usize = 2048;

// === impl Scheme ===

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Reads `scheme://host[:port][/path]`; `//host` means http.
    pub fn from_url(url: &str) -> Result<Self, EndpointError> {
        if url.is_empty() {
            return Err(EndpointError::Empty);
        }
        if url.len() > MAX_URL {
            return Err(EndpointError::TooLong(url.len()));
        }
        let (scheme, rest) = match url.split_once("//") {
            Some(("", rest)) => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.ends_with(':') && is_scheme(&scheme[..scheme.len() - 1]) => {
                (parse_scheme(&scheme[..scheme.len() - 1])?, rest)
            }
            _ => return Err(EndpointError::NoScheme(url.into())),
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let base_path = parse_base_path(path, "url")?;
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let (host, port) = split_authority(authority)?;
        let port = match port {
            None => scheme.default_port(),
            Some(port) => parse_port(port)?,
        };
        // `host:` is legal and means the default port; the backend sees the host alone.
        let authority = authority.trim_end_matches(':').to_owned();
        Ok(Self {
            scheme,
            host,
            port,
            authority,
            base_path,
        })
    }

    /// The address of a Service by its DNS name.
    pub fn from_service(
        namespace: &str,
        name: &str,
        port: u16,
        path: &str,
        scheme: Scheme,
    ) -> Result<Self, EndpointError> {
        if !path.is_empty() && !path.starts_with(['/', '?', '#']) {
            return Err(EndpointError::ServicePath(path.into()));
        }
        let base_path = parse_base_path(path, "path")?;
        let host = format!("{name}.{namespace}.svc");
        let authority = format!("{host}:{port}");
        Ok(Self {
            scheme,
            host,
            port,
            authority,
            base_path,
        })
    }
}

/// Namespace and name of the Service that a host name stands for: `name.ns.svc`, with or without a cluster domain.
pub fn service_of_host(host: &str) -> Option<(String, String)> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut labels = host.split('.');
    let (name, namespace, svc) = (labels.next()?, labels.next()?, labels.next()?);
    let is_service =
        svc.eq_ignore_ascii_case("svc") && [name, namespace].iter().all(|label| !label.is_empty());
    is_service.then(|| (namespace.to_ascii_lowercase(), name.to_ascii_lowercase()))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn parse_scheme(text: &str) -> Result<Scheme, EndpointError> {
    match text.to_ascii_lowercase().as_str() {
        "http" => Ok(Scheme::Http),
        "https" => Ok(Scheme::Https),
        _ => Err(EndpointError::Scheme(text.into())),
    }
}

fn parse_port(text: &str) -> Result<u16, EndpointError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|&port| digits && port > 0);
    port.ok_or_else(|| EndpointError::Port(text.into()))
}

/// Host in lower case and without brackets, and the port if one is written.
fn split_authority(authority: &str) -> Result<(String, Option<&str>), EndpointError> {
    let bad = || EndpointError::Host(authority.into());
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(bad)?;
        let port = if after.is_empty() {
            None
        } else {
            Some(after.strip_prefix(':').ok_or_else(bad)?)
        };
        host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
        (host, port)
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if !host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        {
            return Err(bad());
        }
        (host, port)
    };
    if host.is_empty() {
        return Err(EndpointError::NoHost);
    }
    Ok((host.to_ascii_lowercase(), port.filter(|port| !port.is_empty())))
}

fn parse_base_path(path: &str, part: &'static str) -> Result<String, EndpointError> {
    let cut = path.find(['?', '#']).map(|at| path.as_bytes()[at]);
    match cut {
        Some(b'?') => return Err(EndpointError::Query(part)),
        Some(_) => return Err(EndpointError::Fragment(part)),
        None => {}
    }
    let canonical = canonicalize(path.as_bytes())?;
    Ok(canonical.strip_suffix('/').unwrap_or(&canonical).to_owned())
}
