//! The request as it comes out of the strict front.

use genkan_routing::arriving::Kind;
use genkan_routing::strict::{self, HeadScan, Limits};
use genkan_routing::{HeaderStore, Refused};

use super::Request;
use super::lines::Lines;

/// A request whose head was read and accepted.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) method: String,
    pub(super) target: Vec<u8>,
    pub(super) host: String,
    pub(super) headers: Lines,
    pub(super) kind: Kind,
    /// `OPTIONS *`, which the front answers by itself.
    pub(super) is_server_options: bool,
}

// === impl Arrived ===

impl Arrived {
    /// Reads the head that a client would send by HTTP/1.1.
    pub(super) fn read(request: &Request) -> Result<Self, Refused> {
        let (head, limits) = (request.head(), Limits::default());
        HeadScan::default().advance(&head, &limits)?;
        let accepted = strict::check(&head, &limits)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut headers = Lines::default();
        for (name, value) in accepted.lines() {
            headers.append(&text(name), value);
        }
        let query = accepted.target.splitn(2, |byte| *byte == b'?').nth(1);
        Ok(Self {
            method: accepted.method.to_owned(),
            host: text(accepted.host.unwrap_or_default()),
            kind: Kind::of(&headers, &text(query.unwrap_or_default())),
            is_server_options: accepted.is_server_options(),
            target: accepted.target.into_owned(),
            headers,
        })
    }
}
