use super::request_line::judge_authority;
use super::{Limits, Refused};

/// A head that HTTP/2 has decoded already. Its own layer has refused what cannot be framed.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    pub method: &'a str,
    /// `:path`.
    pub target: &'a [u8],
    /// `:authority`, or the Host header where it stands alone.
    pub authority: Option<&'a [u8]>,
    /// Header lines, pseudo-headers not counted.
    pub headers: usize,
}

// === impl Decoded ===

impl Decoded<'_> {
    /// The rules of [`check`](super::check) that a decoded head can still break.
    pub fn check(&self, limits: &Limits) -> Result<(), Refused> {
        super::refuse_method(self.method)?;
        if self.target.len() > limits.target {
            return Err(Refused::target_too_long(limits.target));
        }
        if self.headers > limits.headers {
            return Err(Refused::too_many_headers(limits.headers));
        }
        if self.target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(Refused::target("the request target contains a control character"));
        }
        if self.target.contains(&b'#') {
            return Err(Refused::target("the request target contains a fragment"));
        }
        match self.target {
            [b'/', ..] => {}
            b"*" if self.method == "OPTIONS" => {}
            _ => return Err(Refused::target("the request target does not start with a slash")),
        }
        match self.authority {
            Some(authority) => judge_authority(authority),
            None => Err(Refused::host("the request names no host")),
        }
    }

    /// `OPTIONS *` asks about the server itself; no route can answer it.
    pub fn is_server_options(&self) -> bool {
        self.method == "OPTIONS" && self.target == b"*"
    }
}
