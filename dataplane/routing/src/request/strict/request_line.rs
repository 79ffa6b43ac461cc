use std::borrow::Cow;

use super::{Refused, Version};
use crate::alphabet::{HOST, TOKEN};

/// The three parts of a request line.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine<'h> {
    pub method: &'h str,
    pub target: &'h [u8],
    pub version: Version,
}

/// The forms of a request target that are understood.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form<'h> {
    Origin(&'h [u8]),
    Absolute { authority: &'h [u8], rest: &'h [u8] },
    Asterisk,
}

/// Splits the request line from the header lines.
pub(super) fn split(head: &[u8]) -> Result<(RequestLine<'_>, &[u8]), Refused> {
    let mut returns = memchr::memchr_iter(b'\r', head);
    let end = returns
        .find(|at| head.get(at + 1) == Some(&b'\n'))
        .ok_or_else(|| Refused::framing("the request line has no end"))?;
    Ok((RequestLine::parse(&head[..end])?, &head[end + 2..]))
}

/// What holds for a target in every form.
pub(super) fn judge_target(method: &str, target: &[u8]) -> Result<(), Refused> {
    // Looks at every byte, which goes many at a time.
    let is_foreign = |byte: &u8| (*byte <= b' ') | (*byte == 0x7f);
    if target.iter().fold(false, |found, byte| found | is_foreign(byte)) {
        return Err(Refused::target("the request target contains a control character"));
    }
    if memchr::memchr(b'#', target).is_some() {
        return Err(Refused::target("the request target contains a fragment"));
    }
    if target == b"*" && method != "OPTIONS" {
        return Err(Refused::target("the target * is for OPTIONS only"));
    }
    Ok(())
}

/// A host, and a port if there is a colon.
pub(super) fn judge_authority(authority: &[u8]) -> Result<(), Refused> {
    let (host, port) = split_port(authority);
    let port_is_number = port.is_none_or(|port| port.len() <= 5 && port.iter().all(u8::is_ascii_digit));
    let host_is_name = match host {
        [b'[', inner @ .., b']'] => inner
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')),
        name => HOST.covers(name),
    };
    if host.is_empty() || !host_is_name || !port_is_number {
        return Err(Refused::host(
            "the Host header is not a host name with an optional port",
        ));
    }
    Ok(())
}

/// Compares without regard to case and to the default port.
pub(super) fn same_authority(one: &[u8], other: &[u8]) -> bool {
    let ((one, one_port), (other, other_port)) = (split_port(one), split_port(other));
    let port = |port: Option<&[u8]>| port.filter(|port| !port.is_empty()).unwrap_or(b"80").to_owned();
    one.eq_ignore_ascii_case(other) && port(one_port) == port(other_port)
}

fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let after_address = memchr::memrchr(b']', authority).map_or(0, |at| at + 1);
    match memchr::memchr(b':', &authority[after_address..]) {
        Some(at) => (
            &authority[..after_address + at],
            Some(&authority[after_address + at + 1..]),
        ),
        None => (authority, None),
    }
}

// === impl RequestLine ===

impl<'h> RequestLine<'h> {
    fn parse(line: &'h [u8]) -> Result<Self, Refused> {
        let mut spaces = memchr::memchr_iter(b' ', line);
        let (Some(first), Some(second), None) = (spaces.next(), spaces.next(), spaces.next()) else {
            return Err(Refused::framing(
                "the request line is not a method, a target and a version with one space between them",
            ));
        };
        let (method, target, version) = (&line[..first], &line[first + 1..second], &line[second + 1..]);
        let method = std::str::from_utf8(method)
            .ok()
            .filter(|name| is_token(name.as_bytes()));
        let method = method.ok_or_else(|| Refused::framing("the method is not a token"))?;
        Ok(Self {
            method,
            target,
            version: parse_version(version)?,
        })
    }

    pub(super) fn form(&self) -> Result<Form<'h>, Refused> {
        judge_target(self.method, self.target)?;
        match self.target {
            [b'/', ..] => Ok(Form::Origin(self.target)),
            b"*" => Ok(Form::Asterisk),
            target => Form::absolute(target),
        }
    }
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && TOKEN.covers(bytes)
}

fn parse_version(version: &[u8]) -> Result<Version, Refused> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() && *major > b'0' =>
        {
            Err(Refused::version())
        }
        _ => Err(Refused::framing(
            "the request line does not end with an HTTP version",
        )),
    }
}

// === impl Form ===

impl<'h> Form<'h> {
    fn absolute(target: &'h [u8]) -> Result<Self, Refused> {
        let scheme = memchr::memmem::find(target, b"://").map(|at| (&target[..at], &target[at + 3..]));
        let Some((scheme, after)) = scheme else {
            return Err(Refused::target("the request target does not start with a slash"));
        };
        if scheme.eq_ignore_ascii_case(b"https") {
            return Err(Refused::target(
                "the request target says https, and this port speaks plain HTTP",
            ));
        }
        if !scheme.eq_ignore_ascii_case(b"http") {
            return Err(Refused::target("the request target is not an http URL"));
        }
        let end = after
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .unwrap_or(after.len());
        Ok(Self::Absolute {
            authority: &after[..end],
            rest: &after[end..],
        })
    }

    pub(super) fn authority(&self) -> Option<&'h [u8]> {
        match self {
            Self::Absolute { authority, .. } => Some(authority),
            Self::Origin(_) | Self::Asterisk => None,
        }
    }

    /// The target in origin-form, or `*`.
    pub(super) fn target(&self) -> Cow<'h, [u8]> {
        match self {
            Self::Origin(target) => escape(Cow::Borrowed(target)),
            Self::Asterisk => Cow::Borrowed(b"*"),
            Self::Absolute { rest, .. } if rest.first() == Some(&b'/') => escape(Cow::Borrowed(rest)),
            Self::Absolute { rest, .. } => escape(Cow::Owned([b"/", *rest].concat())),
        }
    }
}

/// Percent-encodes the few bytes that the URI type of the proxy engine does not hold, so that they reach
/// routing at all: `<`, `>` and the backtick in the path, `<`, `>` and the quotation mark in the query, and
/// whatever is not ASCII in a target that is not UTF-8.
fn escape(target: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let is_foreign =
        |byte: &u8| (*byte == b'<') | (*byte == b'>') | (*byte == b'`') | (*byte == b'"') | (*byte >= 0x80);
    // Looks at every byte, which goes many at a time.
    if !target.iter().fold(false, |found, byte| found | is_foreign(byte)) {
        return target;
    }
    let is_text = std::str::from_utf8(&target).is_ok();
    let foreign = |query: bool, byte: u8| match byte {
        b'<' | b'>' => true,
        b'`' => !query,
        b'"' => query,
        0x80.. => !is_text,
        _ => false,
    };
    if is_text
        && !target
            .iter()
            .any(|byte| foreign(true, *byte) || foreign(false, *byte))
    {
        return target;
    }
    let mut escaped = Vec::with_capacity(target.len() + 16);
    let mut query = false;
    for byte in target.iter() {
        if foreign(query, *byte) {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            query |= *byte == b'?';
            escaped.push(*byte);
        }
    }
    Cow::Owned(escaped)
}
