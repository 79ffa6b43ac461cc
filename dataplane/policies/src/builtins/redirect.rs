use genkan_routing::answer::reason;
use http::HeaderValue;
use http::header::LOCATION;
use serde::Deserialize;

use crate::answer::{AnswerBody, AnswerKind, PolicyAnswer};
use crate::exchange::{Exchange, encoded};
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};
use crate::template::Template;

/// Sends the client elsewhere.
#[derive(Debug)]
pub(crate) struct Redirect {
    location: Template,
    status: u16,
    keep_query: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    location: String,
    #[serde(default = "found")]
    status: u16,
    #[serde(default)]
    keep_query: bool,
}

fn found() -> u16 {
    302
}

// === impl Redirect ===

impl Redirect {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let location = site.template("with.location", &with.location)?;
        let is_whole = location.as_fixed().is_some();
        if !is_closed(location.prefix(), is_whole) {
            let text = "scheme and host must be written out, or the path must begin with one /";
            return Err(Fault::new("with.location", text));
        }
        if !matches!(with.status, 301 | 302 | 303 | 307 | 308) {
            let text = format!("{} is none of 301, 302, 303, 307 and 308", with.status);
            return Err(Fault::new("with.status", text));
        }
        Ok(Self {
            location,
            status: with.status,
            keep_query: with.keep_query,
        })
    }
}

impl Act for Redirect {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        let mut location = self.location.render_with(exchange, moment.now, encoded)?;
        let query = exchange.query();
        if self.keep_query && !query.is_empty() {
            location.push(if location.contains('?') { '&' } else { '?' });
            location.push_str(query);
        }
        let value = HeaderValue::from_str(&location);
        let value = value.map_err(|_| Stop::error("the location cannot be written as a header"))?;
        let answer = PolicyAnswer {
            body: AnswerBody::Raw {
                content_type: None,
                bytes: bytes::Bytes::new(),
            },
            ..PolicyAnswer::new(AnswerKind::Responded, self.status, reason::REDIRECTED)
        };
        Err(answer.with_header(LOCATION, value).into())
    }
}

/// Nothing of a request chooses the host.
fn is_closed(prefix: &str, is_whole: bool) -> bool {
    if prefix.contains('\\') || prefix.bytes().any(|byte| byte.is_ascii_control()) {
        return false;
    }
    let host = ["https://", "http://"]
        .iter()
        .find_map(|scheme| prefix.strip_prefix(scheme));
    match host {
        Some(rest) => match rest.find(['/', '?', '#']) {
            Some(end) => end > 0,
            None => is_whole && !rest.is_empty(),
        },
        // One / and an expression could make two of them.
        None => prefix.starts_with('/') && !prefix.starts_with("//") && (is_whole || prefix.len() > 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_out() {
        for (prefix, is_whole, good) in [
            ("/a", true, true),
            ("/", true, true),
            ("/", false, false),
            ("//evil.example/", true, false),
            ("/\\evil.example", true, false),
            ("https://x.example", true, true),
            ("https://x.example", false, false),
            ("https://x.example/", false, true),
            ("https://", false, false),
            ("https:///", false, false),
            ("javascript:", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_closed(prefix, is_whole), good, "{prefix} {is_whole}");
        }
    }
}
