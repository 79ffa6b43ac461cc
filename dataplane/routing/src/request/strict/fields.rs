use super::request_line::is_token;
use super::{Framing, Refused, Version};
use crate::alphabet::TOKEN;
use crate::connection::forbidden_nomination;

/// More than these the proxy engine refuses by itself, without an answer that says why.
const MAX_CONNECTION_OPTIONS: usize = 9;

/// What the header lines say about the message as a whole.
#[derive(Clone, Debug)]
pub(super) struct Fields<'h> {
    /// The header lines, without the empty one at the end.
    pub lines: &'h [u8],
    pub host: Option<&'h [u8]>,
    pub framing: Framing,
    pub upgrade: bool,
    /// An Upgrade header is there that leads nowhere.
    pub idle_upgrade: bool,
    pub connection: Connection,
}

/// The union of all Connection lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    pub lines: usize,
    options: usize,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

/// The union of all Upgrade lines.
#[derive(Clone, Copy, Debug, Default)]
struct Upgrade {
    lines: usize,
    known: usize,
    foreign: usize,
}

/// What the fields of a head, one after another, say about the message. The same in every version of HTTP.
#[derive(Clone, Debug)]
pub(super) struct Judge<'h> {
    pub host: Option<&'h [u8]>,
    length: Option<u64>,
    coding: Option<&'h [u8]>,
    expectation: Option<&'h [u8]>,
    connection: Connection,
    upgrade: Upgrade,
    seen: usize,
    limit: usize,
}

/// One header line: its name and its value without the spaces around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'h> {
    pub name: &'h [u8],
    pub value: &'h [u8],
}

// === impl Fields ===

impl<'h> Fields<'h> {
    /// Reads the lines after the request line, which end with an empty one.
    pub(super) fn read(rest: &'h [u8], version: Version, limit: usize) -> Result<Self, Refused> {
        let mut judge = Judge::new(limit);
        let mut lines = Lines { rest };
        while let Some(line) = lines.next()? {
            judge.add(Field::parse(line)?)?;
        }
        if !lines.rest.is_empty() {
            return Err(Refused::framing("there are bytes behind the empty line"));
        }
        let Judge {
            host,
            connection,
            upgrade,
            ..
        } = judge;
        let wanted = version == Version::Http11 && connection.upgrade && upgrade.is_known();
        Ok(Self {
            lines: &rest[..rest.len() - 2],
            host,
            framing: framing(judge.length, judge.coding, version)?,
            upgrade: wanted,
            idle_upgrade: upgrade.lines > 0 && !wanted,
            connection,
        })
    }

    pub(super) fn keep_alive(&self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.connection.close,
            Version::Http10 => self.connection.keep_alive && !self.connection.close,
        }
    }

    /// The lines again, for a second pass; they have been judged.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'h [u8], Field<'h>)> {
        lines(self.lines)
    }
}

// === impl Judge ===

impl<'h> Judge<'h> {
    /// `limit`: the most fields.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            host: None,
            length: None,
            coding: None,
            expectation: None,
            connection: Connection::default(),
            upgrade: Upgrade::default(),
            seen: 0,
            limit,
        }
    }

    pub(super) fn add(&mut self, field: Field<'h>) -> Result<(), Refused> {
        self.seen += 1;
        if self.seen > self.limit {
            return Err(Refused::too_many_headers(self.limit));
        }
        if field.is("host") {
            only(&mut self.host, field.value, "Host")
        } else if field.is("content-length") {
            only(&mut self.length, parse_length(field.value)?, "Content-Length")
        } else if field.is("transfer-encoding") {
            only(&mut self.coding, field.value, "Transfer-Encoding")
        } else if field.is("expect") {
            only(&mut self.expectation, judge_expectation(field.value)?, "Expect")
        } else if field.is("connection") {
            self.connection.add(field.value)
        } else {
            if field.is("upgrade") {
                self.upgrade.add(field.value);
            }
            Ok(())
        }
    }

    /// Fields that speak of one connection, which only HTTP/1 has.
    pub(super) fn names_connection(&self) -> bool {
        self.coding.is_some() || self.connection.lines > 0 || self.upgrade.lines > 0
    }
}

/// Header lines that have been judged.
pub(super) fn lines(rest: &[u8]) -> impl Iterator<Item = (&[u8], Field<'_>)> {
    let mut lines = Lines { rest };
    std::iter::from_fn(move || {
        let line = lines.next().ok().flatten()?;
        Field::parse(line).ok().map(|field| (line, field))
    })
}

/// A header that decides something must stand there once.
fn only<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<(), Refused> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refused::framing(format!(
            "the request has more than one {name} header"
        ))),
    }
}

fn parse_length(value: &[u8]) -> Result<u64, Refused> {
    let plain = value.iter().all(u8::is_ascii_digit) && (value == b"0" || value.first() != Some(&b'0'));
    let number = std::str::from_utf8(value)
        .ok()
        .filter(|_| plain)
        .and_then(|text| text.parse().ok());
    number
        .filter(|number| i64::try_from(*number).is_ok())
        .ok_or_else(|| Refused::framing("the Content-Length header is not one plain number"))
}

/// What is nearly `100-continue` holds the body back here and not there.
fn judge_expectation(value: &[u8]) -> Result<&[u8], Refused> {
    if value.eq_ignore_ascii_case(b"100-continue") {
        Ok(value)
    } else {
        Err(Refused::expectation())
    }
}

fn framing(length: Option<u64>, coding: Option<&[u8]>, version: Version) -> Result<Framing, Refused> {
    match (length, coding) {
        (None, None) => Ok(Framing::None),
        (Some(length), None) => Ok(Framing::Length(length)),
        (Some(_), Some(_)) => Err(Refused::framing(
            "the request has both Content-Length and Transfer-Encoding",
        )),
        (None, Some(_)) if version == Version::Http10 => Err(Refused::framing(
            "an HTTP/1.0 request must not have Transfer-Encoding",
        )),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (None, Some(codings)) => Err(refuse_codings(codings)),
    }
}

fn refuse_codings(codings: &[u8]) -> Refused {
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let mut codings = codings.rsplit(|byte| *byte == b',');
    let ends_chunked = codings.next().is_some_and(is_chunked);
    let mut before = codings.map(<[u8]>::trim_ascii).peekable();
    if ends_chunked && before.peek().is_some() && before.all(|coding| is_token(coding) && !is_chunked(coding))
    {
        Refused::transfer_coding()
    } else {
        Refused::framing("the Transfer-Encoding header must be chunked, once")
    }
}

// === impl Connection ===

impl Connection {
    fn add(&mut self, value: &[u8]) -> Result<(), Refused> {
        self.lines += 1;
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.is_empty() {
                continue;
            }
            self.options += 1;
            if self.options > MAX_CONNECTION_OPTIONS {
                return Err(Refused::framing(format!(
                    "the Connection header has more than {MAX_CONNECTION_OPTIONS} options"
                )));
            }
            if !is_token(option) {
                return Err(Refused::framing(
                    "the Connection header holds something that is not a token",
                ));
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if is_protected(option) {
                return Err(Refused::nomination(&String::from_utf8_lossy(option)));
            }
        }
        Ok(())
    }
}

/// Headers that are for the receiver at the far end, or that frame the message: a client that could have
/// them taken out on the way would decide what the backend believes.
fn is_protected(option: &[u8]) -> bool {
    let framing: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];
    framing.iter().any(|name| option.eq_ignore_ascii_case(name))
        || std::str::from_utf8(option).is_ok_and(forbidden_nomination)
}

// === impl Upgrade ===

impl Upgrade {
    fn add(&mut self, value: &[u8]) {
        self.lines += 1;
        for protocol in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if protocol.eq_ignore_ascii_case(b"websocket") || protocol.eq_ignore_ascii_case(b"spdy/3.1") {
                self.known += 1;
            } else if !protocol.is_empty() {
                self.foreign += 1;
            }
        }
    }

    fn is_known(self) -> bool {
        self.known > 0 && self.foreign == 0
    }
}

// === impl Field ===

impl<'h> Field<'h> {
    fn parse(line: &'h [u8]) -> Result<Self, Refused> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Refused::framing("a header is folded over several lines"));
        }
        let colon = TOKEN.span(line);
        if colon == 0 || line.get(colon) != Some(&b':') {
            return Err(Refused::framing(
                "a header line is not a name, a colon and a value",
            ));
        }
        let value = &line[colon + 1..];
        judge_value(value)?;
        Ok(Self {
            name: &line[..colon],
            value: trim(value),
        })
    }

    /// A field that comes without a line: nothing stands around its value that could be taken off.
    pub(super) fn decoded(name: &'h [u8], value: &'h [u8]) -> Result<Self, Refused> {
        if !is_token(name) {
            return Err(Refused::framing("the name of a header is not a token"));
        }
        judge_value(value)?;
        if trim(value).len() != value.len() {
            return Err(Refused::framing("a header value begins or ends with a blank"));
        }
        Ok(Self { name, value })
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

fn judge_value(value: &[u8]) -> Result<(), Refused> {
    // Looks at every byte, which goes many at a time.
    if value.iter().fold(true, |all, byte| all & is_value_byte(*byte)) {
        Ok(())
    } else {
        Err(Refused::framing("a header value contains a control character"))
    }
}

/// What may stand in a value: anything but control characters, among which a tab is none.
pub(super) fn is_value_byte(byte: u8) -> bool {
    ((byte >= b' ') & (byte != 0x7f)) | (byte == b'\t')
}

/// Optional white space of HTTP: space and tab, nothing else.
fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |at| at + 1);
    &value[start..end]
}

// === Lines ===

struct Lines<'h> {
    rest: &'h [u8],
}

impl<'h> Lines<'h> {
    /// The next line; `None` at the empty one.
    fn next(&mut self) -> Result<Option<&'h [u8]>, Refused> {
        let feed = memchr::memchr(b'\n', self.rest).filter(|at| *at > 0 && self.rest[at - 1] == b'\r');
        let feed = feed.ok_or_else(|| Refused::framing("a line does not end with CR LF"))?;
        let line = &self.rest[..feed - 1];
        self.rest = &self.rest[feed + 1..];
        Ok((!line.is_empty()).then_some(line))
    }
}
