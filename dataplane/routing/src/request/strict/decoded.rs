use super::fields::{Field, Judge};
use super::request_line::judge_target;
use super::{Limits, Refused};

/// The start of a head that HTTP/2 has decoded already. Its own layer has refused what cannot be framed.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    pub method: &'a str,
    /// `:scheme`, where it is known.
    pub scheme: Option<&'a str>,
    /// `:path`.
    pub target: &'a [u8],
    /// `:authority`.
    pub authority: Option<&'a [u8]>,
}

// === impl Decoded ===

impl<'a> Decoded<'a> {
    /// The rules of [`check`](super::check), by the same judge; `fields` are names and values, without pseudo-headers.
    ///
    /// # Errors
    /// The answer to give.
    pub fn check(
        &self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        limits: &Limits,
    ) -> Result<(), Refused> {
        super::refuse_method(self.method)?;
        if self.target.len() > limits.target {
            return Err(Refused::target_too_long(limits.target));
        }
        judge_target(self.method, self.target)?;
        if !matches!(self.target, [b'/', ..] | b"*") {
            return Err(Refused::target("the request target does not start with a slash"));
        }
        let is_http = |scheme: &str| matches!(scheme, "http" | "https");
        if !self.scheme.is_none_or(is_http) {
            return Err(Refused::target("the :scheme is neither http nor https"));
        }
        let mut judge = Judge::new(limits.headers);
        for (name, value) in fields {
            judge.add(Field::decoded(name, value)?)?;
        }
        if judge.names_connection() {
            return Err(Refused::framing(
                "a request of HTTP/2 must not have headers that speak of a connection",
            ));
        }
        super::judge_host(judge.host, self.authority)?
            .map(|_| ())
            .ok_or_else(|| Refused::host("the request names no host"))
    }

    /// `OPTIONS *` asks about the server itself; no route can answer it.
    pub fn is_server_options(&self) -> bool {
        self.method == "OPTIONS" && self.target == b"*"
    }
}
