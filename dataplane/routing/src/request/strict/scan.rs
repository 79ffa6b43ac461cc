use super::{Limits, Refused};
use crate::alphabet::TOKEN;

/// Looks for the end of a head in bytes that arrive piece by piece.
///
/// It refuses as soon as waiting for more bytes is pointless: a client that ends its lines with a bare
/// line feed, or one that speaks TLS, never sends the empty line that is waited for.
#[derive(Clone, Debug, Default)]
pub struct HeadScan {
    /// Everything before this index has been looked at.
    seen: usize,
    /// Start of the line that is being looked at.
    line: usize,
    /// The request line has been seen whole.
    past_request_line: bool,
}

/// What is known about the head so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// More bytes are needed.
    Partial,
    /// The head ends before this index.
    Complete(usize),
}

// === impl HeadScan ===

impl HeadScan {
    /// Goes on where the last call ended; `bytes` is everything that arrived since the head began.
    pub fn advance(&mut self, bytes: &[u8], limits: &Limits) -> Result<Scanned, Refused> {
        if let Some(first) = bytes.first()
            && !TOKEN.has(*first)
        {
            return Err(Refused::framing("this is not an HTTP request"));
        }
        while let Some(at) = memchr::memchr(b'\n', &bytes[self.seen..]) {
            let feed = self.seen + at;
            if feed == self.line || bytes[feed - 1] != b'\r' {
                return Err(Refused::framing("a line ends with a line feed alone"));
            }
            if feed - 1 == self.line {
                let end = feed + 1;
                return self
                    .within_limits(bytes, end, limits)
                    .map(|()| Scanned::Complete(end));
            }
            self.past_request_line = true;
            self.seen = feed + 1;
            self.line = self.seen;
        }
        self.seen = bytes.len();
        self.within_limits(bytes, bytes.len(), limits)
            .map(|()| Scanned::Partial)
    }

    /// A target that is too long is told apart from a head that is too large, even in half a head.
    fn within_limits(&self, bytes: &[u8], length: usize, limits: &Limits) -> Result<(), Refused> {
        let too_large = length > limits.head;
        if too_large || (!self.past_request_line && length > limits.target) {
            let target = bytes
                .split(|byte| *byte == b' ' || *byte == b'\r')
                .nth(1)
                .unwrap_or_default();
            if target.len() > limits.target {
                return Err(Refused::target_too_long(limits.target));
            }
        }
        if too_large {
            Err(Refused::head_too_large(limits.head))
        } else {
            Ok(())
        }
    }
}
