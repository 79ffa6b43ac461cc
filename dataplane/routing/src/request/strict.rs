//! The strict reading of one HTTP/1 request head, before the proxy engine sees a byte of it.
//!
//! What [`check`] accepts, every parser behind it reads in the same way: method, target, host and
//! framing are unambiguous. What is ambiguous is refused here, with the answer to give.

mod chunks;
mod decoded;
mod fields;
mod request_line;
mod rewrite;
mod scan;

pub use crate::answer::Refused;
pub use chunks::ChunkScan;
pub use decoded::Decoded;
pub use scan::{HeadScan, Scanned};

use std::borrow::Cow;

use fields::Fields;

use crate::path::LONGEST_TARGET;

/// Budgets of one request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole head, the empty line included.
    pub head: usize,
    /// Bytes of the request target.
    pub target: usize,
    /// Header lines.
    pub headers: usize,
}

/// The versions of HTTP/1 that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// How the end of the request body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Neither Content-Length nor Transfer-Encoding: there is no body.
    None,
    /// `Content-Length: n`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A head that may be handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<'h> {
    /// The bytes to hand on; owned if something had to be taken out or written differently.
    pub head: Cow<'h, [u8]>,
    pub method: &'h str,
    /// The request target as it stands in `head`: origin-form, or `*`.
    pub target: Cow<'h, [u8]>,
    pub host: Option<&'h [u8]>,
    pub version: Version,
    pub framing: Framing,
    /// The client wants to keep the connection.
    pub keep_alive: bool,
    /// A wish to switch to WebSocket or SPDY/3.1.
    pub upgrade: bool,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 * 1024,
            target: LONGEST_TARGET,
            headers: 200,
        }
    }
}

// === impl Framing ===

impl Framing {
    /// Whether a body of at least one byte may follow the head.
    pub fn has_body(self) -> bool {
        !matches!(self, Self::None | Self::Length(0))
    }
}

// === impl Accepted ===

impl Accepted<'_> {
    /// `OPTIONS *` asks about the server itself; no route can answer it.
    pub fn is_server_options(&self) -> bool {
        self.method == "OPTIONS" && *self.target == *b"*"
    }

    /// Names and values of the header lines of `head`.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let start = memchr::memmem::find(&self.head, b"\r\n").map_or(self.head.len(), |at| at + 2);
        fields::lines(&self.head[start..]).map(|(_, field)| (field.name, field.value))
    }
}

/// Judges one head: the request line and the header lines, up to and including the empty line.
pub fn check<'h>(head: &'h [u8], limits: &Limits) -> Result<Accepted<'h>, Refused> {
    let (line, rest) = request_line::split(head)?;
    if line.target.len() > limits.target {
        return Err(Refused::target_too_long(limits.target));
    }
    if head.len() > limits.head {
        return Err(Refused::head_too_large(limits.head));
    }
    refuse_method(line.method)?;
    let form = line.form()?;
    let fields = Fields::read(rest, line.version, limits.headers)?;
    if fields.host.is_none() && line.version == Version::Http11 {
        return Err(Refused::host("the request has no Host header"));
    }
    let host = judge_host(fields.host, form.authority())?;
    if fields.upgrade && fields.framing.has_body() {
        return Err(Refused::framing(
            "a request to switch protocols must not carry a body",
        ));
    }
    let target = form.target();
    // It grows where it is escaped.
    if target.len() > limits.target {
        return Err(Refused::target_too_long(limits.target));
    }
    let head = rewrite::head(head, &line, &form, &target, &fields);
    Ok(Accepted {
        head,
        method: line.method,
        target,
        host,
        version: line.version,
        framing: fields.framing,
        keep_alive: fields.keep_alive(line.version),
        upgrade: fields.upgrade,
    })
}

/// Methods that are never passed on.
fn refuse_method(method: &str) -> Result<(), Refused> {
    match method {
        "TRACE" | "CONNECT" => Err(Refused::method(method)),
        _ => Ok(()),
    }
}

/// One host, and the same in both places where a head can name it.
fn judge_host<'h>(host: Option<&'h [u8]>, authority: Option<&'h [u8]>) -> Result<Option<&'h [u8]>, Refused> {
    let Some(host) = host else {
        authority.map_or(Ok(()), request_line::judge_authority)?;
        return Ok(authority);
    };
    request_line::judge_authority(host)?;
    match authority {
        Some(authority) if !request_line::same_authority(host, authority) => Err(Refused::host(
            "the Host header and the request target name different hosts",
        )),
        _ => Ok(Some(host)),
    }
}
